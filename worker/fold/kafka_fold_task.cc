#include "worker/fold/kafka_fold_task.h"

#include <malloc.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "glog/logging.h"

namespace tenfold {
namespace {

// malloc_trim is worth its cost once this much has been freed.
constexpr size_t kTrimBytes = 32 << 20;

// How many records are worth a further thread, and how long fewer have to come before one is given up: what it has fetched
// is fetched again by another.
constexpr int64_t kRecordsPerThread = 50'000;
constexpr absl::Duration kFewerAfter = absl::Seconds(10);

// No more threads are used than have this much memory for their readers.
constexpr size_t kMinReaderBytes = 1 << 20;

}  // namespace

absl::StatusOr<std::unique_ptr<KafkaFoldTask>> KafkaFoldTask::Create(const JobSpec& spec, const LogConfig& log, size_t cores,
                                                                     ReaderSlots* slots) {
  CHECK_GE(cores, 1U);
  std::unique_ptr<KafkaFoldTask> task(new KafkaFoldTask(cores, slots));
  for (size_t i = 0; i < 2 * cores; ++i) {
    absl::StatusOr<RecordFold> fold = RecordFold::Create(spec);
    if (!fold.ok()) return fold.status();
    task->threads_.push_back(
        std::make_unique<FoldThread>(*std::move(fold), log, spec.source().allow_compacted(), &task->shared_));
  }
  return task;
}

size_t KafkaFoldTask::Threads(const std::vector<JobCore::ShardRange>& ranges, size_t most) {
  int64_t records = 0;
  for (const JobCore::ShardRange& range : ranges) {
    for (int p = 0; p < range.state.partitions_size(); ++p)
      records += std::max<int64_t>(0, range.ends[static_cast<size_t>(p)] - range.state.partitions(p).next_offset());
  }
  if (most == 0) return 0;
  const auto worth = static_cast<size_t>(records / kRecordsPerThread);
  const size_t extra = std::min(worth, most - 1);
  const absl::Time now = absl::Now();
  if (extra >= extra_) fewer_at_ = now + kFewerAfter;
  if (extra > extra_) {
    extra_ += slots_->Take(extra - extra_);
  } else if (now >= fewer_at_ || extra_ >= most) {
    slots_->GiveBack(extra_ - extra);
    extra_ = extra;
  }
  return 1 + extra_;
}

void KafkaFoldTask::Rest() {
  if (extra_ == 0 || absl::Now() < fewer_at_) return;
  size_t ended = 1;
  for (; ended < threads_.size() && !threads_[ended]->idle(); ++ended) threads_[ended]->Start({}, FoldOptions());
  for (size_t i = 1; i < ended; ++i) threads_[i]->Wait();
  slots_->GiveBack(std::exchange(extra_, 0));
}

FoldOutcome KafkaFoldTask::Fold(const std::vector<JobCore::ShardRange>& ranges, const FoldOptions& options) {
  size_t threads = std::min(threads_.size(), ranges.size());
  FoldOptions part_options = options;
  if (options.memory.reader_bytes > 0 && threads > 0) {
    threads = Threads(ranges, std::clamp<size_t>(options.memory.reader_bytes / kMinReaderBytes, 1, threads));
    // Folding ahead takes half as much memory as the batch that is being persisted.
    part_options.memory = {options.memory.batch_bytes / 3 * 2 / threads, options.memory.reader_bytes / threads};
  } else {
    threads = Threads(ranges, threads);
  }
  std::vector<std::vector<JobCore::ShardRange>> parts(threads);
  for (size_t i = 0; i < ranges.size(); ++i) parts[i % parts.size()].push_back(ranges[i]);
  // Threads that this fold does not use get an empty part, so that they free what they hold.
  for (size_t i = parts.size(); i < threads_.size() && !threads_[i]->idle() && !ranges.empty(); ++i) parts.emplace_back();
  for (size_t i = 0; i < parts.size(); ++i) threads_[i]->Start(std::move(parts[i]), part_options);
  FoldOutcome outcome;
  outcome.waited = threads == 0 ? absl::ZeroDuration() : absl::InfiniteDuration();
  for (size_t i = 0; i < parts.size(); ++i) {
    FoldOutcome part = threads_[i]->Wait();
    for (FoldOutcome::Shard& shard : part.shards) outcome.shards.push_back(std::move(shard));
    std::ranges::move(part.needs_schemas, std::back_inserter(outcome.needs_schemas));
    if (!outcome.failure) outcome.failure = std::move(part.failure);
    if (outcome.waiting_for.empty()) outcome.waiting_for = std::move(part.waiting_for);
    // What one has to leave to librdkafka is what a user has to know.
    if (part.reader.kind() > outcome.reader.kind()) outcome.reader = part.reader;
    if (i < threads) outcome.waited = std::min(outcome.waited, part.waited);
  }
  // After a backlog the allocator keeps much memory that was freed in small pieces.
  if (shared_.given_up >= kTrimBytes) {
    shared_.given_up = 0;
    malloc_trim(0);
  }
  return outcome;
}

}  // namespace tenfold
