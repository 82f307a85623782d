#include "common/number/short_decimal.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "glog/logging.h"

namespace tenfold {
namespace {

template <typename Float>
std::string TextOf(Float value) {
  if (!std::isfinite(value)) return std::isnan(value) ? "nan" : "inf";
  const Float size = std::fabs(value);
  // In the format without an exponent, std::to_chars writes all digits of those that are whole whatever they are.
  const bool all_whole = size >= std::ldexp(Float{1}, std::numeric_limits<Float>::digits);
  const bool fixed = size == 0 || (size >= static_cast<Float>(1e-6) && size < static_cast<Float>(1e21));
  std::array<char, 64> buffer;
  const auto format = fixed && !all_whole ? std::chars_format::fixed : std::chars_format::scientific;
  const auto [end, error] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, format);
  CHECK(error == std::errc());
  std::string text(buffer.data(), end);
  if (!fixed || !all_whole) return text;
  const size_t e = text.find('e');
  const auto zeros = static_cast<size_t>(std::atoi(text.c_str() + e + 1));
  text.resize(e);
  const size_t point = text.find('.');
  const size_t decimals = point == std::string::npos ? 0 : text.size() - point - 1;
  if (point != std::string::npos) text.erase(point, 1);
  return text.append(zeros - decimals, '0');
}

// A multiple of 10^-i whose mantissa is below 2^50, or 2^21 for a float, differs from the next one by more than three
// distances between floats, so at most one of them reads back as the number, and any other decimal that does has more
// digits: it is the shortest, zeros at its end aside. A float is rounded twice, first to a double; a decimal as short as
// this lies at least 2^-49 of its size from the middle of two floats, or exactly on it, so that the first rounding, of
// 2^-53, changes nothing.
template <typename Float>
bool Read(Float value, int* decimals, int64_t* mantissa) {
  constexpr bool is_double = std::numeric_limits<Float>::digits == 53;
  constexpr double kMost = is_double ? 0x1p50 : 0x1p21;
  constexpr std::array<double, 10> kPowers = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};
  constexpr int kMostDecimals = is_double ? 9 : 7;
  const auto reads_back = [&](int i) {
    const double power = kPowers[static_cast<size_t>(i)];
    const double nearest = std::nearbyint(static_cast<double>(value) * power);
    if (!(std::fabs(nearest) < kMost) || static_cast<Float>(nearest / power) != value) return false;
    *decimals = i;
    *mantissa = static_cast<int64_t>(nearest);
    return true;
  };
  if (reads_back(std::clamp(*decimals, 0, kMostDecimals))) return true;
  for (int i = 0; i <= kMostDecimals; ++i) {
    if (reads_back(i)) return true;
  }
  return false;
}

}  // namespace

std::string ShortestDecimal(float value) { return TextOf(value); }
std::string ShortestDecimal(double value) { return TextOf(value); }

bool ReadShortDecimal(float value, int* decimals, int64_t* mantissa) { return Read(value, decimals, mantissa); }
bool ReadShortDecimal(double value, int* decimals, int64_t* mantissa) { return Read(value, decimals, mantissa); }

}  // namespace tenfold
