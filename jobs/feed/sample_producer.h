// Sample events of the ready jobs (jobs/feed/ready_jobs.h). Pure, with seeded random numbers: equal seeds give equal events.
// Used by one thread at a time.
#pragma once

#include <cstdint>
#include <random>
#include <string>

namespace tenfold {

enum class SampleKind {
  // "page37|5|1.5119122|-1", as the sample program of the original article makes them: clicks 0 to 9, minutes below 10 as a
  // JVM prints a float, like 1, 0 or -1.
  kDelimited,
  // {"page":"page37","clicks":5,"at":1795876257000}, of some moment of the last seconds.
  kJson,
  // "a page and a record of the topic": three to twelve words, some of them far more often than others.
  kText,
  // {"page":"page37","geo":{"country":"DE"},"clicks":5,"ms":212.5}; some without a country, and some without a time.
  kVisits,
  // A line of a web server's log, in the combined format with the milliseconds that the request took behind it: some pages
  // are slow more often than others.
  kRequests,
  // An order of a shop in Avro, as jobs/top-sellers.yaml has its schema.
  kOrders,
  // A reading of a sensor as a message of Protocol Buffers, which jobs/sensor-peaks.yaml has the source of.
  kReadings,
};

class SampleEvents {
 public:
  // The pages are page1 to page<pages>.
  SampleEvents(SampleKind kind, uint64_t seed, uint32_t pages);

  // Returns an event of about this time, in milliseconds since 1970.
  std::string Next(int64_t now_ms);
  // Returns the size of the next burst, in [low, high].
  uint32_t Burst(uint32_t low, uint32_t high);

 private:
  std::string NextDelimited();
  std::string NextJson(int64_t now_ms);
  std::string NextText();
  std::string NextVisit();
  std::string NextRequest(int64_t now_ms);
  std::string NextOrder(int64_t now_ms);
  std::string NextReading(int64_t now_ms);

  const SampleKind kind_;
  std::mt19937_64 random_;
  const uint32_t pages_;
};

}  // namespace tenfold
