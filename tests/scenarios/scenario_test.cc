// Runs every tests/scenarios/*.scenario: the results that a file tells are those of the oracle, and a cluster publishes what
// the oracle has, whatever goes wrong (tests/simulation). TENFOLD_SCENARIO_SEEDS sets how many clusters each file is run in.
#include "tests/scenarios/scenario.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "common/number/units.h"
#include "fmt/format.h"
#include "gtest/gtest.h"
#include "jobs/oracle/oracle.h"
#include "tests/simulation/simulated_cluster.h"

namespace tenfold {
namespace {

std::vector<std::string> Names() {
  std::vector<std::string> names;
  for (const auto& file : std::filesystem::directory_iterator(TENFOLD_SOURCE_DIR "/tests/scenarios")) {
    if (file.path().extension() == ".scenario") names.push_back(file.path().stem());
  }
  std::ranges::sort(names);
  return names;
}

// The parts of a key of several, as a scenario has them.
std::string KeyOf(const std::string& key, int parts) {
  if (parts < 2) return key;
  std::string text;
  for (size_t i = 0; i < key.size(); ++i) {
    const bool ends = key[i] == '\0' && key[i + 1] == '\1';
    if (!ends) text += key[i];
    if (key[i] == '\0') ++i;
    if (ends && i + 1 < key.size()) text += ',';
  }
  return text;
}

// What the oracle has at the cut, as a scenario says it.
std::string ResultAt(const Scenario& scenario, const Scenario::Cut& cut) {
  Oracle oracle(scenario.spec, scenario.partitions.size());
  for (size_t p = 0; p < scenario.partitions.size(); ++p) {
    for (size_t offset = 0; offset < cut.offsets[p]; ++offset) {
      const Scenario::Record& record = scenario.partitions[p][offset];
      oracle.Add(p, record.value,
                 {.topic = "events",
                  .partition = static_cast<int32_t>(p),
                  .offset = static_cast<int64_t>(offset),
                  .parts = &record.parts});
    }
  }
  const Oracle::Result result = oracle.Compute();
  const GeneralFold& fold = scenario.spec.fold().general();
  std::string text;
  for (size_t i = 0; i < result.top.size(); ++i) {
    const Entry& entry = result.top[i];
    text += fmt::format("{} {}", i + 1, KeyOf(entry.key(), fold.key_size()));
    int sum = 0;
    const auto next = [&] { return FromProto(sum++ == 0 ? entry.sum() : entry.others(sum - 2)); };
    for (int m = 0; m < std::max(1, fold.measures_size()); ++m) {
      const Units value = next();
      const bool null = fold.measures_size() > 0 && fold.measures(m).nullable() && next() == 0;
      text += " " + (null ? "null" : FormatUnits(value));
    }
    text += "\n";
  }
  return text + fmt::format("records {} bad {} filtered {}\n", result.records, result.bad_records, result.filtered_records);
}

class ScenarioTest : public testing::TestWithParam<std::string> {};

TEST_P(ScenarioTest, IsWhatTheFileSaysAndWhatAClusterPublishes) {
  std::ifstream file(TENFOLD_SOURCE_DIR "/tests/scenarios/" + GetParam() + ".scenario");
  const absl::StatusOr<Scenario> scenario = ReadScenario(std::string(std::istreambuf_iterator<char>(file), {}));
  ASSERT_TRUE(scenario.ok()) << scenario.status();
  ASSERT_FALSE(scenario->cuts.empty()) << "it says nothing of a result";
  for (const Scenario::Cut& cut : scenario->cuts) EXPECT_EQ(ResultAt(*scenario, cut), cut.expected) << "at " << cut.name;
  const char* const wanted = std::getenv("TENFOLD_SCENARIO_SEEDS");
  const uint64_t seeds = wanted == nullptr ? 30 : std::stoull(wanted);
  std::map<std::string, int> hits;
  for (uint64_t seed = 0; seed < seeds; ++seed)
    ASSERT_EQ(SimulatedCluster(seed, &hits, &*scenario).Run(), "") << "seed " << seed;
}

INSTANTIATE_TEST_SUITE_P(Files, ScenarioTest, testing::ValuesIn(Names()), [](const auto& test) {
  std::string name = test.param;
  std::ranges::replace(name, '-', '_');
  return name;
});

}  // namespace
}  // namespace tenfold
