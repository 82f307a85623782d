// Many seeded runs of a simulated cluster; every batch is compared with the oracle. A failing seed is printed, and
// TENFOLD_SIM_SEED=SEED runs it alone; TENFOLD_SIM_RUNS sets how many random ones there are beside 100 fixed ones. More
// follow until all that is rare has been seen, so that a run without luck is no failure.
#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <map>
#include <random>
#include <string>

#include "gtest/gtest.h"
#include "tests/simulation/simulated_cluster.h"

namespace tenfold {
namespace {

constexpr int kFixedSeeds = 100;
constexpr int kRandomSeeds = 500;
// What no run of so many shows is not there.
constexpr int kMostSeeds = 5'000;

// Everything a run can do to the cluster, and everything the cluster must do about it: none may go unexercised.
const char* const kExpected[] = {"fault: worker killed",
                                 "fault: worker gone for good",
                                 "fault: worker cut off",
                                 "fault: worker joins",
                                 "fault: disk lost",
                                 "fault: row damaged on disk",
                                 "fault: row and digest damaged on disk",
                                 "fault: driver killed",
                                 "fault: driver killed between journal and publish",
                                 "fault: older journal restored",
                                 "fault: second driver over a copy of the journal",
                                 "fault: partitions grow",
                                 "fault: request lost",
                                 "fault: reply lost",
                                 "fault: request doubled and late",
                                 "fault: reply doubled",
                                 "fault: Kafka unreachable",
                                 "fault: driver stands still",
                                 "fault: sink stalls",
                                 "fault: store fails",
                                 "fault: worker refuses everything at once",
                                 "fault: worker heard and never reached again",
                                 "fault: a bad record fails the job",
                                 "fault: offsets lost",
                                 "fault: log's start lost",
                                 "fault: log truncated",
                                 "fault: job cancelled",
                                 "fault: partitions found twice",
                                 "fault: search without an answer",
                                 "fault: topic compacted for a while",
                                 "fault: changes lost on their way",
                                 "fault: worker killed while the job is merged by changes",
                                 "fault: driver killed while it merges by changes",
                                 "job: a fold of expressions",
                                 "job: several measures",
                                 "job: a highest or lowest number",
                                 "job: a list is exploded",
                                 "job: a table is looked up",
                                 "job: two sources",
                                 "job: it ends",
                                 "step: job finished",
                                 "step: job paused",
                                 "job: windows",
                                 "job: the lowest come first",
                                 "job: having",
                                 "step: batch committed",
                                 "step: batch merged by changes",
                                 "step: batch committed while there is another driver",
                                 "step: driver of a lower epoch refused",
                                 "step: all entries looked up",
                                 "step: changes told again",
                                 "step: only entries that changed told",
                                 "step: changed entries told again",
                                 "step: more changes looked up",
                                 "step: worker does not know the composition quoted",
                                 "step: merge by changes given up",
                                 "step: failure told by a worker",
                                 "step: job failed and named the place",
                                 "step: job stopped as its journal lacks batches",
                                 "step: failed job cancelled",
                                 "step: name of a cancelled job taken again",
                                 "step: cancelled job dropped by a worker",
                                 "step: job waits for its sink",
                                 "step: look-up",
                                 "step: late records",
                                 "step: window moves on",
                                 "step: windows become final",
                                 "step: a window is final by decree",
                                 "step: final windows left to the next batch",
                                 "step: second round of the merge",
                                 "step: shard moves",
                                 "step: shard prepared",
                                 "step: refold begun",
                                 "step: refold switched",
                                 "step: refold replaced by another",
                                 "step: refold called off by an update",
                                 "step: refold came to nothing and said why",
                                 "step: windows stay final over a refold",
                                 "step: partitions added",
                                 "job: records by schemas of a registry",
                                 "fault: the registry has another schema by an id",
                                 "fault: the registry does not answer",
                                 "fault: the registry has yet to hear of a schema",
                                 "step: schema learned",
                                 "step: schema learned to be unknown",
                                 "step: schema learned for a refold",
                                 "step: state below the journal replayed",
                                 "step: stale request refused",
                                 "step: request that does not fit refused",
                                 "step: job dropped from a worker",
                                 "step: doubted shard folded again",
                                 "step: slice of the keys looked up",
                                 "step: driver started again from its journal"};

TEST(Simulation, EveryBatchOfEverySeedEqualsTheOracle) {
  std::map<std::string, int> hits;
  if (const char* seed = std::getenv("TENFOLD_SIM_SEED")) {
    EXPECT_EQ(SimulatedCluster(std::strtoull(seed, nullptr, 10), &hits).Run(), "");
    return;
  }
  const char* runs = std::getenv("TENFOLD_SIM_RUNS");
  const int random_seeds = runs == nullptr ? kRandomSeeds : std::atoi(runs);
  std::random_device device;
  // The fixed seeds alone, for a planted bug, need not see everything.
  const auto lacks = [&](const char* what) { return random_seeds > 0 && hits[what] == 0; };
  int i = 0;
  for (; i < kFixedSeeds + random_seeds || (i < kMostSeeds && std::ranges::any_of(kExpected, lacks)); ++i) {
    const uint64_t seed = i < kFixedSeeds ? static_cast<uint64_t>(i) : device();
    const std::string wrong = SimulatedCluster(seed, &hits).Run();
    ASSERT_EQ(wrong, "") << "seed " << seed << " (TENFOLD_SIM_SEED=" << seed << " runs it alone)";
  }
  std::cout << "Over " << i << " runs:\n";
  for (const auto& [what, count] : hits) std::cout << "  " << count << "  " << what << "\n";
  for (const char* what : kExpected) EXPECT_FALSE(lacks(what)) << what << " never happened";
}

}  // namespace
}  // namespace tenfold
