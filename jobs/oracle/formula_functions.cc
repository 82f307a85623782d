#include <algorithm>
#include <array>
#include <iterator>
#include <limits>

#include "common/limits.h"
#include "common/text/letter_case.h"
#include "common/text/utf8.h"
#include "fmt/format.h"
#include "glog/logging.h"
#include "jobs/oracle/formula.h"
#include "re2/re2.h"
#include "xxhash.h"

namespace tenfold::oracle {
namespace {

using Answer = std::variant<Datum, Trouble>;
using Letters = std::u32string;

constexpr int64_t kEndOfTime = 7'258'118'400'000'000;

Letters LettersOf(std::string_view text) {
  Letters letters;
  for (size_t i = 0; i < text.size();) {
    const auto first = static_cast<unsigned char>(text[i]);
    const size_t size = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    uint32_t letter = size == 1 ? first : first & (0xffu >> (size + 1));
    for (size_t j = 1; j < size; ++j) letter = letter * 64 + (static_cast<unsigned char>(text[i + j]) & 0x3f);
    letters += static_cast<char32_t>(letter);
    i += size;
  }
  return letters;
}

std::string TextOf(const Letters& letters) {
  std::string text;
  for (const char32_t letter : letters) AppendUtf8(letter, &text);
  return text;
}

Answer Text(std::string text) {
  if (text.size() > kMaxRecordBytes) return Trouble{BAD_WRONG_ARGUMENT};
  return Datum{.is = std::move(text)};
}
Answer Number(Rational number) { return Datum{.is = std::move(number)}; }
Answer Truth(bool truth) { return Datum{.is = truth}; }
Answer Null() { return Datum(); }

BigInt FloorOf(const Rational& number) {
  const BigInt n = boost::multiprecision::numerator(number);
  const BigInt d = boost::multiprecision::denominator(number);
  BigInt quotient = n / d;
  if (n < 0 && quotient * d != n) --quotient;
  return quotient;
}
BigInt TruncOf(const Rational& number) { return number < 0 ? BigInt(-FloorOf(-number)) : FloorOf(number); }

Rational TenTo(int power) {
  const BigInt size = boost::multiprecision::pow(BigInt(10), static_cast<unsigned>(std::abs(power)));
  return power < 0 ? Rational(1, size) : Rational(size);
}

// The root rounded to units, half to even; it is searched by halving.
Rational RootOf(const Rational& number) {
  const Rational wanted = number * TenTo(18);
  BigInt low = 0;
  BigInt high = FloorOf(wanted) + 1;
  while (high - low > 1) {
    const BigInt middle = (low + high) / 2;
    (Rational(middle * middle) <= wanted ? low : high) = middle;
  }
  const Rational half = Rational(2 * low + 1, 2);
  const Rational square = half * half;
  if (wanted > square || (wanted == square && low % 2 != 0)) ++low;
  return Rational(low) / TenTo(9);
}

// A whole number of 64 bits.
std::optional<int64_t> WholeOf(const Datum& datum) {
  const Rational& number = datum.number();
  if (boost::multiprecision::denominator(number) != 1) return std::nullopt;
  const BigInt whole = boost::multiprecision::numerator(number);
  if (whole > std::numeric_limits<int64_t>::max() || whole < std::numeric_limits<int64_t>::min()) return std::nullopt;
  return static_cast<int64_t>(whole);
}

// The letters at the positions from `first`, counted from 1, below `end`.
std::string Cut(const Letters& letters, const BigInt& first, const BigInt& end) {
  Letters cut;
  for (size_t i = 0; i < letters.size(); ++i) {
    if (BigInt(i + 1) >= first && BigInt(i + 1) < end) cut += letters[i];
  }
  return TextOf(cut);
}

std::vector<std::string> PartsOf(const std::string& text, const std::string& separator) {
  std::vector<std::string> parts(1);
  for (size_t i = 0; i < text.size();) {
    if (!separator.empty() && text.compare(i, separator.size(), separator) == 0) {
      parts.emplace_back();
      i += separator.size();
    } else {
      parts.back() += text[i++];
    }
  }
  return parts;
}

std::string Trimmed(const std::string& text, const std::string& characters, bool left, bool right) {
  Letters letters = LettersOf(text);
  const Letters set = LettersOf(characters);
  const auto is_in = [&set](char32_t letter) { return set.find(letter) != Letters::npos; };
  while (left && !letters.empty() && is_in(letters.front())) letters.erase(0, 1);
  while (right && !letters.empty() && is_in(letters.back())) letters.pop_back();
  return TextOf(letters);
}

// RFC 3986's own regular expression, appendix B: authority 4, path 5, query 7.
struct Url {
  std::optional<std::string> authority;
  std::string path;
  std::optional<std::string> query;
};
Url UrlOf(const std::string& text) {
  static const RE2* const pattern = new RE2("(?s)^(([^:/?#]+):)?(//([^/?#]*))?([^?#]*)(\\?([^#]*))?(#(.*))?");
  std::array<re2::StringPiece, 10> groups;
  CHECK(pattern->Match(text, 0, text.size(), RE2::ANCHOR_START, groups.data(), static_cast<int>(groups.size()))) << text;
  Url url;
  if (groups[3].data() != nullptr) url.authority = std::string(groups[4].data(), groups[4].size());
  url.path = std::string(groups[5].data(), groups[5].size());
  if (groups[6].data() != nullptr) url.query = std::string(groups[7].data(), groups[7].size());
  return url;
}

std::string Decoded(const std::string& text, bool plus) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned byte = 0;
    static const RE2* const escape = new RE2("^%([0-9A-Fa-f]{2})");
    if (RE2::PartialMatch(re2::StringPiece(text).substr(i), *escape, RE2::Hex(&byte))) {
      decoded += static_cast<char>(byte);
      i += 2;
    } else {
      decoded += plus && text[i] == '+' ? ' ' : text[i];
    }
  }
  return decoded;
}

Answer UrlFunction(const std::string& name, const std::vector<Datum>& a) {
  if (name == "url_decode") {
    std::string decoded = Decoded(a[0].text(), false);
    return IsUtf8(decoded) ? Text(std::move(decoded)) : Null();
  }
  const Url url = UrlOf(a[0].text());
  if (name == "url_path") return Text(url.path);
  if (name == "url_host") {
    if (!url.authority) return Null();
    const std::string host = url.authority->substr(url.authority->find_last_of('@') + 1);
    static const RE2* const without_port = new RE2("^(\\[[^\\]]*\\][^:]*|\\[[^\\]]*$|[^:\\[][^:]*|)");
    std::string found;
    RE2::PartialMatch(host, *without_port, &found);
    return Text(found);
  }
  if (!url.query) return Null();
  for (const std::string& parameter : PartsOf(*url.query, "&")) {
    const size_t equals = parameter.find('=');
    if (parameter.empty() || Decoded(parameter.substr(0, equals), true) != a[1].text()) continue;
    std::string value = equals == std::string::npos ? "" : Decoded(parameter.substr(equals + 1), true);
    return IsUtf8(value) ? Text(std::move(value)) : Null();
  }
  return Null();
}

std::string LikePattern(const std::string& like) {
  std::string pattern = "(?s)^";
  for (size_t i = 0; i < like.size(); ++i) {
    if (like[i] == '%' || like[i] == '_') {
      pattern += like[i] == '%' ? ".*" : ".";
      continue;
    }
    if (like[i] == '\\' && i + 1 < like.size()) ++i;
    pattern += RE2::QuoteMeta(like.substr(i, 1));
  }
  return pattern + "$";
}

Answer PatternFunction(const std::string& name, const std::vector<Datum>& a) {
  const std::string& text = a[0].text();
  const RE2 pattern(name == "like" ? LikePattern(a[1].text()) : a[1].text(), RE2::Quiet);
  if (name == "regex_extract") {
    const int groups = pattern.NumberOfCapturingGroups();
    const int wanted = a.size() > 2 ? static_cast<int>(*WholeOf(a[2])) : std::min(groups, 1);
    std::vector<re2::StringPiece> found(static_cast<size_t>(groups) + 1);
    if (!pattern.Match(text, 0, text.size(), RE2::UNANCHORED, found.data(), groups + 1)) return Null();
    const re2::StringPiece& group = found[static_cast<size_t>(wanted)];
    return group.data() == nullptr ? Null() : Text(std::string(group.data(), group.size()));
  }
  if (name == "regex_replace") {
    std::string replaced = text;
    RE2::GlobalReplace(&replaced, pattern, a[2].text());
    return Text(std::move(replaced));
  }
  return Truth(RE2::PartialMatch(text, pattern));
}

Answer TextFunction(const std::string& name, const std::vector<Datum>& a) {
  const std::string& text = a[0].text();
  if (name.starts_with("url_")) return UrlFunction(name, a);
  if (name == "like" || name.starts_with("regex_")) return PatternFunction(name, a);
  if (name == "starts_with") return Truth(text.rfind(a[1].text(), 0) == 0);
  if (name == "ends_with") {
    const std::string& end = a[1].text();
    return Truth(text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0);
  }
  if (name == "contains") return Truth(text.find(a[1].text()) != std::string::npos);
  if (name == "hash64") return Number(Rational(BigInt(XXH3_64bits(text.data(), text.size()))));
  if (name == "length") return Number(Rational(LettersOf(text).size()));
  if (name == "number" || name == "try_number") {
    Rational number;
    const BadReason reason = ReadDecimal(text, &number);
    if (reason == BAD_NONE) return Number(number);
    return name == "try_number" ? Null() : Answer(Trouble{reason});
  }
  if (name == "lower" || name == "upper") {
    Letters letters = LettersOf(text);
    for (char32_t& letter : letters) letter = name == "lower" ? LowerCase(letter) : UpperCase(letter);
    return Text(TextOf(letters));
  }
  if (name == "trim" || name == "ltrim" || name == "rtrim")
    return Text(Trimmed(text, a.size() > 1 ? a[1].text() : " ", name != "rtrim", name != "ltrim"));
  if (name == "split") {
    List list;
    for (std::string& part : PartsOf(text, a[1].text())) list.push_back({.is = std::move(part)});
    return Datum{.is = std::move(list)};
  }
  if (name == "replace") {
    const std::vector<std::string> parts = PartsOf(text, a[1].text());
    std::string replaced = parts[0];
    for (size_t i = 1; i < parts.size(); ++i) replaced += a[2].text() + parts[i];
    return Text(std::move(replaced));
  }
  // Those with positions.
  const std::optional<int64_t> position = WholeOf(a[name == "split_part" ? 2 : 1]);
  if (!position) return Trouble{BAD_WRONG_ARGUMENT};
  if (name == "split_part") {
    if (*position < 1) return Trouble{BAD_WRONG_ARGUMENT};
    const std::vector<std::string> parts = PartsOf(text, a[1].text());
    return Text(static_cast<uint64_t>(*position) <= parts.size() ? parts[static_cast<size_t>(*position) - 1] : "");
  }
  const Letters letters = LettersOf(text);
  const BigInt size = letters.size();
  const BigInt first = *position;
  if (name == "left") return Text(Cut(letters, 1, first < 0 ? BigInt(size + first + 1) : BigInt(first + 1)));
  if (name == "right") return Text(Cut(letters, first < 0 ? BigInt(1 - first) : BigInt(size - first + 1), size + 1));
  CHECK_EQ(name, "substring");
  if (a.size() == 2) return Text(Cut(letters, first, size + 1));
  const std::optional<int64_t> length = WholeOf(a[2]);
  if (!length || *length < 0) return Trouble{BAD_WRONG_ARGUMENT};
  return Text(Cut(letters, first, first + *length));
}

Answer NumberFunction(const std::string& name, const std::vector<Datum>& a) {
  const Rational& x = a[0].number();
  if (name == "negate") return Number(-x);
  if (name == "abs") return Number(abs(x));
  if (name == "sign") return Number(x.sign());
  if (name == "floor") return Number(Rational(FloorOf(x)));
  if (name == "ceil") return Number(Rational(-FloorOf(-x)));
  if (name == "trunc") return Number(Rational(TruncOf(x)));
  if (name == "sqrt") return x < 0 ? Answer(Trouble{BAD_WRONG_ARGUMENT}) : Number(RootOf(x));
  if (name == "from_unix_ms") {
    const std::optional<Instant> instant = InstantOf(x * 1000);
    if (!instant) return Trouble{BAD_NUMBER_OUT_OF_RANGE};
    return Datum{.is = *instant};
  }
  if (name == "round") {
    const int digits = a.size() > 1 ? static_cast<int>(*WholeOf(a[1])) : 0;
    return Number(Rational(Nearest(x * TenTo(digits))) / TenTo(digits));
  }
  if (name == "least" || name == "greatest") {
    Rational best = x;
    for (const Datum& each : a) best = name == "least" ? std::min(best, each.number()) : std::max(best, each.number());
    return Number(best);
  }
  const Rational& y = a[1].number();
  if (name == "+") return Number(x + y);
  if (name == "-") return Number(x - y);
  if (name == "*") return Number(x * y);
  if (name == "pow") {
    Rational power = 1;
    for (int64_t i = *WholeOf(a[1]); i > 0; --i) power *= x;
    return Number(power);
  }
  if (y == 0) return Trouble{BAD_DIVISION_BY_ZERO};
  if (name == "/") return Number(x / y);
  CHECK_EQ(name, "mod");
  return Number(x - y * Rational(TruncOf(x / y)));
}

Answer TimeFunction(const std::string& name, const std::vector<Datum>& a) {
  const BigInt us = std::get<Instant>(a[0].is).us;
  if (const auto* other = std::get_if<Instant>(&a[1].is)) return Number(Rational(us - other->us, 1'000'000));
  const BigInt added = Nearest(a[1].number() * 1'000'000);
  const std::optional<Instant> instant = InstantOf(Rational(name == "-" ? BigInt(us - added) : BigInt(us + added)));
  if (!instant) return Trouble{BAD_NUMBER_OUT_OF_RANGE};
  return Datum{.is = *instant};
}

}  // namespace

// The days of the months before each date are counted one by one.
bool IsLeap(int64_t year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }
int64_t MonthDays(int64_t year, int64_t month) {
  constexpr std::array<int64_t, 12> kDays = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return kDays[static_cast<size_t>(month) - 1] + (month == 2 && IsLeap(year) ? 1 : 0);
}

Answer CallFunction(const std::string& name, const std::vector<Datum>& arguments) {
  if (name == "concat") {
    std::string text;
    for (const Datum& argument : arguments) text += FormOf(argument);
    return Text(std::move(text));
  }
  if (std::holds_alternative<Instant>(arguments[0].is)) return TimeFunction(name, arguments);
  if (std::holds_alternative<Rational>(arguments[0].is)) return NumberFunction(name, arguments);
  return TextFunction(name, arguments);
}

std::optional<Instant> InstantOf(const Rational& us) {
  const BigInt whole = FloorOf(us);
  if (whole < 0 || whole >= kEndOfTime) return std::nullopt;
  return Instant{static_cast<int64_t>(whole)};
}

BadReason ReadInstant(std::string_view text, Instant* instant) {
  static const RE2* const pattern = new RE2(
      "(\\d{4})-(\\d\\d)-(\\d\\d)(?:[T ](\\d\\d):(\\d\\d)(?::(\\d\\d)(?:\\.(\\d+))?)?(Z|([+-])(\\d\\d):(\\d\\d))?)?");
  // Groups that did not take part are empty.
  std::string year_text;
  std::string month_text;
  std::string day_text;
  std::string hour_text;
  std::string minute_text;
  std::string second_text;
  std::string decimals;
  std::string zone;
  std::string sign;
  std::string zone_hour_text;
  std::string zone_minute_text;
  if (!RE2::FullMatch(re2::StringPiece(text.data(), text.size()), *pattern, &year_text, &month_text, &day_text, &hour_text,
                      &minute_text, &second_text, &decimals, &zone, &sign, &zone_hour_text, &zone_minute_text)) {
    return BAD_MALFORMED_FIELD;
  }
  const auto number = [](const std::string& digits) { return digits.empty() ? 0 : std::stoi(digits); };
  const int year = number(year_text);
  const int month = number(month_text);
  const int day = number(day_text);
  if (month < 1 || month > 12 || day < 1 || day > MonthDays(year, month)) return BAD_MALFORMED_FIELD;
  if (number(hour_text) > 23 || number(minute_text) > 59 || number(second_text) > 59) return BAD_MALFORMED_FIELD;
  if (number(zone_hour_text) > 23 || number(zone_minute_text) > 59) return BAD_MALFORMED_FIELD;
  // Days from 1970 on, or how many before it; a year is 365 or 366.
  int64_t days = day - 1;
  for (int m = 1; m < month; ++m) days += MonthDays(year, m);
  for (int y = 1970; y < year; ++y) days += IsLeap(y) ? 366 : 365;
  for (int y = year; y < 1970; ++y) days -= IsLeap(y) ? 366 : 365;
  int64_t minutes = (days * 24 + number(hour_text)) * 60 + number(minute_text);
  const int64_t ahead = number(zone_hour_text) * 60 + number(zone_minute_text);
  minutes -= sign == "-" ? -ahead : ahead;
  decimals.resize(6, '0');
  instant->us = (minutes * 60 + number(second_text)) * 1'000'000 + std::stoll(decimals);
  return instant->us >= 0 && instant->us < kEndOfTime ? BAD_NONE : BAD_NUMBER_OUT_OF_RANGE;
}

std::string FormOf(const Datum& datum) {
  if (std::holds_alternative<std::string>(datum.is)) return datum.text();
  if (std::holds_alternative<bool>(datum.is)) return datum.truth() ? "true" : "false";
  if (const auto* instant = std::get_if<Instant>(&datum.is)) {
    int64_t days = instant->us / 86'400'000'000;
    const int64_t us = instant->us % 86'400'000'000;
    int year = 1970;
    for (; days >= (IsLeap(year) ? 366 : 365); ++year) days -= IsLeap(year) ? 366 : 365;
    int month = 1;
    for (; days >= MonthDays(year, month); ++month) days -= MonthDays(year, month);
    const int64_t seconds = us / 1'000'000;
    std::string text = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", year, month, days + 1, seconds / 3600,
                                   seconds % 3600 / 60, seconds % 60);
    std::string decimals = fmt::format(".{:06}", us % 1'000'000);
    decimals.resize(decimals.find_last_not_of('0') + 1);
    return text + (decimals == "." ? "" : decimals) + "Z";
  }
  const BigInt units = Nearest(datum.number() * 1'000'000'000);
  const BigInt size = abs(units);
  std::string text = (units < 0 ? "-" : "") + BigInt(size / 1'000'000'000).str();
  std::string decimals = BigInt(size % 1'000'000'000).str();
  decimals.insert(0, 9 - decimals.size(), '0');
  decimals.resize(decimals.find_last_not_of('0') + 1);
  return decimals.empty() ? text : text + "." + decimals;
}

}  // namespace tenfold::oracle
