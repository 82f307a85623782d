#include "jobs/spec/score_expression.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "common/text/shown_text.h"
#include "fmt/format.h"

namespace tenfold {
namespace {

bool IsDigit(char c) { return absl::ascii_isdigit(static_cast<unsigned char>(c)); }
bool IsNameStart(char c) { return absl::ascii_isalpha(static_cast<unsigned char>(c)) || c == '_'; }
bool IsNamePart(char c) { return IsNameStart(c) || IsDigit(c); }

// Parses score = term {("+" | "-") term}, term = ["+" | "-"] [number "*"] field.
class ScoreParser {
 public:
  explicit ScoreParser(std::string_view text) : text_(text) {}

  ParsedScore Parse() {
    if (!ReadTerm(false)) return std::move(score_);
    while (!AtEnd()) {
      const char sign = text_[at_];
      if (sign != '+' && sign != '-') {
        Refuse(at_, RefusalAfterField(sign));
        return std::move(score_);
      }
      ++at_;
      if (!ReadTerm(sign == '-')) return std::move(score_);
    }
    return std::move(score_);
  }

 private:
  // Whether only spaces are left, which it skips.
  bool AtEnd() {
    while (at_ < text_.size() && absl::ascii_isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
    return at_ == text_.size();
  }

  bool ReadTerm(bool negative) {
    if (!AtEnd() && (text_[at_] == '+' || text_[at_] == '-')) negative ^= text_[at_++] == '-';
    ParsedScore::Term term;
    term.constant = negative ? "-" : "";
    if (!AtEnd() && (IsDigit(text_[at_]) || text_[at_] == '.')) {
      term.constant_at = at_;
      if (!ReadNumber(&term.constant)) return false;
      const std::string_view number = text_.substr(term.constant_at, at_ - term.constant_at);
      if (AtEnd() || text_[at_] != '*') {
        return Refuse(term.constant_at, fmt::format("a constant stands before a field: {}*FIELD", Shown(number)));
      }
      ++at_;
    } else {
      term.constant_at = at_;
      term.constant += "1";
    }
    if (AtEnd() || !IsNameStart(text_[at_])) return Refuse(at_, "expected a field");
    term.field_at = at_;
    while (at_ < text_.size() && IsNamePart(text_[at_])) term.field += text_[at_++];
    score_.terms.push_back(std::move(term));
    return true;
  }

  bool ReadNumber(std::string* number) {
    const size_t begin = at_;
    const std::string_view refusal = "no valid number; one looks like 2, 0.5 or 1.5e-3";
    if (!SkipDigits()) return Refuse(begin, refusal);
    if (at_ < text_.size() && text_[at_] == '.') {
      ++at_;
      if (!SkipDigits()) return Refuse(begin, refusal);
    }
    if (at_ < text_.size() && (text_[at_] == 'e' || text_[at_] == 'E')) {
      ++at_;
      if (at_ < text_.size() && (text_[at_] == '+' || text_[at_] == '-')) ++at_;
      if (!SkipDigits()) return Refuse(begin, refusal);
    }
    if (at_ < text_.size() && (IsNamePart(text_[at_]) || text_[at_] == '.')) return Refuse(begin, refusal);
    number->append(text_.substr(begin, at_ - begin));
    return true;
  }

  bool SkipDigits() {
    const size_t begin = at_;
    while (at_ < text_.size() && IsDigit(text_[at_])) ++at_;
    return at_ > begin;
  }

  std::string RefusalAfterField(char found) const {
    switch (found) {
      case '*':
        return "a field is multiplied by a constant before it only: 0.5*FIELD";
      case '/':
        return "a score cannot divide; multiply by a constant: 0.5*FIELD";
      case '(':
        return "a score knows no functions";
      default:
        return "expected + or -";
    }
  }

  bool Refuse(size_t at, std::string_view why) {
    score_.error = fmt::format("{}; a score is a sum of constant times field, e.g. 0.8*clicks + like", why);
    score_.error_at = at;
    return false;
  }

  const std::string_view text_;
  size_t at_ = 0;
  ParsedScore score_;
};

}  // namespace

ParsedScore ParseScore(std::string_view text) { return ScoreParser(text).Parse(); }

bool IsFieldName(std::string_view name) {
  if (name.empty() || !IsNameStart(name[0])) return false;
  for (const char c : name) {
    if (!IsNamePart(c)) return false;
  }
  return true;
}

}  // namespace tenfold
