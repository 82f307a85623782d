#include "jobs/plan/expression_lexer.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "common/text/shown_text.h"
#include "fmt/format.h"

namespace tenfold {
namespace {

bool IsDigit(char c) { return absl::ascii_isdigit(static_cast<unsigned char>(c)); }
bool IsNameStart(char c) { return absl::ascii_isalpha(static_cast<unsigned char>(c)) || c == '_'; }
bool IsNamePart(char c) { return IsNameStart(c) || IsDigit(c); }

// What other languages write, and what is written here.
constexpr std::array<std::pair<std::string_view, std::string_view>, 14> kSymbols = {
    {{"--", "- - with a blank between, or # where YAML is to have a comment"},
     {"||", "concat(a, b), or `or` for a condition"},
     {"==", "="},
     {"&&", "`and`"},
     {"<=>", "= and `is null`"},
     {"::", "number(text) to read a number, and declare fields with their types"},
     {"%", "mod(a, b)"},
     {"!", "`not`"},
     {"^", "pow(a, 2)"},
     {"?", "if(condition, a, b)"},
     {"~", "regex_matches(text, \"pattern\")"},
     {"`", "the name as it is, without `"},
     {"{", "a list in ( )"},
     {"$", "the name of a field, whose place in a record stands under fields"}}};

constexpr std::array<std::pair<std::string_view, std::string_view>, 39> kWords = {
    {{"ilike", "lower(text) like \"pattern\""},
     {"rlike", "regex_matches(text, \"pattern\")"},
     {"regexp", "regex_matches(text, \"pattern\")"},
     {"similar", "regex_matches(text, \"pattern\")"},
     {"div", "trunc(a / b)"},
     {"mod", "mod(a, b)"},
     {"xor", "a <> b for two conditions"},
     {"as", "number(text) to read a number; fields are declared with their types"},
     {"cast", "number(text) to read a number; fields are declared with their types"},
     {"try_cast", "try_number(text)"},
     {"filter", "count(if(condition, 1, null)) or sum(if(condition, x, null))"},
     {"countif", "count(if(condition, 1, null))"},
     {"count_if", "count(if(condition, 1, null))"},
     {"sumif", "sum(if(condition, x, null))"},
     {"distinct", "no distinct: distinct counts do not add up over partitions, and are not supported"},
     {"interval", "a duration, as 1h, 5m and 250ms are"},
     {"desc", "order: descending, a key of the spec"},
     {"asc", "order: ascending, a key of the spec"},
     {"extract", "date_part(\"hour\", time)"},
     {"date_format", "date_trunc(\"day\", time) for the day, and date_part(\"hour\", time) for a part of it"},
     {"to_date", "date_trunc(\"day\", time)"},
     {"year", "date_part(\"year\", time)"},
     {"strptime", "time(text, \"%Y-%m-%d\")"},
     {"to_timestamp", "time(text, \"%Y-%m-%d\"), or from_unix_ms(number)"},
     {"datediff", "a - b of two timestamps, which gives seconds"},
     {"to_number", "number(text)"},
     {"substr", "substring(text, from, length)"},
     {"len", "length(text)"},
     {"char_length", "length(text)"},
     {"strpos", "contains(text, part)"},
     {"instr", "contains(text, part)"},
     {"ceiling", "ceil(number)"},
     {"truncate", "trunc(number)"},
     {"ifnull", "coalesce(value, value)"},
     {"nvl", "coalesce(value, value)"},
     {"iff", "if(condition, a, b)"},
     {"string", "concat(value), which makes a text of it"},
     {"now", "record.timestamp: what a job computes depends on its records alone"},
     {"current_timestamp", "record.timestamp: what a job computes depends on its records alone"}}};

}  // namespace

bool IsWord(std::string_view text) { return !text.empty() && IsNameStart(text[0]) && std::ranges::all_of(text, IsNamePart); }

std::string_view WriteInPlaceOf(std::string_view word) {
  const std::string lower = absl::AsciiStrToLower(std::string(word));
  const auto* const found =
      std::ranges::find(kWords, std::string_view(lower), &std::pair<std::string_view, std::string_view>::first);
  return found == kWords.end() ? "" : found->second;
}

bool Lexer::Next(Token* token) {
  while (at_ < text_.size() && absl::ascii_isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
  *token = {.kind = Token::Kind::kEnd, .text = "", .begin = at_, .end = at_};
  const bool sound = Read(token);
  token->end = std::max(at_, token->begin + (at_ < text_.size() ? 1 : 0));
  return sound;
}

bool Lexer::Read(Token* token) {
  if (at_ == text_.size()) return true;
  const char c = text_[at_];
  if (IsDigit(c)) return ReadNumber(token);
  if (c == '"' || c == '\'') return ReadText(c, token);
  if (IsNameStart(c)) {
    token->kind = Token::Kind::kWord;
    while (at_ < text_.size() && IsNamePart(text_[at_])) token->text += text_[at_++];
    return true;
  }
  if (std::ranges::any_of(kSymbols, [this](const auto& other) { return text_.substr(at_).starts_with(other.first); })) {
    // "!=" is one of ours.
    if (text_.substr(at_, 2) != "!=") return Refuse(Refusal());
  }
  for (const std::string_view symbol : {"<>", "!=", "<=", ">="}) {
    if (text_.substr(at_, 2) == symbol) return ReadSymbol(2, token);
  }
  return absl::StrContains("+-*/()<>=,.[]", c) ? ReadSymbol(1, token) : Refuse(Refusal());
}

bool Lexer::ReadSymbol(size_t size, Token* token) {
  token->kind = Token::Kind::kSymbol;
  token->text = text_.substr(at_, size);
  if (token->text == "!=") token->text = "<>";
  at_ += size;
  return true;
}

size_t Lexer::SkipDigits() {
  const size_t begin = at_;
  while (at_ < text_.size() && IsDigit(text_[at_])) ++at_;
  return at_ - begin;
}

bool Lexer::ReadNumber(Token* token) {
  token->kind = Token::Kind::kNumber;
  SkipDigits();
  const bool whole = at_ == text_.size() || text_[at_] != '.';
  bool sound = true;
  if (!whole) {
    ++at_;
    sound = SkipDigits() > 0;
  }
  if (at_ < text_.size() && (text_[at_] == 'e' || text_[at_] == 'E')) {
    ++at_;
    if (at_ < text_.size() && (text_[at_] == '+' || text_[at_] == '-')) ++at_;
    sound = SkipDigits() > 0 && sound;
  } else if (whole && at_ < text_.size() && IsNameStart(text_[at_])) {
    const size_t unit = at_;
    while (at_ < text_.size() && IsNamePart(text_[at_])) ++at_;
    const std::string_view name = text_.substr(unit, at_ - unit);
    token->kind = Token::Kind::kDuration;
    sound = name == "ms" || name == "s" || name == "m" || name == "h" || name == "d" || name == "w";
  }
  while (at_ < text_.size() && (IsNamePart(text_[at_]) || text_[at_] == '.')) {
    ++at_;
    sound = false;
  }
  token->text = text_.substr(token->begin, at_ - token->begin);
  return sound || Refuse(fmt::format("{} is neither a number, as 2, 0.5 and 1.5e-3 are, nor a duration, as 250ms and 5m are",
                                     Quoted(token->text)));
}

bool Lexer::ReadText(char quote, Token* token) {
  token->kind = Token::Kind::kText;
  for (++at_; at_ < text_.size(); ++at_) {
    if (text_[at_] == quote) {
      ++at_;
      if (at_ == text_.size() || text_[at_] != quote) return true;
    }
    token->text += text_[at_];
  }
  return Refuse("this text does not end; its closing quote is missing");
}

bool Lexer::Refuse(std::string why) {
  error_ = std::move(why);
  return false;
}

std::string Lexer::Refusal() const {
  for (const auto& [theirs, ours] : kSymbols) {
    if (text_.substr(at_).starts_with(theirs)) return fmt::format("{} is not known; write {}", theirs, ours);
  }
  if (text_[at_] == ';') return "an expression has no ;";
  size_t size = 1;
  while (at_ + size < text_.size() && (text_[at_ + size] & 0xc0) == 0x80) ++size;
  const std::string_view character = text_.substr(at_, size);
  if (character == "\u201c" || character == "\u201d" || character == "\u2018" || character == "\u2019")
    return "a text stands in straight quotes, \" or '";
  if (character == "\u00a0") return "a no-break space is no blank; write a plain one";
  return fmt::format("{} is no part of an expression", Quoted(character));
}

}  // namespace tenfold
