// What a job spec's general fold does with a record, checked and ready to be carried out: which fields are read, as what,
// and what is computed from them step by step. jobs/decode carries it out. Pure; a plan is immutable and thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "common/limits.h"
#include "common/number/height.h"
#include "job_spec.pb.h"
#include "jobs/plan/field_place.h"
#include "jobs/plan/function.h"
#include "jobs/plan/pane_calendar.h"
#include "jobs/plan/value.h"
#include "re2/re2.h"

namespace tenfold {

struct PlannedField {
  // As expressions name it; "record.offset" for one that they name by its place.
  std::string name;
  FieldType type = FIELD_TEXT;
  TimestampUnit unit = TIMESTAMP_TEXT;
  FieldPlace place;
  // It may be null, or is null where a record has none.
  bool nullable = false;
  // Null if it has none.
  Value default_value;
  // Of `having`: it is a measure that is a quotient.
  bool is_quotient = false;
};

// An operation, or a leaf of an expression.
struct PlanNode {
  Op op = Op::kConstant;
  ValueType type = ValueType::kNull;
  // Whether it may be null.
  bool nullable = false;
  // Indexes into Plan::nodes, all lower than its own.
  std::vector<uint32_t> arguments;
  // Of a field, let or table; the group of kRegexExtract, the digits of kRound, the exponent of kPow, the TimeUnit of
  // kDatePart and kDateTrunc.
  int index = 0;
  Value constant;
  std::shared_ptr<const RE2> pattern;
  // Of kDatePart and kDateTrunc.
  std::shared_ptr<const PaneCalendar> calendar;

  // A bound of a number M / (D * 10^scale): |M| < 10^whole * 10^scale, D < 10^divisor.
  struct Digits {
    int whole = 0;
    int scale = 0;
    int divisor = 0;
  };
  Digits digits;
};

// Expressions that are evaluated one after the other, and the fields that they need and no earlier step has read, in the
// order of the spec. All of those are read first: a record has the first malformed one's reason, or else that of the first
// one out of range.
struct PlanStep {
  std::vector<uint32_t> fields;
  std::vector<uint32_t> nodes;
};

// A sum of a row: what a record adds to it, which is 0 where its value is null; or a height.
struct PlannedSum {
  enum class Kind {
    // One, whatever the value is, or without one.
    kOne,
    // The value, rounded to units (R1).
    kValue,
    // One unless the value is null.
    kPresent,
    // A height: the value, or its negative, and kNoContribution where it is null. What is not above -2^63 units makes the
    // record bad.
    kHighest,
    kLowest,
  };
  Kind kind = Kind::kOne;
  bool is_height() const { return kind == Kind::kHighest || kind == Kind::kLowest; }
  // Which of the values it is of.
  std::optional<size_t> value;
  // What is negative makes the record bad.
  bool is_divisor = false;
};

// Which values of a record a measure is made of.
struct PlannedMeasure {
  std::string name;
  // Of a sum and of the dividend of a quotient that is one; of a divisor that is one.
  std::optional<size_t> summed;
  std::optional<size_t> divisor_summed;
};

// The values of a table by its keys; empty ones in a table that has only keys.
using PlannedTable = absl::flat_hash_map<std::string, std::string>;

struct Plan {
  RecordFormat format;
  std::vector<PlannedField> fields;
  std::vector<PlanNode> nodes;
  struct PlannedLet {
    std::string name;
    uint32_t node = 0;
    // It is computed from the element of an exploded list, so anew for each.
    bool of_element = false;
  };
  // In an order in which each uses only those before it.
  std::vector<PlannedLet> lets;
  std::vector<PlannedTable> tables;
  // What the elements of an exploded list are called; empty without one.
  std::string element;
  // Of a fold with windows; else nullptr.
  std::shared_ptr<const PaneCalendar> calendar;
  // Steps in their order. `time` is one timestamp of a fold with windows, or none. `where` is one condition or none; `list`
  // one list that is exploded, or none; then for each element `element_where` is one condition or none. `key` has a node for
  // each part, that of the group first where there is one, `values` one for each argument of an aggregate.
  PlanStep time;
  PlanStep where;
  PlanStep list;
  PlanStep element_where;
  PlanStep key;
  PlanStep values;
  bool has_group = false;
  // Whether this part of the key is all of it but for the group, so that it must not be empty.
  bool IsWholeKey(size_t part) const { return has_group ? key.nodes.size() == 2 && part == 1 : key.nodes.size() == 1; }
  // As KeyBytesOf has it.
  size_t key_bytes = kMaxKeyBytes;
  std::vector<PlannedMeasure> measures;
  // The sums of a row in their order; and for each value the index of the measure that it is of.
  std::vector<PlannedSum> sums;
  // Which of them are heights.
  HeightSet heights = {};
  std::vector<size_t> measure_of_value;
  // Whether it reads keys, timestamps or headers of records.
  bool reads_parts = false;
};

// What is wrong with a fold, and where.
struct PlanProblem {
  // The key as in YAML, "where", "let.path", "source.fields.page".
  std::string path;
  // Which bytes of the expression there are meant; the whole value if they are none.
  size_t begin = 0;
  size_t end = 0;
  std::string message;
};

// Returns the plan of the first source of a fold (jobs/plan/sources.h has the others), or nullptr with every problem
// appended.
std::shared_ptr<const Plan> MakePlan(const GeneralFold& fold, std::vector<PlanProblem>* problems);

// The most bytes of a key as rows have it: with its group, framed if there are several parts.
inline size_t KeyBytesOf(const GeneralFold& fold) { return fold.key_bytes() == 0 ? kMaxKeyBytes : fold.key_bytes(); }

// The time zones that a fold's expressions name, each once, in order.
std::vector<std::string> NamedZones(const GeneralFold& fold);

// Rewrites a fold in its canonical form: expressions as ExpressionText has them, and a field for every column of a delimited
// format that expressions name. False if it has no plan.
bool MakeCanonical(GeneralFold* fold);

// "a text", "numbers", as messages name values of a type.
std::string_view TypeName(ValueType type);
ValueType TypeOf(FieldType type);

}  // namespace tenfold
