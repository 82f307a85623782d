#include "worker/batch_task.h"

#include <malloc.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <semaphore>
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
// How long partitions that were found sound wait for others at a check.
constexpr absl::Duration kCheckTogether = absl::Seconds(1);
// When the reader is told again to read a partition that failed; what it has fetched of all others is thrown away by that.
constexpr absl::Duration kRetryFailedAfter = absl::Seconds(1);

// Of memory given up, worth a search for whole pages to return.
constexpr size_t kTrimBytes = 32 << 20;

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

// A record that was folded: its partition is sound as long as it is still there.
struct Anchor {
  int64_t offset = -1;
  uint64_t hash = 0;
};

}  // namespace

// The last anchor of each partition that the task's threads read. Thread-safe.
class BatchTask::Anchors {
 public:
  Anchor Find(const TopicPartition& partition) const {
    std::lock_guard lock(mutex_);
    const auto it = anchors_.find({partition.topic, partition.partition});
    return it == anchors_.end() ? Anchor() : it->second;
  }
  void Set(const TopicPartition& partition, const Anchor& anchor) {
    std::lock_guard lock(mutex_);
    anchors_[{partition.topic, partition.partition}] = anchor;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, int32_t>, Anchor> anchors_;  // guarded by mutex_
};

// One thread with its reader. It folds the shards it is given; between folds it folds ahead, if records are left, or waits.
class BatchTask::FoldThread {
 public:
  // `anchors`, `ahead_turns` and `given_up`, which counts bytes, outlive the object.
  FoldThread(const JobSpec& spec, LogConfig log, Decoder decoder, Anchors* anchors, std::counting_semaphore<>* ahead_turns,
             std::atomic<size_t>* given_up)
      : log_(std::move(log)),
        fail_on_bad_(spec.on_bad_record() == BAD_RECORD_FAIL),
        decoder_(std::move(decoder)),
        anchors_(anchors),
        ahead_turns_(ahead_turns),
        given_up_(given_up) {}

  // The last ranges given were none: it keeps nothing.
  bool idle() const { return idle_; }

  // Starts a fold on the thread; Wait returns what it came to. Both are called in turn by the task's owner.
  void Start(std::vector<JobCore::ShardRange> ranges, const FoldOptions& options) {
    if (!thread_.joinable()) thread_ = std::jthread([this](const std::stop_token& stop) { Run(stop); });
    idle_ = ranges.empty();
    {
      std::lock_guard lock(mutex_);
      given_ = {std::move(ranges), options};
      awaited_ = true;
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
    Anchor anchor;
    // The reader began at the anchor, to see that it is still what was folded.
    bool check = false;
    // Why nothing comes of the partition until the reader is assigned again.
    std::string failure;
  };

  void Run(const std::stop_token& stop);
  FoldOutcome Fold(std::vector<JobCore::ShardRange> ranges, const FoldOptions& options);
  // While what was folded is persisted and merged: folds on from there, aside, until the next fold is asked for.
  void FoldAhead(absl::Duration budget, const std::stop_token& stop);
  // Whether what was folded ahead is the beginning of this fold; then it is that from now on.
  bool Adopt(const std::vector<JobCore::ShardRange>& ranges, bool exact);
  // Folds ranges_ until they are at their ends, or `stop`; what a poll brought in one of the turns, if they are given.
  void FoldUntil(const std::function<bool()>& stop, absl::Time deadline, bool exact, std::counting_semaphore<>* turns);
  // Makes the reader and the cursors fit ranges_; the reader goes on where it is if that is where they begin and nothing
  // calls for a check.
  absl::Status Prepare();
  // Has the reader begin where the cursors do, or at their anchors if those are to be checked.
  absl::Status Assign();
  // Makes the last folded record the one to be checked.
  void SetAnchor(Cursor* cursor);
  // Once the anchors are checked, has the reader go on where the cursors are, with new anchors. A partition of which nothing
  // comes does not hold up the others.
  absl::Status CatchUp();
  // Every partition is at its end, or gives nothing.
  bool IsDone() const;
  // The tables of what is folded take what they may.
  bool IsFull() const;
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
  Anchors* const anchors_;
  std::counting_semaphore<>* const ahead_turns_;
  std::atomic<size_t>* const given_up_;
  // Of the owner's thread.
  bool idle_ = true;

  // As of the last fold.
  JobMemory::Lane memory_;

  std::unique_ptr<LogReader> reader_;
  std::vector<Cursor> cursors_;
  // When failed partitions are to be read again.
  absl::Time retry_at_ = absl::InfiniteFuture();
  // Kafka was in trouble since the anchors were checked.
  bool doubtful_ = false;
  absl::Time check_at_;
  // The reader is far behind the cursors, at the anchors, until those are checked, or some of them and the time is over.
  bool behind_ = false;
  absl::Time catch_up_at_;
  // The fold under way, or what was folded ahead: states with all but their digests, and why the job has to stop or wait.
  std::vector<JobCore::ShardRange> ranges_;
  std::optional<std::string> failure_;
  std::string waiting_for_;
  // Where the fold ahead began; empty if there is none.
  std::vector<ShardState> ahead_of_;
  // By shard. What the last fold made is read while the other side is used to fold ahead.
  std::map<uint32_t, std::array<DeltaTable, 2>> tables_;
  size_t side_ = 0;
  std::vector<LogRecord> records_;
  std::vector<LogReader::Event> events_;

  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::optional<Given> given_;          // guarded by mutex_
  std::optional<FoldOutcome> outcome_;  // guarded by mutex_
  // A fold is given: to fold ahead ends.
  std::atomic<bool> awaited_ = false;
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
      awaited_ = false;
    }
    FoldOutcome outcome = Fold(std::move(given->ranges), given->options);
    {
      std::lock_guard lock(mutex_);
      outcome_ = std::move(outcome);
    }
    changed_.notify_all();
    if (!ahead_of_.empty()) FoldAhead(given->options.budget, stop);
  }
}

absl::Status BatchTask::FoldThread::Prepare() {
  if (std::exchange(log_.read_ahead_bytes, memory_.reader_bytes) != memory_.reader_bytes) reader_.reset();
  std::vector<Cursor> cursors;
  bool same = reader_ != nullptr && absl::Now() < retry_at_;
  for (JobCore::ShardRange& range : ranges_) {
    DeltaTable& table = tables_[range.state.id().shard()][side_];
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
        cursor.anchor = cursors_[i].anchor;
        cursor.failure = cursors_[i].failure;
      }
    }
  }
  same = same && cursors.size() == cursors_.size();
  cursors_ = std::move(cursors);
  if (same && !doubtful_ && absl::Now() < check_at_) return absl::OkStatus();
  behind_ = false;
  for (Cursor& cursor : cursors_) {
    // What was folded before the topic can have been created again, rather than what may be of the new one.
    if (!same) cursor.anchor = anchors_->Find(cursor.partition);
    const int64_t last = cursor.state->last_offset();
    if (cursor.anchor.offset < 0 || cursor.anchor.offset > last) SetAnchor(&cursor);
    cursor.check = cursor.anchor.offset >= 0;
    behind_ |= cursor.check && cursor.anchor.offset < last;
  }
  doubtful_ = false;
  check_at_ = absl::Now() + kRecheckAfter;
  catch_up_at_ = absl::Now() + kCheckTogether;
  return Assign();
}

void BatchTask::FoldThread::SetAnchor(Cursor* cursor) {
  cursor->anchor = {cursor->state->last_offset(), cursor->state->last_hash()};
  if (cursor->anchor.offset >= 0) anchors_->Set(cursor->partition, cursor->anchor);
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
    cursor.failure.clear();
    starts.push_back({cursor.partition, cursor.check ? cursor.anchor.offset : cursor.read});
  }
  retry_at_ = absl::InfiniteFuture();
  absl::Status assigned = reader_->Assign(starts);
  if (!assigned.ok()) {
    for (Cursor& cursor : cursors_) cursor.read = -1;
  }
  return assigned;
}

absl::Status BatchTask::FoldThread::CatchUp() {
  if (!behind_ || std::ranges::all_of(cursors_, &Cursor::check)) return absl::OkStatus();
  if (std::ranges::any_of(cursors_, &Cursor::check) && absl::Now() < catch_up_at_) return absl::OkStatus();
  behind_ = false;
  for (Cursor& cursor : cursors_) {
    if (!cursor.check) SetAnchor(&cursor);
  }
  return Assign();
}

bool BatchTask::FoldThread::IsDone() const {
  return std::ranges::all_of(
      cursors_, [](const Cursor& cursor) { return cursor.state->next_offset() >= cursor.end || !cursor.failure.empty(); });
}

bool BatchTask::FoldThread::IsFull() const {
  if (memory_.batch_bytes == 0) return false;
  size_t bytes = 0;
  for (const auto& [shard, sides] : tables_) bytes += sides[side_].bytes();
  return bytes >= memory_.batch_bytes;
}

std::optional<std::string> BatchTask::FoldThread::FoldRecord(const LogRecord& record, bool exact, Cursor* cursor) {
  if (cursor->check) {
    // Beyond it: it is there no more (compaction).
    cursor->check = record.offset < cursor->anchor.offset;
    if (record.offset == cursor->anchor.offset && reader_->Hash(record) != cursor->anchor.hash) {
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
                            ", from which the job has to go on: retention has dropped it, or the topic was created again");
      case LogReader::Event::Kind::kFailed:
        cursor.failure = event.message;
        LOG_EVERY_T(WARNING, 5) << event.message;
        retry_at_ = std::min(retry_at_, absl::Now() + kRetryFailedAfter);
        break;
    }
  }
  return std::nullopt;
}

void BatchTask::FoldThread::FoldUntil(const std::function<bool()>& stop, absl::Time deadline, bool exact,
                                      std::counting_semaphore<>* turns) {
  absl::Status polled = Prepare();
  while (polled.ok() && !failure_ && !IsDone() && !IsFull() && !stop()) {
    const absl::Duration left = deadline - absl::Now();
    if (left <= absl::ZeroDuration()) break;
    polled = reader_->Poll(std::min(left, kPoll), &records_, &events_);
    waiting_for_.clear();
    if (turns != nullptr) turns->acquire();
    failure_ = FoldRecords(exact);
    if (turns != nullptr) turns->release();
    if (!failure_) failure_ = HandleEvents(exact, &waiting_for_);
    if (polled.ok() && !failure_) polled = CatchUp();
    if (absl::IsUnavailable(polled)) {
      doubtful_ = true;
      waiting_for_ = std::string(polled.message());
      polled = absl::OkStatus();
    }
  }
  if (!polled.ok()) {
    doubtful_ = true;
    waiting_for_ = std::string(polled.message());
  }
  for (const Cursor& cursor : cursors_) {
    if (waiting_for_.empty()) waiting_for_ = cursor.failure;
  }
  for (Cursor& cursor : cursors_) {
    cursor.state->set_records(cursor.state->records() + cursor.records);
    cursor.records = 0;
    if (cursor.anchor.offset < 0) SetAnchor(&cursor);
  }
  // The reader has gone past what was folded.
  if (failure_) cursors_.clear();
}

FoldOutcome BatchTask::FoldThread::Fold(std::vector<JobCore::ShardRange> ranges, const FoldOptions& options) {
  const absl::Time deadline = absl::Now() + options.budget;
  memory_ = options.memory;
  if (!Adopt(ranges, options.exact)) {
    ranges_ = std::move(ranges);
    failure_.reset();
    std::erase_if(tables_, [&](const auto& table) {
      const auto& [shard, sides] = table;
      if (std::ranges::any_of(ranges_, [&](const auto& range) { return range.state.id().shard() == shard; })) return false;
      for (const DeltaTable& side : sides) *given_up_ += side.memory();
      return true;
    });
    for (const JobCore::ShardRange& range : ranges_) *given_up_ += tables_[range.state.id().shard()][side_].Clear();
  }
  ahead_of_.clear();
  waiting_for_.clear();
  if (ranges_.empty()) {
    cursors_.clear();
    reader_.reset();
    return {};
  }
  if (!failure_) FoldUntil(options.stop, deadline, options.exact, nullptr);

  FoldOutcome outcome;
  outcome.failure = failure_;
  if (failure_) return outcome;
  outcome.waiting_for = waiting_for_;
  const bool left = !IsDone();
  for (JobCore::ShardRange& range : ranges_) {
    FoldOutcome::Shard& shard = outcome.shards.emplace_back();
    shard.deltas = tables_.at(range.state.id().shard())[side_].Deltas();
    // A store held to memory keeps rows in order, and takes them fastest in order.
    if (memory_.batch_bytes > 0) std::ranges::sort(shard.deltas, {}, &Delta::key);
    Uint128 digest = FromProto(range.state.digest());
    for (const Delta& delta : shard.deltas) digest += DigestTerm(delta.key, delta.count, delta.sum);
    *range.state.mutable_digest() = ToProto(digest);
    shard.state = range.state;
  }
  const bool goes_ahead = left && !options.exact && waiting_for_.empty();
  for (const JobCore::ShardRange& range : ranges_) {
    if (goes_ahead) {
      ahead_of_.push_back(range.state);
      continue;
    }
    // Caught up there is nothing to fold ahead for long.
    DeltaTable& other = tables_.at(range.state.id().shard())[1 - side_];
    *given_up_ += other.memory();
    other = DeltaTable();
  }
  return outcome;
}

void BatchTask::FoldThread::FoldAhead(absl::Duration budget, const std::stop_token& stop) {
  side_ = 1 - side_;
  for (const JobCore::ShardRange& range : ranges_) *given_up_ += tables_[range.state.id().shard()][side_].Clear();
  FoldUntil([&] { return stop.stop_requested() || awaited_; }, absl::Now() + budget, /*exact=*/false, ahead_turns_);
}

bool BatchTask::FoldThread::Adopt(const std::vector<JobCore::ShardRange>& ranges, bool exact) {
  if (exact || ahead_of_.empty() || ranges.size() != ranges_.size()) return false;
  for (size_t i = 0; i < ranges.size(); ++i) {
    if (ranges[i].state.SerializeAsString() != ahead_of_[i].SerializeAsString()) return false;
  }
  for (size_t i = 0; i < ranges.size(); ++i) ranges_[i].ends = ranges[i].ends;
  return true;
}

absl::StatusOr<std::unique_ptr<BatchTask>> BatchTask::Create(const JobSpec& spec, const LogConfig& log, size_t threads) {
  CHECK_GE(threads, 1U);
  std::unique_ptr<BatchTask> task(new BatchTask(threads));
  for (size_t i = 0; i < 2 * threads; ++i) {
    absl::StatusOr<Decoder> decoder = Decoder::Create(spec);
    if (!decoder.ok()) return decoder.status();
    task->threads_.push_back(std::make_unique<FoldThread>(spec, log, *std::move(decoder), task->anchors_.get(),
                                                          &task->ahead_turns_, &task->given_up_));
  }
  return task;
}

// A core is left to persist and to answer with.
BatchTask::BatchTask(size_t threads)
    : anchors_(std::make_unique<Anchors>()), ahead_turns_(std::max<ptrdiff_t>(1, static_cast<ptrdiff_t>(threads) - 1)) {}

BatchTask::~BatchTask() = default;

FoldOutcome BatchTask::Fold(const std::vector<JobCore::ShardRange>& ranges, const FoldOptions& options) {
  size_t threads = std::min(threads_.size(), ranges.size());
  FoldOptions part_options = options;
  if (options.memory.reader_bytes > 0 && threads > 0) {
    threads = std::clamp<size_t>(options.memory.reader_bytes / kMinReaderBytes, 1, threads);
    // What is folded ahead takes half as much as a batch that is being persisted.
    part_options.memory = {options.memory.batch_bytes / 3 * 2 / threads, options.memory.reader_bytes / threads};
  }
  std::vector<std::vector<JobCore::ShardRange>> parts(threads);
  for (size_t i = 0; i < ranges.size(); ++i) parts[i % parts.size()].push_back(ranges[i]);
  // Threads that the last fold had and this one has not give back what they hold.
  for (size_t i = parts.size(); i < threads_.size() && !threads_[i]->idle() && !ranges.empty(); ++i) parts.emplace_back();
  for (size_t i = 0; i < parts.size(); ++i) threads_[i]->Start(std::move(parts[i]), part_options);
  FoldOutcome outcome;
  for (size_t i = 0; i < parts.size(); ++i) {
    FoldOutcome part = threads_[i]->Wait();
    for (FoldOutcome::Shard& shard : part.shards) outcome.shards.push_back(std::move(shard));
    if (!outcome.failure) outcome.failure = std::move(part.failure);
    if (outcome.waiting_for.empty()) outcome.waiting_for = std::move(part.waiting_for);
  }
  // The allocator keeps what was freed in small pieces; after a backlog that is much, and for nothing.
  if (given_up_ >= kTrimBytes) {
    given_up_ = 0;
    malloc_trim(0);
  }
  return outcome;
}

}  // namespace tenfold
