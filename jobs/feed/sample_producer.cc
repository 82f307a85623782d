#include "jobs/feed/sample_producer.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <iterator>
#include <string_view>

#include "absl/time/time.h"
#include "fmt/format.h"
#include "glog/logging.h"
#include "jobs/feed/avro_encoding.h"

namespace tenfold {
namespace {

// How long ago an event may have been when it is appended, in milliseconds.
constexpr uint32_t kLatestMs = 10'000;

// Returns a number in [0, count) from one draw. The numbers of a standard distribution differ between libraries.
uint32_t Below(std::mt19937_64* random, uint64_t count) { return static_cast<uint32_t>(((*random)() >> 32) * count >> 32); }

// Writes a float like java.lang.Float.toString: the shortest digits that read back the same, at least one fraction digit,
// and d.dE-n below 0.001.
void AppendAsJvm(float value, std::string* text) {
  char buffer[32];
  const bool scientific = value != 0 && value < 1e-3f;
  const auto format = scientific ? std::chars_format::scientific : std::chars_format::fixed;
  const auto result = std::to_chars(buffer, buffer + sizeof(buffer), value, format);
  CHECK(result.ec == std::errc());
  const std::string_view digits(buffer, static_cast<size_t>(result.ptr - buffer));
  const size_t exponent_at = digits.find('e');
  const std::string_view mantissa = digits.substr(0, exponent_at);
  text->append(mantissa);
  if (mantissa.find('.') == std::string_view::npos) text->append(".0");
  if (exponent_at == std::string_view::npos) return;
  // "e-04" reads E-4.
  text->append("E-");
  text->append(digits.substr(digits.find_first_not_of('0', exponent_at + 2)));
}

}  // namespace

SampleEvents::SampleEvents(SampleKind kind, uint64_t seed, uint32_t pages) : kind_(kind), random_(seed), pages_(pages) {
  CHECK_GT(pages, 0u);
}

std::string SampleEvents::Next(int64_t now_ms) {
  switch (kind_) {
    case SampleKind::kDelimited:
      return NextDelimited();
    case SampleKind::kJson:
      return NextJson(now_ms);
    case SampleKind::kText:
      return NextText();
    case SampleKind::kVisits:
      return NextVisit();
    case SampleKind::kRequests:
      return NextRequest(now_ms);
    case SampleKind::kOrders:
      return NextOrder(now_ms);
    case SampleKind::kReadings:
      return NextReading(now_ms);
  }
  return "";
}

std::string SampleEvents::NextJson(int64_t now_ms) {
  const uint32_t page = 1 + Below(&random_, pages_);
  const uint32_t clicks = Below(&random_, 10);
  return fmt::format(R"({{"page":"page{}","clicks":{},"at":{}}})", page, clicks, now_ms - Below(&random_, kLatestMs));
}

std::string SampleEvents::NextText() {
  constexpr std::string_view kWords[] = {"the",    "a",      "of",    "and",    "page",   "record", "to",     "in",
                                         "topic",  "stream", "batch", "is",     "worker", "key",    "offset", "exact",
                                         "window", "driver", "state", "result", "lag",    "shard",  "late",   "final"};
  std::string text;
  for (uint32_t words = 3 + Below(&random_, 10); words > 0; --words) {
    // The lesser of two draws is more often a low one.
    const uint32_t word = std::min(Below(&random_, std::size(kWords)), Below(&random_, std::size(kWords)));
    text += text.empty() ? "" : " ";
    text += kWords[word];
  }
  return text;
}

std::string SampleEvents::NextVisit() {
  constexpr std::string_view kCountries[] = {"US", "DE", "IN", "BR", "FR", "GB", "JP", "AT", "PL", "NL", "KE", "NZ"};
  const uint32_t page = 1 + Below(&random_, pages_);
  // Most come from few of them.
  const uint32_t country = std::min(Below(&random_, std::size(kCountries)), Below(&random_, std::size(kCountries)));
  const bool is_known = Below(&random_, 20) > 0;
  const std::string geo = is_known ? fmt::format(R"("geo":{{"country":"{}"}},)", kCountries[country]) : "";
  std::string visit = fmt::format(R"({{"page":"page{}",{}"clicks":{})", page, geo, Below(&random_, 10));
  const uint32_t half_ms = 20 + Below(&random_, 2000);
  if (Below(&random_, 10) > 0) visit += fmt::format(R"(,"ms":{}{})", half_ms / 2, half_ms % 2 == 0 ? "" : ".5");
  return visit + "}";
}

std::string SampleEvents::NextRequest(int64_t now_ms) {
  const uint32_t page = 1 + Below(&random_, pages_);
  const uint32_t host = Below(&random_, 254);
  const bool posts = Below(&random_, 8) == 0;
  const std::string query = Below(&random_, 4) == 0 ? fmt::format("?x={}", Below(&random_, 100)) : "";
  const uint32_t status = Below(&random_, 50) == 0 ? 503 : Below(&random_, 20) == 0 ? 404 : 200;
  // The higher its number, the more often a page takes long.
  const bool slow = Below(&random_, 2 * uint64_t{pages_}) < page;
  const uint32_t half_ms = slow ? 900 + Below(&random_, 4000) : 4 + Below(&random_, 900);
  const std::string at = absl::FormatTime("%d/%b/%Y:%H:%M:%S %z", absl::FromUnixMillis(now_ms - Below(&random_, kLatestMs)),
                                          absl::UTCTimeZone());
  return fmt::format(R"(203.0.113.{} - - [{}] "{} /page{}{} HTTP/1.1" {} {} "-" "curl/7.88.1" {}{})", 1 + host, at,
                     posts ? "POST" : "GET", page, query, status, 100 + Below(&random_, 20'000), half_ms / 2,
                     half_ms % 2 == 0 ? "" : ".5");
}

std::string SampleEvents::NextOrder(int64_t now_ms) {
  // A zero and the id of a schema.
  std::string order("\0\0\0\0\1", 5);
  const uint32_t product = 1 + Below(&random_, pages_);
  AppendAvroText(fmt::format("sku-{}", 40'000 + 37 * product), &order);
  // Cents, as a whole number in two's complement with the highest byte first.
  const uint32_t cents = 199 + 100 * product % 2900;
  AppendAvroText(std::string{static_cast<char>(cents >> 8), static_cast<char>(cents)}, &order);
  AppendAvroLong(1 + Below(&random_, 5), &order);
  AppendAvroLong(Below(&random_, 10) == 0 ? 2 : Below(&random_, 2), &order);
  const bool has_coupon = Below(&random_, 4) == 0;
  AppendAvroLong(has_coupon ? 1 : 0, &order);
  if (has_coupon) AppendAvroText("SAVE10", &order);
  AppendAvroLong(now_ms - Below(&random_, kLatestMs), &order);
  return order;
}

std::string SampleEvents::NextReading(int64_t now_ms) {
  // Tags are a field's number and a wire type: 0 for a number in bytes of seven bits, 1 for eight bytes, 2 for what has a
  // size.
  const auto tag = [](char number, char wire_type) { return static_cast<char>(number << 3 | wire_type); };
  const auto sized = [&](char number, std::string_view bytes) {
    return std::string{tag(number, 2), static_cast<char>(bytes.size())}.append(bytes);
  };
  const uint32_t sensor = 1 + Below(&random_, pages_);
  std::string reading = sized(1, fmt::format("sensor-{}", sensor));
  reading += sized(2, sized(1, sensor % 3 == 0 ? "north" : "south"));
  // Some only say that they are there.
  if (Below(&random_, 20) > 0) {
    // Tenths, as a double is not exact of, and its decimal is.
    const double celsius = 20 + static_cast<double>(Below(&random_, 300 + sensor)) / 10;
    reading += tag(3, 1);
    reading.append(reinterpret_cast<const char*>(&celsius), sizeof(celsius));
  }
  std::string at{tag(1, 0)};
  for (int64_t rest = (now_ms - Below(&random_, kLatestMs)) / 1000; rest > 0; rest >>= 7)
    at += static_cast<char>((rest & 0x7f) | (rest >= 0x80 ? 0x80 : 0));
  return reading + sized(4, at);
}

std::string SampleEvents::NextDelimited() {
  std::string event = "page";
  event += std::to_string(1 + uint64_t{Below(&random_, pages_)});
  event += '|';
  event += static_cast<char>('0' + Below(&random_, 10));
  event += '|';
  // 24 random bits are a float in [0, 1) exactly, as java.util.Random makes one.
  AppendAsJvm(static_cast<float>(Below(&random_, 1 << 24)) * (10.0f / (1 << 24)), &event);
  event += '|';
  constexpr std::string_view kLikes[] = {"-1", "0", "1"};
  event += kLikes[Below(&random_, 3)];
  return event;
}

uint32_t SampleEvents::Burst(uint32_t low, uint32_t high) {
  CHECK_LE(low, high);
  return low + Below(&random_, uint64_t{high} - low + 1);
}

}  // namespace tenfold
