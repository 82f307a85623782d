#include "jobs/oracle/float_text.h"

#include <cmath>
#include <cstdlib>
#include <optional>

#include "boost/multiprecision/cpp_int.hpp"
#include "fmt/format.h"

namespace tenfold::oracle {
namespace {

using BigInt = boost::multiprecision::cpp_int;
using Rational = boost::multiprecision::cpp_rational;

// The digits and the exponent of the last of them.
struct Digits {
  BigInt digits;
  int exponent = 0;
};

Rational ValueOf(const Digits& of) {
  const BigInt power = boost::multiprecision::pow(BigInt(10), static_cast<unsigned>(std::abs(of.exponent)));
  return of.exponent < 0 ? Rational(of.digits, power) : Rational(of.digits * power);
}

// Of the shortest decimals that a float or double reads back from, the nearest to it; the number is above 0.
template <typename Float>
Digits Shortest(Float number) {
  const auto exact = Rational(number);
  for (int precision = 1;; ++precision) {
    const std::string nearest = fmt::format("{:.{}e}", number, precision - 1);
    const size_t e = nearest.find('e');
    std::string digits = nearest.substr(0, e);
    if (precision > 1) digits.erase(1, 1);
    const int exponent = std::atoi(nearest.c_str() + e + 1) - (precision - 1);
    std::optional<Digits> best;
    for (const int step : {0, -1, 1}) {
      const Digits candidate = {BigInt(digits) + step, exponent};
      const std::string text = fmt::format("{}e{}", candidate.digits.str(), candidate.exponent);
      Float back = 0;
      if constexpr (sizeof(Float) == sizeof(float)) {
        back = std::strtof(text.c_str(), nullptr);
      } else {
        back = std::strtod(text.c_str(), nullptr);
      }
      if (back != number) continue;
      if (!best || abs(ValueOf(candidate) - exact) < abs(ValueOf(*best) - exact)) best = candidate;
    }
    if (best) return *best;
  }
}

template <typename Float>
std::string TextOf(Float number) {
  if (std::isnan(number) || std::isinf(number)) return "no number";
  const std::string sign = std::signbit(number) ? "-" : "";
  if (number == 0) return sign + "0";
  Digits shortest = Shortest(std::fabs(number));
  while (shortest.digits % 10 == 0) {
    shortest.digits /= 10;
    ++shortest.exponent;
  }
  std::string text = shortest.digits.str();
  const int point = static_cast<int>(text.size()) + shortest.exponent;
  if (point < -5 || point > 21) {
    if (text.size() > 1) text.insert(1, ".");
    return fmt::format("{}{}e{:+03d}", sign, text, point - 1);
  }
  if (shortest.exponent >= 0) return sign + text + std::string(static_cast<size_t>(shortest.exponent), '0');
  if (point <= 0) return sign + "0." + std::string(static_cast<size_t>(-point), '0') + text;
  return sign + text.insert(static_cast<size_t>(point), ".");
}

}  // namespace

std::string FloatText(float number) { return TextOf(number); }
std::string FloatText(double number) { return TextOf(number); }

}  // namespace tenfold::oracle
