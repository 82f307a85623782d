// Numbers that a format's reader and the oracle find, in one form whichever they had.
#pragma once

#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "jobs/decode/record.h"

namespace tenfold {

// Without zeros that say nothing, and with an exponent only if it has over 20 of them; "nan" for what is no number.
inline std::string ShownNumber(const std::string& text) {
  if (text.empty() || text.find_first_not_of("+-.0123456789eE") != std::string::npos) return "nan";
  const size_t e = text.find_first_of("eE");
  int exponent = e == std::string::npos ? 0 : std::atoi(text.c_str() + e + 1);
  std::string digits = text.substr(0, e);
  const bool negative = digits[0] == '-';
  if (const size_t point = digits.find('.'); point != std::string::npos) {
    exponent -= static_cast<int>(digits.size() - point - 1);
    digits.erase(point, 1);
  }
  digits.erase(0, std::min(digits.find_first_of("123456789"), digits.size()));
  for (; !digits.empty() && digits.back() == '0'; digits.pop_back()) ++exponent;
  if (digits.empty()) return "0";
  constexpr int kMost = 20;
  if (exponent > kMost || exponent < -kMost) {
    absl::StrAppend(&digits, "e", exponent);
  } else if (exponent >= 0) {
    digits.append(static_cast<size_t>(exponent), '0');
  } else {
    const auto decimals = static_cast<size_t>(-exponent);
    if (digits.size() <= decimals) digits.insert(0, decimals + 1 - digits.size(), '0');
    digits.insert(digits.size() - decimals, ".");
  }
  return negative ? "-" + digits : digits;
}

inline std::string ShownNumber(const RawValue& value) {
  if (value.kind != RawValue::Kind::kDecimal) return ShownNumber(std::string(value.text));
  return ShownNumber(absl::StrCat(value.mantissa, "e-", static_cast<int>(value.decimals)));
}

}  // namespace tenfold
