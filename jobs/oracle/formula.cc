#include "jobs/oracle/formula.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "common/limits.h"
#include "glog/logging.h"

namespace tenfold::oracle {
namespace {

using Answer = std::variant<Datum, Trouble>;

// Reads the canonical text of an expression by the precedence of its operators.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  Formula Read() {
    Formula formula = ReadLevel(0);
    Blank();
    CHECK_EQ(at_, text_.size()) << "the expression goes on: " << text_;
    return formula;
  }

 private:
  void Blank() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }
  bool TakeSign(std::string_view sign) {
    Blank();
    if (text_.substr(at_, sign.size()) != sign) return false;
    // "<" is not the begin of "<=" or "<>".
    const char after = at_ + sign.size() < text_.size() ? text_[at_ + sign.size()] : ' ';
    if ((sign == "<" && (after == '=' || after == '>')) || (sign == ">" && after == '=')) return false;
    at_ += sign.size();
    return true;
  }
  bool TakeWord(std::string_view word) {
    Blank();
    if (text_.substr(at_, word.size()) != word) return false;
    const size_t end = at_ + word.size();
    if (end < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[end])) || text_[end] == '_')) return false;
    at_ = end;
    return true;
  }
  void Need(std::string_view sign) { CHECK(TakeSign(sign)) << "'" << sign << "' is missing at " << at_ << " of " << text_; }

  static Formula Do(std::string name, std::vector<Formula> parts) {
    return {.kind = Formula::Kind::kDo, .value = {}, .name = std::move(name), .parts = std::move(parts)};
  }

  // Levels: 0 or, 1 and, 2 not, 3 comparisons, 4 + -, 5 * /, 6 sign, 7 operand.
  Formula ReadLevel(int level) {
    switch (level) {
      case 0:
        return ReadChain(0, {"or"});
      case 1:
        return ReadChain(1, {"and"});
      case 2:
        if (TakeWord("not")) return Do("not", {ReadLevel(2)});
        return ReadLevel(3);
      case 3:
        return ReadComparison();
      case 4:
        return ReadChain(4, {"+", "-"});
      case 5:
        return ReadChain(5, {"*", "/"});
      case 6:
        if (TakeSign("-")) return Do("negate", {ReadLevel(6)});
        return ReadLevel(7);
      default:
        return ReadOperand();
    }
  }

  Formula ReadChain(int level, const std::vector<std::string>& names) {
    Formula left = ReadLevel(level + 1);
    while (true) {
      const auto found = std::find_if(names.begin(), names.end(), [&](const std::string& name) {
        return std::isalpha(static_cast<unsigned char>(name[0])) ? TakeWord(name) : TakeSign(name);
      });
      if (found == names.end()) return left;
      Formula right = ReadLevel(level + 1);
      left = Do(*found, {std::move(left), std::move(right)});
    }
  }

  Formula ReadComparison() {
    Formula left = ReadLevel(4);
    for (const char* sign : {"=", "<>", "<=", ">=", "<", ">"}) {
      if (TakeSign(sign)) return Do(sign, {left, ReadLevel(4)});
    }
    if (TakeWord("is")) {
      CHECK(TakeWord("null")) << text_;
      return Do("is_null", {left});
    }
    if (TakeWord("like")) return Do("like", {left, ReadLevel(4)});
    if (TakeWord("between")) {
      Formula low = ReadLevel(4);
      CHECK(TakeWord("and")) << text_;
      return Do("between", {left, std::move(low), ReadLevel(4)});
    }
    if (TakeWord("in")) {
      Blank();
      if (at_ < text_.size() && text_[at_] != '(') return Do("in_table", {left, ReadOperand()});
      Formula in = Do("in", {left});
      ReadList(&in.parts);
      return in;
    }
    return left;
  }

  void ReadList(std::vector<Formula>* parts) {
    Need("(");
    if (TakeSign(")")) return;
    do {
      parts->push_back(ReadLevel(0));
    } while (TakeSign(","));
    Need(")");
  }

  Formula ReadOperand() {
    Blank();
    CHECK_LT(at_, text_.size()) << text_;
    const char c = text_[at_];
    if (c == '(') {
      Need("(");
      Formula inner = ReadLevel(0);
      Need(")");
      return inner;
    }
    if (c == '"') return Leaf(ReadQuoted());
    if (std::isdigit(static_cast<unsigned char>(c))) return Leaf(ReadNumber());
    if (TakeWord("case")) return ReadCase();
    if (TakeWord("null")) return Leaf(Nothing());
    if (TakeWord("true")) return Leaf(true);
    if (TakeWord("false")) return Leaf(false);
    std::string name;
    while (at_ < text_.size() &&
           (std::isalnum(static_cast<unsigned char>(text_[at_])) || text_[at_] == '_' || text_[at_] == '.'))
      name += text_[at_++];
    CHECK(!name.empty()) << "no operand at " << at_ << " of " << text_;
    if (at_ < text_.size() && text_[at_] == '[') {
      // The name of a header, as it is written.
      const size_t begin = at_++;
      ReadQuoted();
      name += text_.substr(begin, ++at_ - begin);
    }
    if (at_ == text_.size() || text_[at_] != '(')
      return {.kind = Formula::Kind::kName, .value = {}, .name = std::move(name), .parts = {}};
    Formula call = Do(std::move(name), {});
    ReadList(&call.parts);
    return call;
  }

  template <typename T>
  static Formula Leaf(T value) {
    Formula leaf;
    leaf.value.is = std::move(value);
    return leaf;
  }

  std::string ReadQuoted() {
    std::string quoted;
    for (++at_;; ++at_) {
      CHECK_LT(at_, text_.size()) << text_;
      if (text_[at_] == '"') {
        ++at_;
        if (at_ == text_.size() || text_[at_] != '"') return quoted;
      }
      quoted += text_[at_];
    }
  }

  Rational ReadNumber() {
    const size_t begin = at_;
    const auto digits = [this] {
      while (at_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[at_]))) ++at_;
    };
    digits();
    const std::string_view whole = text_.substr(begin, at_ - begin);
    static const std::map<std::string_view, Rational> kUnits = {
        {"ms", Rational(1, 1000)}, {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86'400}, {"w", 604'800}};
    for (const auto& [unit, seconds] : kUnits) {
      if (!TakeWordHere(unit)) continue;
      Rational count;
      CHECK_EQ(ReadDecimal(whole, &count), BAD_NONE) << text_;
      return count * seconds;
    }
    if (at_ < text_.size() && text_[at_] == '.') {
      ++at_;
      digits();
    }
    if (at_ < text_.size() && (text_[at_] == 'e' || text_[at_] == 'E')) {
      ++at_;
      if (at_ < text_.size() && (text_[at_] == '+' || text_[at_] == '-')) ++at_;
      digits();
    }
    Rational number;
    CHECK_EQ(ReadDecimal(text_.substr(begin, at_ - begin), &number), BAD_NONE) << text_;
    return number;
  }
  bool TakeWordHere(std::string_view word) { return at_ < text_.size() && text_[at_] != ' ' && TakeWord(word); }

  Formula ReadCase() {
    Formula made = Do("case", {});
    if (!TakeWord("when")) {
      made.name = "case_of";
      made.parts.push_back(ReadLevel(0));
      CHECK(TakeWord("when")) << text_;
    }
    do {
      made.parts.push_back(ReadLevel(0));
      CHECK(TakeWord("then")) << text_;
      made.parts.push_back(ReadLevel(0));
    } while (TakeWord("when"));
    CHECK(TakeWord("else")) << text_;
    made.parts.push_back(ReadLevel(0));
    CHECK(TakeWord("end")) << text_;
    return made;
  }

  const std::string_view text_;
  size_t at_ = 0;
};

Datum Make(bool truth) { return {.is = truth}; }

// A text that is compared with a timestamp is one.
Datum InstantFrom(const Datum& text) {
  Instant instant;
  CHECK_EQ(ReadInstant(text.text(), &instant), BAD_NONE) << text.text();
  return {.is = instant};
}

int Compared(const Datum& a, const Datum& b) {
  const bool is_a = std::holds_alternative<Instant>(a.is);
  const bool is_b = std::holds_alternative<Instant>(b.is);
  if (is_a != is_b) return is_a ? Compared(a, InstantFrom(b)) : Compared(InstantFrom(a), b);
  if (std::holds_alternative<std::string>(a.is)) return a.text().compare(b.text());
  if (std::holds_alternative<Rational>(a.is)) return a.number().compare(b.number());
  if (std::holds_alternative<Instant>(a.is)) {
    const int64_t x = std::get<Instant>(a.is).us;
    const int64_t y = std::get<Instant>(b.is).us;
    return x < y ? -1 : x > y;
  }
  return static_cast<int>(a.truth()) - static_cast<int>(b.truth());
}

class Computer {
 public:
  explicit Computer(Names* names) : names_(names) {}

  Answer Compute(const Formula& formula) {
    Datum datum = Value(formula);
    if (trouble_.reason != BAD_NONE) return trouble_;
    return datum;
  }

 private:
  // Null as well if there is trouble, after which nothing more is computed.
  Datum Value(const Formula& f) {
    if (trouble_.reason != BAD_NONE) return {};
    if (f.kind == Formula::Kind::kValue) return f.value;
    if (f.kind == Formula::Kind::kName) return OfName(f.name);
    const std::vector<Formula>& parts = f.parts;
    if (f.name == "and" || f.name == "or") {
      const bool decisive = f.name == "or";
      const Datum left = Value(parts[0]);
      if (!left.null() && left.truth() == decisive) return left;
      const Datum right = Value(parts[1]);
      return !right.null() && right.truth() == decisive ? right : left.null() ? left : right;
    }
    if (f.name == "case" || f.name == "if") return OfCase(parts, 0, nullptr);
    if (f.name == "case_of") {
      const Datum subject = Value(parts[0]);
      return OfCase(parts, 1, &subject);
    }
    if (f.name == "coalesce") {
      for (const Formula& part : parts) {
        Datum value = Value(part);
        if (!value.null() || trouble_.reason != BAD_NONE) return value;
      }
      return {};
    }
    if (f.name == "in") return OfIn(parts);
    if (f.name == "in_table") {
      const Datum key = Value(parts[0]);
      return key.null() ? key : Make(names_->tables->at(parts[1].name).contains(FormOf(key)));
    }
    if (f.name == "lookup") {
      const Datum key = Value(parts[1]);
      if (trouble_.reason != BAD_NONE) return {};
      const std::map<std::string, std::string>& table = names_->tables->at(parts[0].name);
      const auto entry = key.null() ? table.end() : table.find(FormOf(key));
      return entry == table.end() ? Value(parts[2]) : Datum{.is = entry->second};
    }
    std::vector<Datum> values;
    for (const Formula& part : parts) values.push_back(Value(part));
    if (trouble_.reason != BAD_NONE) return {};
    return OfValues(f.name, values);
  }

  Datum OfName(const std::string& name) {
    static const std::map<std::string, Formula> none;
    const std::map<std::string, Formula>& lets = names_->lets == nullptr ? none : *names_->lets;
    const auto let = lets.find(name);
    if (let == lets.end()) {
      const auto field = names_->fields.find(name);
      CHECK(field != names_->fields.end()) << "no field " << name;
      return field->second;
    }
    const auto known = names_->computed.find(name);
    if (known != names_->computed.end()) return known->second;
    Datum value = Value(let->second);
    if (trouble_.reason == BAD_NONE) names_->computed[name] = value;
    return value;
  }

  Datum OfCase(const std::vector<Formula>& parts, size_t first, const Datum* subject) {
    for (size_t i = first; i + 1 < parts.size(); i += 2) {
      const Datum condition = Value(parts[i]);
      const bool taken = subject == nullptr ? condition.truth()
                                            : !subject->null() && !condition.null() && Compared(*subject, condition) == 0;
      if (taken || trouble_.reason != BAD_NONE) return Value(parts[i + 1]);
    }
    return Value(parts.back());
  }

  Datum OfIn(const std::vector<Formula>& parts) {
    const Datum subject = Value(parts[0]);
    if (subject.null()) return {};
    bool null = false;
    for (size_t i = 1; i < parts.size(); ++i) {
      const Datum item = Value(parts[i]);
      if (trouble_.reason != BAD_NONE) return {};
      if (!item.null() && Compared(subject, item) == 0) return Make(true);
      null = null || item.null();
    }
    return null ? Datum() : Make(false);
  }

  Datum OfValues(const std::string& name, const std::vector<Datum>& values) {
    if (name == "is_null") return Make(values[0].null());
    if (name == "nullif")
      return !values[0].null() && !values[1].null() && Compared(values[0], values[1]) == 0 ? Datum() : values[0];
    if (name == "between") {
      // x >= low and x <= high, in three values.
      const Datum& x = values[0];
      const auto side = [&](const Datum& bound, int sign) {
        return x.null() || bound.null() ? Datum() : Make(Compared(x, bound) * sign >= 0);
      };
      const Datum low = side(values[1], 1);
      const Datum high = side(values[2], -1);
      if ((!low.null() && !low.truth()) || (!high.null() && !high.truth())) return Make(false);
      return low.null() || high.null() ? Datum() : Make(true);
    }
    if (std::any_of(values.begin(), values.end(), [](const Datum& value) { return value.null(); })) return {};
    if (name == "not") return Make(!values[0].truth());
    if (name == "=") return Make(Compared(values[0], values[1]) == 0);
    if (name == "<>") return Make(Compared(values[0], values[1]) != 0);
    if (name == "<") return Make(Compared(values[0], values[1]) < 0);
    if (name == "<=") return Make(Compared(values[0], values[1]) <= 0);
    if (name == ">") return Make(Compared(values[0], values[1]) > 0);
    if (name == ">=") return Make(Compared(values[0], values[1]) >= 0);
    const bool of_time = name == "date_part" || name == "date_trunc" || name == "time";
    Answer answer = of_time ? CallTimeFunction(name, values, *names_) : CallFunction(name, values);
    if (const auto* trouble = std::get_if<Trouble>(&answer)) {
      trouble_ = *trouble;
      return {};
    }
    return std::get<Datum>(std::move(answer));
  }

  Names* const names_;
  Trouble trouble_;
};

}  // namespace

Formula ParseFormula(std::string_view text) { return Reader(text).Read(); }

Answer Compute(const Formula& formula, Names* names) { return Computer(names).Compute(formula); }

BadReason ReadDecimal(std::string_view text, Rational* number) {
  size_t at = 0;
  const auto is_digit = [&] { return at < text.size() && text[at] >= '0' && text[at] <= '9'; };
  const bool negative = at < text.size() && text[at] == '-';
  if (negative || (at < text.size() && text[at] == '+')) ++at;
  BigInt mantissa = 0;
  int digits = 0;
  int decimals = 0;
  if (!is_digit()) return BAD_MALFORMED_NUMBER;
  for (; is_digit(); ++at, ++digits) {
    if (digits <= kMaxNumberDigits) mantissa = mantissa * 10 + (text[at] - '0');
  }
  if (at < text.size() && text[at] == '.') {
    ++at;
    if (!is_digit()) return BAD_MALFORMED_NUMBER;
    for (; is_digit(); ++at, ++digits, ++decimals) {
      if (digits <= kMaxNumberDigits) mantissa = mantissa * 10 + (text[at] - '0');
    }
  }
  int exponent = 0;
  bool lower = false;
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    lower = at < text.size() && text[at] == '-';
    if (lower || (at < text.size() && text[at] == '+')) ++at;
    if (!is_digit()) return BAD_MALFORMED_NUMBER;
    for (; is_digit(); ++at) exponent = std::min(exponent * 10 + (text[at] - '0'), 1000);
  }
  if (at < text.size()) return BAD_MALFORMED_NUMBER;
  if (digits > kMaxNumberDigits || exponent > kMaxNumberExponent) return BAD_NUMBER_OUT_OF_RANGE;
  const int scale = (lower ? -exponent : exponent) - decimals;
  const BigInt power = boost::multiprecision::pow(BigInt(10), static_cast<unsigned>(std::abs(scale)));
  *number = scale < 0 ? Rational(mantissa, power) : Rational(mantissa * power);
  if (negative) *number = -*number;
  return BAD_NONE;
}

BigInt Nearest(const Rational& number) {
  const BigInt n = boost::multiprecision::numerator(number);
  const BigInt d = boost::multiprecision::denominator(number);
  const BigInt size = abs(n);
  BigInt rounded = size / d;
  const BigInt rest = (size % d) * 2;
  if (rest > d || (rest == d && rounded % 2 != 0)) ++rounded;
  return n < 0 ? BigInt(-rounded) : rounded;
}

}  // namespace tenfold::oracle
