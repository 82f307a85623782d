#include "worker/batch_task.h"

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/digest.h"
#include "common/limits.h"
#include "glog/logging.h"
#include "worker/decoder.h"

namespace tenfold {
namespace {

// How long a poll may wait: what a stop or the end of the budget may be late.
constexpr absl::Duration kPoll = absl::Milliseconds(50);
// How long a reader goes on before a record folded before that is read again, to see that the topic is still the one that
// was folded: librdkafka 2.0.2 reads on in a topic that was deleted and created again, and says nothing.
constexpr absl::Duration kRecheckAfter = absl::Seconds(15);

// A thread whose reader would have less than that is not used.
constexpr size_t kMinReaderBytes = 1 << 20;

void CountBad(const LogRecord& record, BadReason reason, PartitionState* partition) {
  const auto bad = partition->mutable_bad();
  auto it = std::find_if(bad->begin(), bad->end(), [&](const BadCount& count) { return count.reason() >= reason; });
  if (it == bad->end() || it->reason() != reason) {
    // Sorted by reason: appended, then moved into place.
    BadCount* count = bad->Add();
    count->set_reason(reason);
    count->set_count(1);
    std::sort(bad->begin(), bad->end(), [](const BadCount& a, const BadCount& b) { return a.reason() < b.reason(); });
  } else {
    it->set_count(it->count() + 1);
  }
  if (static_cast<size_t>(partition->samples_size()) >= kMaxBadSamples) return;
  BadSample* sample = partition->add_samples();
  sample->set_offset(record.offset);
  sample->set_reason(reason);
  sample->set_excerpt(std::string(record.value.substr(0, kMaxSampleBytes)));
}

}  // namespace

// One thread with its reader. It folds the shards it is given; between folds it waits.
class BatchTask::FoldThread {
 public:
  FoldThread(const JobSpec& spec, LogConfig log, Decoder decoder)
      : log_(std::move(log)), fail_on_bad_(spec.on_bad_record() == BAD_RECORD_FAIL), decoder_(std::move(decoder)) {}

  // Starts a fold on the thread; Wait returns what it came to. Both are called in turn by the task's owner.
  void Start(std::vector<JobCore::ShardRange> ranges, const FoldOptions& options) {
    if (!thread_.joinable()) thread_ = std::jthread([this](const std::stop_token& stop) { Run(stop); });
    {
      std::lock_guard lock(mutex_);
      given_ = {std::move(ranges), options};
    }
    changed_.notify_all();
  }
  FoldOutcome Wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return outcome_.has_value(); });
    FoldOutcome outcome = *std::move(outcome_);
    outcome_.reset();
    return outcome;
  }
  FoldOutcome Fold(std::vector<JobCore::ShardRange> ranges, const FoldOptions& options);

 private:
  struct Given {
    std::vector<JobCore::ShardRange> ranges;
    FoldOptions options;
  };
  // One partition of the reader, and of the fold under way.
  struct Cursor {
    TopicPartition partition;
    // Where the reader is: nothing below comes any more.
    int64_t read = -1;
    // The fold's part: its place in the ranges, and where it ends.
    PartitionState* state = nullptr;
    DeltaTable* table = nullptr;
    int64_t end = 0;
    // Bad records included; counted into the state at the end of the fold.
    uint64_t records = 0;
    // The last folded record of the poll under way.
    const LogRecord* last = nullptr;
    // A record that was folded, -1 if none, and its hash.
    int64_t anchor_offset = -1;
    uint64_t anchor_hash = 0;
    // The reader began at the anchor, to see that it is still what was folded.
    bool check = false;
  };

  void Run(const std::stop_token& stop);
  // Makes the reader and the cursors fit the ranges; the reader goes on where it is if that is where they begin and nothing
  // calls for a check.
  absl::Status Prepare(std::vector<JobCore::ShardRange>* ranges, size_t reader_bytes);
  // Has the reader begin where the cursors do, or at their anchors if those are to be checked.
  absl::Status Assign();
  // Makes the last folded record the one to be checked.
  static void SetAnchor(Cursor* cursor);
  // Once the anchors are checked, has the reader go on where the cursors are, with new anchors.
  absl::Status CatchUp();
  bool IsDone() const;
  bool IsFull(size_t batch_bytes) const;
  // Folds what a poll brought. A reason to stop the job, or none.
  std::optional<std::string> FoldRecords(bool exact);
  std::optional<std::string> FoldRecord(const LogRecord& record, bool exact, Cursor* cursor);
  std::optional<std::string> HandleEvents(bool exact, std::string* waiting_for);
  static std::string Name(const Cursor& cursor) {
    return absl::StrCat(cursor.partition.topic, "[", cursor.partition.partition, "]");
  }

  LogConfig log_;
  const bool fail_on_bad_;
  Decoder decoder_;
  std::unique_ptr<LogReader> reader_;
  std::vector<Cursor> cursors_;
  // A partition gives nothing until the reader is assigned again.
  bool unread_ = false;
  // Kafka was in trouble since the anchors were checked.
  bool doubtful_ = false;
  absl::Time check_at_;
  // The reader is far behind the cursors, at the anchors, until those are checked.
  bool behind_ = false;
  std::map<uint32_t, DeltaTable> tables_;
  std::vector<LogRecord> records_;
  std::vector<LogReader::Event> events_;

  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::optional<Given> given_;          // guarded by mutex_
  std::optional<FoldOutcome> outcome_;  // guarded by mutex_
  // Last: it ends before what it uses goes.
  std::jthread thread_;
};

void BatchTask::FoldThread::Run(const std::stop_token& stop) {
  while (true) {
    std::optional<Given> given;
    {
      std::unique_lock lock(mutex_);
      if (!changed_.wait(lock, stop, [&] { return given_.has_value(); })) return;
      given.swap(given_);
    }
    FoldOutcome outcome = Fold(std::move(given->ranges), given->options);
    {
      std::lock_guard lock(mutex_);
      outcome_ = std::move(outcome);
    }
    changed_.notify_all();
  }
}

absl::Status BatchTask::FoldThread::Prepare(std::vector<JobCore::ShardRange>* ranges, size_t reader_bytes) {
  if (std::exchange(log_.read_ahead_bytes, reader_bytes) != reader_bytes) reader_.reset();
  std::erase_if(tables_, [&](const auto& table) {
    return std::ranges::none_of(*ranges, [&](const auto& range) { return range.state.id().shard() == table.first; });
  });
  std::vector<Cursor> cursors;
  bool same = reader_ != nullptr;
  for (JobCore::ShardRange& range : *ranges) {
    DeltaTable& table = tables_[range.state.id().shard()];
    table.Clear();
    for (int j = 0; j < range.state.partitions_size(); ++j) {
      Cursor& cursor = cursors.emplace_back();
      const Partition& partition = range.state.id().partitions(j);
      cursor.partition = {partition.topic(), partition.partition()};
      cursor.state = range.state.mutable_partitions(j);
      cursor.table = &table;
      cursor.end = range.ends[static_cast<size_t>(j)];
      const size_t i = cursors.size() - 1;
      same = same && i < cursors_.size() && cursors_[i].partition == cursor.partition &&
             cursors_[i].read == cursor.state->next_offset();
      if (same) {
        cursor.read = cursors_[i].read;
        cursor.check = cursors_[i].check;
        cursor.anchor_offset = cursors_[i].anchor_offset;
        cursor.anchor_hash = cursors_[i].anchor_hash;
      }
    }
  }
  same = same && cursors.size() == cursors_.size();
  cursors_ = std::move(cursors);
  if (same && !doubtful_ && absl::Now() < check_at_) return absl::OkStatus();
  // A reader that goes on has to show what was folded before the topic can have been created again.
  behind_ = same;
  for (Cursor& cursor : cursors_) {
    if (!same) SetAnchor(&cursor);
    cursor.check = cursor.anchor_offset >= 0;
  }
  doubtful_ = false;
  check_at_ = absl::Now() + kRecheckAfter;
  return Assign();
}

void BatchTask::FoldThread::SetAnchor(Cursor* cursor) {
  cursor->anchor_offset = cursor->state->last_offset();
  cursor->anchor_hash = cursor->state->last_hash();
}

absl::Status BatchTask::FoldThread::Assign() {
  if (reader_ == nullptr) {
    absl::StatusOr<std::unique_ptr<LogReader>> reader = LogReader::Create(log_);
    if (!reader.ok()) return reader.status();
    reader_ = *std::move(reader);
  }
  std::vector<LogReader::Start> starts;
  for (Cursor& cursor : cursors_) {
    cursor.read = cursor.state->next_offset();
    starts.push_back({cursor.partition, cursor.check ? cursor.anchor_offset : cursor.read});
  }
  absl::Status assigned = reader_->Assign(starts);
  if (!assigned.ok()) {
    for (Cursor& cursor : cursors_) cursor.read = -1;
  }
  return assigned;
}

absl::Status BatchTask::FoldThread::CatchUp() {
  if (!behind_ || std::ranges::any_of(cursors_, &Cursor::check)) return absl::OkStatus();
  behind_ = false;
  for (Cursor& cursor : cursors_) SetAnchor(&cursor);
  return Assign();
}

bool BatchTask::FoldThread::IsDone() const {
  return std::all_of(cursors_.begin(), cursors_.end(),
                     [](const Cursor& cursor) { return cursor.state->next_offset() >= cursor.end; });
}

bool BatchTask::FoldThread::IsFull(size_t batch_bytes) const {
  if (batch_bytes == 0) return false;
  size_t bytes = 0;
  for (const auto& [shard, table] : tables_) bytes += table.bytes();
  return bytes >= batch_bytes;
}

std::optional<std::string> BatchTask::FoldThread::FoldRecord(const LogRecord& record, bool exact, Cursor* cursor) {
  if (cursor->check) {
    // Beyond it: it is there no more (compaction).
    cursor->check = record.offset < cursor->anchor_offset;
    if (record.offset == cursor->anchor_offset && reader_->Hash(record) != cursor->anchor_hash) {
      return absl::StrCat(Name(*cursor), " holds another record at offset ", record.offset,
                          " than the one folded from there: the topic was created again; cancel the job and submit it anew");
    }
  }
  if (record.offset < cursor->state->next_offset()) return std::nullopt;
  cursor->read = std::max(cursor->read, record.offset + 1);
  if (exact && record.offset >= cursor->end) {
    cursor->state->set_next_offset(std::max(cursor->state->next_offset(), cursor->end));
    return std::nullopt;
  }
  std::string_view key;
  int64_t units = 0;
  const BadReason reason = decoder_.Decode(record.value, &key, &units);
  if (reason == BAD_NONE) {
    cursor->table->Add(key, units);
  } else if (fail_on_bad_) {
    return absl::StrCat(Name(*cursor), " has a bad record at offset ", record.offset, ": ", BadReason_Name(reason),
                        "; the job's on_bad_record is fail");
  } else {
    CountBad(record, reason, cursor->state);
  }
  ++cursor->records;
  cursor->last = &record;
  cursor->state->set_next_offset(record.offset + 1);
  return std::nullopt;
}

std::optional<std::string> BatchTask::FoldThread::FoldRecords(bool exact) {
  for (const LogRecord& record : records_) {
    if (std::optional<std::string> failure = FoldRecord(record, exact, &cursors_[record.position])) return failure;
  }
  // The records go with the next poll: what refers to them is finished, and the last ones are hashed.
  for (Cursor& cursor : cursors_) {
    cursor.table->Settle();
    if (cursor.last == nullptr) continue;
    cursor.state->set_last_offset(cursor.last->offset);
    cursor.state->set_last_hash(reader_->Hash(*cursor.last));
    cursor.last = nullptr;
  }
  return std::nullopt;
}

std::optional<std::string> BatchTask::FoldThread::HandleEvents(bool exact, std::string* waiting_for) {
  for (const LogReader::Event& event : events_) {
    Cursor& cursor = cursors_[event.position];
    switch (event.kind) {
      case LogReader::Event::Kind::kEnd: {
        cursor.check = false;
        cursor.read = std::max(cursor.read, event.next_offset);
        const int64_t reached = exact ? std::min(event.next_offset, cursor.end) : event.next_offset;
        cursor.state->set_next_offset(std::max(cursor.state->next_offset(), reached));
        break;
      }
      case LogReader::Event::Kind::kOffsetLost:
        if (cursor.check) {
          // Only the anchor is gone, or more: without the check it shows.
          cursor.check = false;
          if (absl::Status assigned = Assign(); !assigned.ok()) *waiting_for = std::string(assigned.message());
          return std::nullopt;
        }
        return absl::StrCat(Name(cursor), " no longer has offset ", cursor.state->next_offset(),
                            ", from which the job has to go on: ", event.message);
      case LogReader::Event::Kind::kFailed:
        // The reader says no more of the partition until it is assigned again, which the next fold does.
        *waiting_for = event.message;
        LOG_EVERY_T(WARNING, 5) << event.message;
        unread_ = true;
        break;
    }
  }
  return std::nullopt;
}

FoldOutcome BatchTask::FoldThread::Fold(std::vector<JobCore::ShardRange> ranges, const FoldOptions& options) {
  FoldOutcome outcome;
  const absl::Time deadline = absl::Now() + options.budget;
  absl::Status polled = Prepare(&ranges, options.memory.reader_bytes);
  unread_ = false;
  while (polled.ok() && !unread_ && !IsDone() && !IsFull(options.memory.batch_bytes) && !options.stop()) {
    const absl::Duration left = deadline - absl::Now();
    if (left <= absl::ZeroDuration()) break;
    polled = reader_->Poll(std::min(left, kPoll), &records_, &events_);
    outcome.waiting_for.clear();
    outcome.failure = FoldRecords(options.exact);
    if (!outcome.failure) outcome.failure = HandleEvents(options.exact, &outcome.waiting_for);
    if (polled.ok() && !outcome.failure) polled = CatchUp();
    if (outcome.failure) {
      // The reader has gone past what was folded.
      cursors_.clear();
      return outcome;
    }
    if (absl::IsUnavailable(polled)) {
      doubtful_ = true;
      outcome.waiting_for = std::string(polled.message());
      polled = absl::OkStatus();
    }
  }
  if (!polled.ok()) outcome.waiting_for = std::string(polled.message());
  if (!outcome.waiting_for.empty()) doubtful_ = true;

  for (Cursor& cursor : cursors_) {
    cursor.state->set_records(cursor.state->records() + cursor.records);
    if (cursor.anchor_offset < 0) SetAnchor(&cursor);
    cursor.state = nullptr;
    if (unread_) cursor.read = -1;
  }
  for (JobCore::ShardRange& range : ranges) {
    FoldOutcome::Shard& shard = outcome.shards.emplace_back();
    shard.state = std::move(range.state);
    shard.deltas = tables_.at(shard.state.id().shard()).Sorted();
    Uint128 digest = FromProto(shard.state.digest());
    for (const Delta& delta : shard.deltas) digest += DigestTerm(delta.key, delta.count, delta.sum);
    *shard.state.mutable_digest() = ToProto(digest);
  }
  return outcome;
}

absl::StatusOr<std::unique_ptr<BatchTask>> BatchTask::Create(const JobSpec& spec, const LogConfig& log, size_t threads) {
  CHECK_GE(threads, 1U);
  std::unique_ptr<BatchTask> task(new BatchTask);
  for (size_t i = 0; i < 2 * threads; ++i) {
    absl::StatusOr<Decoder> decoder = Decoder::Create(spec);
    if (!decoder.ok()) return decoder.status();
    task->threads_.push_back(std::make_unique<FoldThread>(spec, log, *std::move(decoder)));
  }
  return task;
}

BatchTask::~BatchTask() = default;

FoldOutcome BatchTask::Fold(const std::vector<JobCore::ShardRange>& ranges, const FoldOptions& options) {
  size_t threads = std::min(threads_.size(), std::max<size_t>(1, ranges.size()));
  FoldOptions part_options = options;
  if (options.memory.reader_bytes > 0) {
    threads = std::clamp<size_t>(options.memory.reader_bytes / kMinReaderBytes, 1, threads);
    part_options.memory = {options.memory.batch_bytes / threads, options.memory.reader_bytes / threads};
  }
  std::vector<std::vector<JobCore::ShardRange>> parts(threads);
  for (size_t i = 0; i < ranges.size(); ++i) parts[i % parts.size()].push_back(ranges[i]);
  for (size_t i = 1; i < parts.size(); ++i) threads_[i]->Start(std::move(parts[i]), part_options);
  FoldOutcome outcome = threads_[0]->Fold(std::move(parts[0]), part_options);
  for (size_t i = 1; i < parts.size(); ++i) {
    FoldOutcome part = threads_[i]->Wait();
    for (FoldOutcome::Shard& shard : part.shards) outcome.shards.push_back(std::move(shard));
    if (!outcome.failure) outcome.failure = std::move(part.failure);
    if (outcome.waiting_for.empty()) outcome.waiting_for = std::move(part.waiting_for);
  }
  return outcome;
}

}  // namespace tenfold
