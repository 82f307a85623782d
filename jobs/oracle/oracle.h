// The oracle recomputes by brute force what a batch must equal, from the records below its offset vector. It serves
// `verify`, the simulator and the tests, and on purpose shares no code with decoding, folding or merging: std::map,
// big decimals (Boost.Multiprecision), its own reading of R1 and R4. Simple rather than fast. Used by one thread at a time.
#pragma once

#include <boost/multiprecision/cpp_int.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "job_spec.pb.h"
#include "jobs/oracle/expected_result.h"
#include "jobs/oracle/general_record.h"
#include "jobs/oracle/window_assignment.h"
#include "journal.pb.h"

namespace tenfold {

class Oracle {
 public:
  // `spec` has passed the rules. `partitions` is how many the job's journalled set has, now or later, as a partition without
  // records adds nothing. The initial scores are in shard 0 from the start.
  Oracle(const JobSpec& spec, size_t partitions);

  // What is journalled of a schema of the job's registry, before records that name it are added.
  void Learn(const LearnedSchema& schema);
  // Adds the next record of partition index `partition`, in offset order. The caller stops at the offset vector. A fold of
  // expressions may depend on where in Kafka the record is.
  struct Place {
    std::string_view topic = "";
    int32_t partition = 0;
    int64_t offset = 0;
    // What the record has beside its value; a fold that reads none of it needs none.
    const RecordParts* parts = nullptr;
    // Which of the job's sources the topic is of, as it is journalled.
    size_t source = 0;
  };
  void Add(size_t partition, std::string_view value, const Place& place);
  // The job ends in the partition behind what was added.
  void End(size_t partition);
  void Add(size_t partition, std::string_view value) { Add(partition, value, Place()); }

  // What must equal the batch's journal record.
  struct Result : oracle::ExpectedResult {
    std::vector<Digest> digests;
    uint64_t records = 0;
    uint64_t bad_records = 0;
    uint64_t filtered_records = 0;
    uint64_t late_records = 0;
    // Of a job with windows, the one that the result is of, the first that covers the latest time of any record; unset
    // without one.
    std::optional<int64_t> window;
    // Bad records by partition index, then by reason, and by reason and subject.
    std::vector<std::map<BadReason, uint64_t>> bad;
    std::vector<std::map<std::pair<BadReason, std::string>, uint64_t>> bad_subjects;
  };
  Result Compute() const;
  // What the job with windows has in this one.
  oracle::ExpectedResult ResultOfWindow(int64_t window) const;
  bool has_windows() const { return windows_ != nullptr; }
  // The windows that have records, and the last one that all partitions have passed in which the job has not ended, or the
  // last of all; nullopt if one has passed none.
  std::vector<int64_t> Windows() const;
  std::optional<int64_t> Passed() const;

  // Returns "" if `batch` equals what Compute() returns, else a sentence with the first difference and both values.
  std::string Difference(const BatchCommitted& batch) const;

 private:
  using BigInt = boost::multiprecision::cpp_int;

  // The number mantissa * 10^exponent.
  struct Decimal {
    BigInt mantissa;
    int exponent = 0;
  };
  struct Term {
    Decimal constant;
    size_t field = 0;
  };
  struct Row {
    uint64_t count = 0;
    // In units of 1e-9.
    std::vector<BigInt> sums;
  };

  static BadReason ReadNumber(std::string_view text, Decimal* number);
  static BigInt RoundToUnits(const BigInt& mantissa, int exponent);
  BadReason ReadRecord(std::string_view value, std::string_view* key, BigInt* units) const;
  BadReason ReadScore(const std::vector<std::string_view>& fields, BigInt* units) const;

  // What the constructor does for a fold without expressions.
  void PrepareTerms(const JobSpec& spec);
  void AddRow(size_t partition, std::string_view key, const std::vector<BigInt>& units);
  // Adds the next record of a job with windows, to whose keys the windows are those that it is in.
  void AddToWindows(size_t partition, const std::string& key, const std::vector<BigInt>& units, int64_t time_us);
  std::string WindowDifference(const BatchCommitted& batch) const;

  // Null for a fold without expressions, which the next four are of.
  // By source; none for a fold without expressions.
  std::vector<oracle::GeneralRecords> general_;
  char separator_ = 0;
  size_t field_count_ = 0;
  size_t key_field_ = 0;
  std::vector<Term> terms_;
  oracle::ResultRule rule_;
  const oracle::RowSums row_sums_;
  // Entry s is shard s: its rows by key.
  std::vector<std::map<std::string, Row, std::less<>>> shards_;
  // Counted by partition index.
  std::vector<uint64_t> records_;
  std::vector<uint64_t> filtered_;
  std::set<size_t> ended_;
  std::vector<uint64_t> late_;
  // Null for a job without windows; and what is in each window, by key.
  std::unique_ptr<oracle::WindowAssignment> windows_;
  std::map<int64_t, std::map<std::string, std::vector<BigInt>>> in_window_;
  int64_t panes_ = 0;
  std::vector<std::map<std::pair<BadReason, std::string>, uint64_t>> bad_;
};

}  // namespace tenfold
