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

// Of decimals with a mantissa so far below the float's own digits, at most one with as many decimals lies as near to the
// number as half the distance to the next float, so the one that reads back is the shortest but for zeros at its end. A
// double that is divided by a power of ten that is one is rounded once; of a float, which is rounded from that once more,
// numbers with at most seven decimals and 21 bits are too far from the middle of two floats for that to matter.
template <typename Float>
bool Read(Float value, int* decimals, int64_t* mantissa) {
  constexpr bool is_double = std::numeric_limits<Float>::digits == 53;
  constexpr double kMost = is_double ? 0x1p50 : 0x1p21;
  constexpr std::array<double, 16> kPowers = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                              1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
  constexpr int kMostDecimals = is_double ? 15 : 7;
  const auto wide = static_cast<double>(value);
  for (int i = std::min(*decimals, kMostDecimals); i <= kMostDecimals; ++i) {
    const double nearest = std::nearbyint(wide * kPowers[static_cast<size_t>(i)]);
    if (!(std::fabs(nearest) < kMost)) break;
    if (static_cast<Float>(nearest / kPowers[static_cast<size_t>(i)]) != value) continue;
    *decimals = i;
    *mantissa = static_cast<int64_t>(nearest);
    return true;
  }
  return false;
}

}  // namespace

std::string ShortestDecimal(float value) { return TextOf(value); }
std::string ShortestDecimal(double value) { return TextOf(value); }

bool ReadShortDecimal(float value, int* decimals, int64_t* mantissa) { return Read(value, decimals, mantissa); }
bool ReadShortDecimal(double value, int* decimals, int64_t* mantissa) { return Read(value, decimals, mantissa); }

}  // namespace tenfold
