// Turns records into contributions by a plan, step by step: format, where, explode, key, measures. Pure; used by one thread
// at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "jobs/decode/evaluator.h"
#include "jobs/decode/format_reader.h"
#include "jobs/decode/record.h"
#include "jobs/plan/pane_clock.h"
#include "jobs/plan/plan.h"
#include "state.pb.h"

namespace tenfold {

// A record has the first of these that holds, in this order, and then it adds nothing; `subject` is what is in brackets:
//   BAD_EMPTY_RECORD, BAD_RECORD_TOO_LARGE  as in `jobs/decode/decoder.h`
//   BAD_WRONG_FIELD_COUNT, BAD_MALFORMED_RECORD, BAD_UNMATCHED_RECORD, BAD_UNKNOWN_SCHEMA  what its format's reader says
//                 of it; but where the format filters what its pattern does not match, that is filtered, and has no time
// then step by step, time, where, the list that is exploded, and for each of its elements the parts of where that keep
//   elements, key, and the measures together: first of the fields that a step is the first to need,
//   [field]       in the order of the plan BAD_FIELD_MISSING (null, without a default, and not nullable),
//                 BAD_FIELD_WRONG_TYPE (another type of JSON or of its schema, or a null in a list), BAD_FIELD_NOT_UTF8,
//                 BAD_MALFORMED_NUMBER, or BAD_MALFORMED_FIELD (of other types);
//   [field]       BAD_NUMBER_OUT_OF_RANGE, if none has one of those;
// then of its expressions one after the other,
//   [expression]  what Evaluator::Evaluate says;
// and if there is no such thing,
//   BAD_NULL_TIME       [source.time] of a job with windows, it is null
//   BAD_TIME_AHEAD      [source.time] it is more than the window's `ahead` beyond the record's own timestamp
//   where false or null: the record is filtered, and no later step is done
//   late, by its time and those before it: no later step is done
//   BAD_TOO_MANY_ELEMENTS  [explode.NAME] the list that is exploded has over kMaxElements
// and for each element of a list that is exploded, or else once, unless `where` keeps it not,
//   BAD_NULL_KEY        [group, part of the key] it is null
//   BAD_EMPTY_KEY       the key has one part, beside its group, of no bytes
//   BAD_KEY_TOO_LONG    it is over the plan's key_bytes
//   BAD_NUMBER_OUT_OF_RANGE  [measure] what it adds does not fit 64 bits of units of 1e-9; the least number that does is
//                 none of max and min
//   BAD_NEGATIVE_DIVISOR  [measure] what it adds to the divisor, so rounded, is below 0
struct Contribution {
  struct Event {
    std::string_view key;
    // What it adds to each sum of its key's row (Plan::sums), in units of 1e-9; what is counted is one. Of heights what it
    // contributes (common/number/height.h).
    std::span<const int64_t> units;
  };

  BadReason reason = BAD_NONE;
  // "amount", or "where", "key[1]", "measures.score".
  std::string_view subject;
  bool filtered = false;
  // It is filtered as the pattern of its format does not match it.
  bool unmatched = false;
  bool late = false;
  // In a job with windows, which row of each key it goes to.
  std::optional<RowPane> pane;
  // Of a record that is neither bad, filtered nor late: one, or one for each element that is kept. Valid until the next
  // Decode.
  std::span<const Event> events;
};

class GeneralDecoder {
 public:
  explicit GeneralDecoder(std::shared_ptr<const Plan> plan);
  // INVALID_ARGUMENT, naming what is wrong, for a fold that has no plan.
  static absl::StatusOr<GeneralDecoder> Create(const GeneralFold& fold);

  // `clock` is that of the record's partition in a job with windows, and takes the record's time; it is not used without.
  const Contribution& Decode(const Record& record, PaneClock* clock = nullptr);

  // As FormatReader has them.
  void SetSchemas(const std::shared_ptr<const LearnedSchemas>& schemas) { reader_.SetSchemas(schemas); }
  std::optional<uint32_t> MissingSchema(std::string_view value) { return reader_.MissingSchema(value); }

  const Plan& plan() const { return *plan_; }
  std::shared_ptr<const Plan> shared_plan() const { return plan_; }
  // The record that was decoded last, as the steps saw it: whether a field was read, and what it was.
  const Value* FieldValue(uint32_t field) const;
  const std::vector<Value>& key_values() const { return key_values_; }

 private:
  // Takes the record's time. False if it is bad.
  bool TakeTime(const Record& record, PaneClock* clock);
  // Converts the fields that the step is the first to need, and computes its expressions into `values`.
  bool Do(const PlanStep& step, const Record& record, std::span<const std::string> subjects, std::vector<Value>* values);
  // Those that no step has converted.
  bool ConvertFields(const PlanStep& step, const Record& record);
  // Explodes the list into elements_, which is none without one.
  bool Explode(const Record& record);
  // Makes an event of the record, or of its element that was set. With `*made` false none, as it is not kept.
  bool MakeEvent(const Record& record, std::string* key, bool* made);
  BadReason Convert(uint32_t field, const Record& record);
  bool MakeKey(std::string* key);
  // Appends to units_.
  bool MakeUnits();
  // Says that the record is bad. Returns false.
  bool Bad(BadReason reason, std::string_view subject);

  const std::shared_ptr<const Plan> plan_;
  FormatReader reader_;
  // What it read of the record under way.
  std::vector<RawValue> raw_;
  Evaluator evaluator_;
  // How the expressions of each step are named.
  std::vector<std::string> time_subject_;
  std::vector<std::string> where_subject_;
  std::vector<std::string> list_subject_;
  std::vector<std::string> key_subjects_;
  std::vector<std::string> value_subjects_;

  // The record under way: which fields are converted, the values of its steps, what comes of them.
  std::vector<bool> is_converted_;
  std::vector<Value> time_value_;
  std::vector<Value> where_value_;
  std::vector<Value> list_value_;
  std::vector<Value> element_where_value_;
  std::vector<Value> key_values_;
  std::vector<Value> values_;
  std::vector<Value> elements_;
  // The keys of its events, and their units one after the other.
  std::vector<std::string> keys_;
  std::vector<int64_t> units_;
  std::vector<Contribution::Event> events_;
  Contribution contribution_;
};

// Whether a time is further beyond a record's own timestamp, if it has one, than a job's windows allow, in milliseconds.
bool IsAhead(int64_t time_us, const RecordParts& parts, const FoldWindow& window);

}  // namespace tenfold
