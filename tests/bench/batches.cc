// bench-batches: follows a job and prints every batch as a line of JSON at once, with the timings of its journal record and
// the time it was seen here, until one has so many records.
#include <algorithm>
#include <iostream>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/time/clock.h"
#include "common/number/units.h"
#include "common/text/framed_key.h"
#include "jobs/cli/batch_client.h"
#include "nlohmann/json.hpp"

namespace tenfold::bench {
namespace {

constexpr absl::Duration kWait = absl::Seconds(1);

// The best of a batch; of one with groups, whose keys have one part, the best of all groups, which each has among its own.
std::vector<Entry> BestOf(const BatchCommitted& batch) {
  std::vector<Entry> best(batch.top().begin(), batch.top().end());
  for (const GroupTop& group : batch.groups()) {
    for (const Entry& entry : group.top()) best.emplace_back(entry).set_key(PartsOfKey(entry.key()).back());
  }
  if (batch.groups().empty()) return best;
  std::ranges::sort(best, [](const Entry& a, const Entry& b) {
    const Units left = FromProto(a.sum());
    const Units right = FromProto(b.sum());
    return left != right ? left > right : a.key() < b.key();
  });
  if (best.size() > batch.k()) best.resize(batch.k());
  return best;
}

std::string Line(const BatchCommitted& batch, absl::Time seen) {
  nlohmann::ordered_json top = nlohmann::ordered_json::array();
  for (const Entry& entry : BestOf(batch)) {
    top.push_back({{"key", entry.key()}, {"score", FormatUnits(FromProto(entry.sum()))}});
  }
  const BatchTimings& timings = batch.timings();
  const nlohmann::ordered_json line = {{"batch", batch.batch()},
                                       {"published_at_us", batch.published_at_us()},
                                       {"seen_at_ms", absl::ToUnixMillis(seen)},
                                       {"records", batch.records()},
                                       {"bad_records", batch.bad_records()},
                                       {"batch_records", batch.batch_records()},
                                       {"ends_us", timings.ends_us()},
                                       {"fold_us", timings.fold_us()},
                                       {"persist_us", timings.persist_us()},
                                       {"merge_us", timings.merge_us()},
                                       {"processing_us", timings.processing_us()},
                                       {"rounds", batch.proof().rounds()},
                                       {"entries", batch.proof().entries()},
                                       {"top", std::move(top)}};
  return line.dump();
}

int Run(int argc, char** argv) {
  CLI::App app("Follows a job's batches.", "bench-batches");
  CliGlobals globals;
  std::string job;
  uint64_t batch = 1;
  uint64_t records = 0;
  double timeout_s = 120;
  app.add_option("--driver", globals.driver)->required();
  app.add_option("--job", job)->required();
  app.add_option("--from", batch, "The first batch")->capture_default_str();
  app.add_option("--records", records, "Ends with the first batch that has so many")->capture_default_str();
  app.add_option("--timeout", timeout_s, "Seconds")->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  BatchClient client(globals, job, nullptr);
  const absl::Time deadline = absl::Now() + absl::Seconds(timeout_s);
  while (absl::Now() < deadline) {
    GetBatchReply reply;
    const BatchClient::Outcome outcome = client.Next(batch, kWait, &reply);
    if (outcome == BatchClient::Outcome::kFailed) return 1;
    if (outcome != BatchClient::Outcome::kBatch) continue;
    std::cout << Line(reply.batch(), absl::Now()) << std::endl;
    if (reply.batch().records() >= records) return 0;
    ++batch;
  }
  std::cerr << "bench-batches: no batch with " << records << " records within " << timeout_s << " s\n";
  return 1;
}

}  // namespace
}  // namespace tenfold::bench

int main(int argc, char** argv) { return tenfold::bench::Run(argc, argv); }
