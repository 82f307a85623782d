// Feeds any text as expressions of a job to the plan: nothing may crash, what is refused is refused with a place within the
// text, and what is taken has one canonical form, which is a plan as well and its own canonical form. Then a record is
// computed by it, as the oracle computes it by its own reading of the text.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "glog/logging.h"
#include "google/protobuf/util/message_differencer.h"
#include "jobs/decode/general_decoder.h"
#include "jobs/oracle/general_record.h"
#include "jobs/plan/plan.h"

namespace tenfold {
namespace {

GeneralFold MakeFold(bool where, const std::string& text) {
  GeneralFold fold;
  fold.mutable_format()->mutable_delimited()->set_separator("|");
  for (const char* name : {"n", "t", "u"}) fold.mutable_format()->mutable_delimited()->add_fields(name);
  Field* const field = fold.add_fields();
  field->set_name("at");
  field->set_type(FIELD_TIMESTAMP);
  field->set_place("u");
  field->set_nullable(true);
  if (where) fold.set_where(text);
  LookupTable* const table = fold.add_tables();
  table->set_name("codes");
  for (const char* key : {"", "1", "page"}) {
    table->add_keys(key);
    table->add_values("found");
  }
  // Conditions may be of an element.
  if (where) {
    fold.mutable_explode()->set_name("e");
    fold.mutable_explode()->set_list("split(t, \"a\")");
  }
  fold.add_key("t");
  Measure* const measure = fold.add_measures();
  measure->set_name("m");
  measure->set_expression(where ? "count()" : text);
  return fold;
}

void CheckText(bool where, const std::string& text) {
  GeneralFold fold = MakeFold(where, text);
  std::vector<PlanProblem> problems;
  if (MakePlan(fold, &problems) == nullptr) {
    CHECK(!problems.empty());
    for (const PlanProblem& problem : problems) {
      CHECK(!problem.message.empty());
      CHECK(problem.begin <= problem.end && problem.end <= text.size() + 1) << problem.message;
    }
    return;
  }
  CHECK(MakeCanonical(&fold));
  GeneralFold again = fold;
  CHECK(MakeCanonical(&again)) << "the canonical form has no plan: " << fold.ShortDebugString();
  CHECK(google::protobuf::util::MessageDifferencer::Equals(fold, again)) << again.ShortDebugString();

  GeneralDecoder decoder = GeneralDecoder::Create(fold).value();
  const oracle::GeneralRecords oracle(fold);
  const RecordParts parts{.timestamp_ms = 1'767'225'600'000, .key = "k", .headers = {{"h", "1"}}};
  for (const std::string_view record : {"1|page|2026-01-01", "-2.5||", "0|\xc3\xa9 7|x", "1e60|https://e.org/p?x=1|"}) {
    const Contribution& made = decoder.Decode({.value = record, .topic = "t", .partition = 1, .offset = 2, .parts = &parts});
    const oracle::Contributed expected = oracle.Read("t", 1, 2, record, &parts);
    CHECK_EQ(made.reason, expected.reason) << fold.ShortDebugString();
    CHECK_EQ(std::string(made.subject), expected.subject) << fold.ShortDebugString();
    CHECK_EQ(made.filtered, expected.filtered) << fold.ShortDebugString();
    if (made.reason != BAD_NONE || made.filtered) continue;
    CHECK_EQ(made.events.size(), expected.events.size());
    for (size_t e = 0; e < made.events.size(); ++e) {
      const auto& units = expected.events[e].units;
      for (size_t m = 0; m < units.size(); ++m) {
        const int64_t added = made.events[e].units[m];
        CHECK(units[m] == (decoder.plan().heights.Has(m) ? HeightOf(added) : Units{added})) << fold.ShortDebugString();
      }
    }
  }
}

}  // namespace
}  // namespace tenfold

// The first byte says whether the text is a condition or a measure.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  tenfold::CheckText((data[0] & 1) != 0, std::string(reinterpret_cast<const char*>(data) + 1, size - 1));
  return 0;
}
