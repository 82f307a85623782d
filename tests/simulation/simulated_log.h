// What a simulated cluster has in the place of Kafka: a topic in memory, and the fold task that folds it for a worker.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "job_spec.pb.h"
#include "jobs/decode/record_decoder.h"
#include "state.pb.h"
#include "worker/fold/fold_task.h"

namespace tenfold {

// One topic. A slot is a record, or a transaction marker that no reader sees.
struct SimulatedLog {
  struct Slot {
    bool marker = false;
    std::string value;
    RecordParts parts = {};
    int64_t appended_us = 0;
  };
  std::vector<std::vector<Slot>> partitions;
  // Where a partition begins if its start is gone, and where it ends if it was truncated for good; what is outside stays
  // in its slots, for the oracle alone.
  std::map<size_t, int64_t> begins;
  std::map<size_t, int64_t> truncated;

  int64_t Begin(size_t partition) const { return begins.contains(partition) ? begins.at(partition) : 0; }
  int64_t End(size_t partition) const {
    return truncated.contains(partition) ? truncated.at(partition) : static_cast<int64_t>(partitions[partition].size());
  }
};

class SimulatedFoldTask : public FoldTask {
 public:
  SimulatedFoldTask(const SimulatedLog* log, const JobSpec& spec, std::mt19937_64* random);

  // Folds some of what there is, at random: short of the ends as if the budget was spent, or beyond them.
  FoldOutcome Fold(const std::vector<JobCore::ShardRange>& ranges, const FoldOptions& options) override;

 private:
  uint64_t Draw(uint64_t below) { return (*random_)() % below; }
  // Adds what the record contributes, or counts that it is filtered or late. Returns why it is bad, with the subject.
  BadReason Add(const Record& record, size_t source, PaneClock* clock, PartitionState* partition, DeltaTable* table,
                std::string* subject);
  // What stops the job, if something does.
  std::optional<std::string> FoldPartition(const Partition& of, int64_t end, PartitionState* partition, DeltaTable* table,
                                           FoldOutcome* outcome);

  const bool fails_on_bad_record_;
  const SimulatedLog* const log_;
  std::mt19937_64* const random_;
  // Of a job with windows.
  std::unique_ptr<PaneCalendar> calendar_;
  // By source.
  std::vector<RecordDecoder> decoders_;
  std::map<uint32_t, DeltaTable> tables_;
};

}  // namespace tenfold
