// Runs every tests/scenarios/*.scenario: the results that a file tells are those of the oracle, and a cluster publishes what
// the oracle has, whatever goes wrong (tests/simulation). TENFOLD_SCENARIO_SEEDS sets how many clusters each file is run in.
#include "tests/scenarios/scenario.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/number/units.h"
#include "fmt/format.h"
#include "gtest/gtest.h"
#include "jobs/oracle/oracle.h"
#include "jobs/plan/measures.h"
#include "jobs/show/result_json.h"
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

template <typename Top>
std::string TextOf(const Top& top, const ResultForm& form) {
  std::string text;
  for (int i = 0; i < static_cast<int>(top.size()); ++i) {
    text += fmt::format("{} {}", i + 1, fmt::join(KeyParts(top[i].key(), form), ","));
    for (const RowMeasure& measure : form.measures.measures) {
      text += " " + measure.TextOf(SumsOf(top[i])).value_or("null");
    }
    text += "\n";
  }
  return text;
}

std::string ResultText(const oracle::ExpectedResult& result, const ResultForm& form) {
  std::string text = TextOf(google::protobuf::RepeatedPtrField<Entry>(result.top.begin(), result.top.end()), form);
  for (const GroupTop& group : result.groups) text += fmt::format("group {}\n{}", group.group(), TextOf(group.top(), form));
  return text + (result.groups_cut ? "more groups\n" : "");
}

// What the oracle has at the cut, as a scenario says it.
std::string ResultAt(const Scenario& scenario, const Scenario::Cut& cut) {
  Oracle oracle(scenario.spec, scenario.partitions.size());
  for (const auto& [id, avro] : scenario.schemas) {
    LearnedSchema schema;
    schema.set_id(id);
    schema.set_avro(avro);
    oracle.Learn(schema);
  }
  for (size_t p = 0; p < scenario.partitions.size(); ++p) {
    for (size_t offset = 0; offset < cut.offsets[p]; ++offset) {
      const Scenario::Record& record = scenario.partitions[p][offset];
      oracle.Add(p, record.value,
                 {.topic = "events",
                  .partition = static_cast<int32_t>(p),
                  .offset = static_cast<int64_t>(offset),
                  .parts = &record.parts,
                  .source = scenario.SourceOf(p)});
    }
    if (scenario.ends && cut.offsets[p] == scenario.partitions[p].size()) oracle.End(p);
  }
  const Oracle::Result result = oracle.Compute();
  const ResultForm form = ResultFormOf(scenario.spec);
  std::string text;
  if (result.window) text += fmt::format("window {}\n", WindowText(*result.window, *form.calendar));
  text += ResultText(result, form);
  if (form.calendar != nullptr) {
    const std::optional<int64_t> passed = oracle.Passed();
    for (const int64_t window : oracle.Windows()) {
      if (!passed || window > *passed) break;
      text +=
          fmt::format("final {}\n{}", WindowText(window, *form.calendar), ResultText(oracle.ResultOfWindow(window), form));
    }
  }
  return text + fmt::format("records {} bad {} filtered {}{}\n", result.records, result.bad_records, result.filtered_records,
                            form.calendar != nullptr ? fmt::format(" late {}", result.late_records) : "");
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
