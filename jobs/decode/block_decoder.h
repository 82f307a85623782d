// Decodes up to 64 records at once by a plan: their fields become columns, over which the steps' expressions run. Records
// that this does not suit, as bad ones, are left to jobs/decode/general_decoder.h; the others get from both the same. Pure;
// used by one thread at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "jobs/decode/column.h"
#include "jobs/decode/column_evaluator.h"
#include "jobs/decode/format_reader.h"
#include "jobs/decode/record.h"
#include "jobs/plan/plan.h"

namespace tenfold {

// What became of the records, a bit for each in their order.
struct DecodedBlock {
  Rows filtered = 0;
  // Those that contribute. Records in neither are to be decoded alone.
  Rows folded = 0;
  // In a job with windows, the times of all of these. Whether one is late is left to a PaneClock, in the records' order.
  std::array<int64_t, Column::kRows> times;
  // Of those that contribute; valid until the next Decode and as long as the records.
  std::array<std::string_view, Column::kRows> keys;
  // The units of record `row` for sum `m` (Contribution::units) are units[m][row].
  std::vector<std::array<int64_t, Column::kRows>> units;
};

class BlockDecoder {
 public:
  explicit BlockDecoder(std::shared_ptr<const Plan> plan);
  // Whether records by the plan are decoded at once, usually.
  static bool Suits(const Plan& plan);

  // As FormatReader has it. None of the records that are decoded may name another schema.
  void SetSchemas(const std::shared_ptr<const LearnedSchemas>& schemas) { reader_.SetSchemas(schemas); }

  // Decodes 1 to Column::kRows records.
  const DecodedBlock& Decode(std::span<const Record> records);

 private:
  // Reads the fields that the step is the first to need, and returns which of the rows have all of them.
  Rows ReadFields(const PlanStep& step, std::span<const Record> records, Rows rows);
  void ReadField(uint32_t field, std::span<const Record> records, Rows rows, Column* column);
  Rows ReadTimes(std::span<const Record> records, Rows rows);
  // Each returns which of the rows are not unfit, and sets what they have.
  Rows MakeKeys(Rows rows);
  Rows MakeUnits(Rows rows);

  const std::shared_ptr<const Plan> plan_;
  FormatReader reader_;
  ColumnEvaluator evaluator_;
  size_t count_ = 0;
  // What the reader found: its values for the first record, then for the next.
  std::vector<RawValue> raw_;
  // Keys that are no view of a record.
  std::array<std::string, Column::kRows> made_keys_;
  DecodedBlock block_;
};

}  // namespace tenfold
