#include "worker/fold/range_reader.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "glog/logging.h"

namespace tenfold {
namespace {

// How long a reader reads before an anchor is read again.
constexpr absl::Duration kRecheckAfter = absl::Seconds(15);
// How long partitions that passed a check wait for the others.
constexpr absl::Duration kCheckTogether = absl::Seconds(1);
// How long a fold waits for the answer where a partition begins.
constexpr absl::Duration kAskBegin = absl::Seconds(2);
// The pause before a failed partition is read again, which discards what was fetched of all other partitions.
constexpr absl::Duration kRetryFailedAfter = absl::Seconds(1);

}  // namespace

Anchor Anchors::Find(const TopicPartition& partition) const {
  MutexLock lock(&mutex_);
  const auto it = anchors_.find(partition);
  return it == anchors_.end() ? Anchor() : it->second;
}

void Anchors::Set(const TopicPartition& partition, const Anchor& anchor) {
  MutexLock lock(&mutex_);
  anchors_[partition] = anchor;
}

void RangeReader::SetReadAhead(size_t bytes) {
  if (std::exchange(log_.read_ahead_bytes, bytes) != bytes) reader_.reset();
}

void RangeReader::Close() {
  cursors_.clear();
  reader_.reset();
}

absl::Status RangeReader::Prepare(std::vector<JobCore::ShardRange>* ranges,
                                  const std::function<DeltaTable*(uint32_t)>& table, const LearnedSchemas* schemas) {
  std::vector<Cursor> cursors;
  bool same = reader_ != nullptr;
  // Whether one that failed is asked for: reading it again throws away what was fetched of the others.
  bool retry = false;
  for (JobCore::ShardRange& range : *ranges) {
    DeltaTable* const of_shard = table(range.state.id().shard());
    for (int j = 0; j < range.state.partitions_size(); ++j) {
      const size_t i = cursors.size();
      Cursor& cursor = cursors.emplace_back();
      const Partition& partition = range.state.id().partitions(j);
      cursor.partition = {partition.topic(), partition.partition()};
      cursor.source = partition.source();
      if (partition.has_end_offset()) cursor.job_end = partition.end_offset();
      cursor.state = range.state.mutable_partitions(j);
      cursor.table = of_shard;
      cursor.compacted = compacted_;
      cursor.end = range.ends[static_cast<size_t>(j)];
      // What was read behind the job's end is passed over.
      same = same && i < cursors_.size() && cursors_[i].partition == cursor.partition &&
             std::min(cursors_[i].read, cursor.job_end) == cursor.state->next_offset();
      const auto is_known = [&](uint32_t id) { return schemas != nullptr && schemas->contains(id); };
      same = same && !(cursors_[i].unread && is_known(cursors_[i].unread->schema));
      if (same) {
        cursor.unread = cursors_[i].unread;
        cursor.read = cursors_[i].read;
        cursor.expected = cursors_[i].expected;
        cursor.expected_next = cursors_[i].expected_next;
        cursor.anchor = cursors_[i].anchor;
        cursor.failure = cursors_[i].failure;
        retry |= !cursor.failure.empty() && cursor.state->next_offset() < cursor.end;
      }
    }
  }
  same = same && cursors.size() == cursors_.size() && !(retry && absl::Now() >= retry_at_);
  cursors_ = std::move(cursors);
  if (same && !doubtful_ && absl::Now() < check_at_) {
    ReadUpToEnds();
    return absl::OkStatus();
  }
  behind_ = false;
  for (Cursor& cursor : cursors_) {
    // Takes an anchor from before the topic may have been recreated, not one that may be of the new topic.
    if (!same) cursor.anchor = anchors_->Find(cursor.partition);
    const Anchor last = LastFolded(cursor);
    if (cursor.anchor.offset < 0 || cursor.anchor.offset > last.offset) SetAnchor(&cursor);
    cursor.expected = cursor.anchor;
    // The older anchor may be in what two logs have in common.
    cursor.expected_next = cursor.anchor.offset < last.offset ? last : Anchor();
    behind_ |= cursor.expected_next.offset >= 0;
  }
  doubtful_ = false;
  check_at_ = absl::Now() + kRecheckAfter;
  catch_up_at_ = absl::Now() + kCheckTogether;
  return Assign();
}

Anchor RangeReader::LastFolded(const Cursor& cursor) { return {cursor.state->last_offset(), cursor.state->last_hash()}; }

void RangeReader::SetAnchor(Cursor* cursor) {
  cursor->anchor = LastFolded(*cursor);
  if (cursor->anchor.offset >= 0) anchors_->Set(cursor->partition, cursor->anchor);
}

absl::Status RangeReader::Assign() {
  if (reader_ == nullptr) {
    absl::StatusOr<std::unique_ptr<LogReader>> reader = LogReader::Create(log_);
    if (!reader.ok()) return reader.status();
    reader_ = *std::move(reader);
  }
  std::vector<LogReader::Start> starts;
  for (Cursor& cursor : cursors_) {
    cursor.read = cursor.state->next_offset();
    cursor.failure.clear();
    cursor.unread.reset();
    starts.push_back({cursor.partition, cursor.expected.offset >= 0 ? cursor.expected.offset : cursor.read, cursor.Known()});
  }
  retry_at_ = absl::InfiniteFuture();
  absl::Status assigned = reader_->Assign(starts);
  if (!assigned.ok()) {
    for (Cursor& cursor : cursors_) cursor.read = -1;
    return assigned;
  }
  ReadUpToEnds();
  return absl::OkStatus();
}

void RangeReader::ReadUpToEnds() {
  std::vector<int64_t> ends;
  for (const Cursor& cursor : cursors_) ends.push_back(cursor.unread ? cursor.read : cursor.end);
  reader_->ReadUpTo(ends);
}

absl::Status RangeReader::Poll(absl::Duration timeout) {
  const absl::Status polled = reader_->Poll(timeout, &records_, &events_);
  if (!reader_->TakeChanged()) return polled;
  const auto has_folded = [](const Cursor& cursor) { return cursor.state->last_offset() >= 0; };
  if (std::ranges::none_of(cursors_, has_folded)) return polled;
  records_.clear();
  events_.clear();
  const absl::Status assigned = AssignAtLast();
  return polled.ok() ? assigned : polled;
}

absl::Status RangeReader::AssignAtLast() {
  behind_ = false;
  for (Cursor& cursor : cursors_) {
    cursor.expected = LastFolded(cursor);
    cursor.expected_next = {};
  }
  return Assign();
}

std::optional<std::string> RangeReader::HandleEvents(bool exact, std::string* waiting_for) {
  for (const LogReader::Event& event : events_) {
    Cursor& cursor = cursors_[event.position];
    switch (event.kind) {
      case LogReader::Event::Kind::kEnd: {
        // The records up to there were dropped.
        if (cursor.unread) break;
        if (cursor.expected.offset >= 0 && event.next_offset > cursor.expected.offset) {
          if (!cursor.compacted) return cursor.Missing();
          const Anchor next = std::exchange(cursor.expected_next, {});
          cursor.expected = event.next_offset > next.offset ? Anchor() : next;
        }
        if (cursor.expected.offset >= 0) {
          SetShorter(&cursor);
          break;
        }
        cursor.read = std::max(cursor.read, event.next_offset);
        const int64_t reached = std::min(event.next_offset, cursor.Limit(exact));
        if (reached > cursor.state->next_offset()) {
          LogIdentity identity = event.identity;
          if (reached != event.next_offset) identity.leader_epoch = -1;
          cursor.SetNext(reached, identity);
        }
        break;
      }
      case LogReader::Event::Kind::kOffsetLost: {
        // Nothing more is wanted of it.
        if (cursor.state->next_offset() >= cursor.job_end) break;
        const absl::StatusOr<int64_t> begin = reader_->Begin(event.position, kAskBegin);
        if (!begin.ok()) {
          SetFailure(&cursor, std::string(begin.status().message()));
          break;
        }
        if (*begin <= (cursor.expected.offset >= 0 ? cursor.expected.offset : cursor.state->next_offset())) {
          SetShorter(&cursor);
          break;
        }
        if (cursor.expected.offset >= 0) {
          // Retention has dropped the expected record. Whether more is lost shows behind it.
          cursor.expected = std::exchange(cursor.expected_next, {});
          // The others begin anew with it, maybe at another leader.
          for (Cursor& other : cursors_) {
            if (&other != &cursor && other.expected.offset < 0) other.expected = LastFolded(other);
          }
          if (absl::Status assigned = Assign(); !assigned.ok()) *waiting_for = std::string(assigned.message());
          return std::nullopt;
        }
        return absl::StrCat(
            cursor.Name(), " no longer has offset ", cursor.state->next_offset(),
            ", from which the job has to go on: retention has dropped it, or the topic was created again. Cancel "
            "the job and submit it anew");
      }
      case LogReader::Event::Kind::kAnotherLog:
        // A state that is made anew knows the topic, though it has nothing of it yet.
        if (event.next_offset < cursor.state->next_offset() || (event.next_offset == 0 && !cursor.state->topic_id().empty()))
          return cursor.Another(event.message);
        // What was read and not folded is gone.
        SetFailure(&cursor, event.message);
        break;
      case LogReader::Event::Kind::kFailed:
        SetFailure(&cursor, event.message);
        break;
    }
  }
  return std::nullopt;
}

// The expected record may come back: a new leader tells late of all that it has. The driver ends the job if it does not.
void RangeReader::SetShorter(Cursor* cursor) {
  SetFailure(cursor, absl::StrCat(cursor->Name(), " ends at or before offset ",
                                  cursor->expected.offset >= 0 ? cursor->expected.offset : cursor->state->next_offset(),
                                  ", up to which it is folded"));
}

void RangeReader::SetFailure(Cursor* cursor, std::string failure) {
  LOG_EVERY_T(WARNING, 5) << failure;
  cursor->failure = std::move(failure);
  retry_at_ = std::min(retry_at_, absl::Now() + kRetryFailedAfter);
}

absl::Status RangeReader::CatchUp() {
  const auto is_behind = [](const Cursor& cursor) { return cursor.expected_next.offset >= 0; };
  if (!behind_ || std::ranges::all_of(cursors_, is_behind)) return absl::OkStatus();
  if (std::ranges::any_of(cursors_, is_behind) && absl::Now() < catch_up_at_) return absl::OkStatus();
  behind_ = false;
  for (Cursor& cursor : cursors_) {
    if (is_behind(cursor)) continue;
    SetAnchor(&cursor);
    cursor.expected = cursor.anchor;
  }
  return Assign();
}

bool RangeReader::IsDone() const {
  return std::ranges::all_of(cursors_, [](const Cursor& cursor) {
    return cursor.state->next_offset() >= cursor.end || !cursor.failure.empty() || cursor.unread;
  });
}

std::string RangeReader::Failure() const {
  const auto failed = std::ranges::find_if(cursors_, [](const Cursor& cursor) { return !cursor.failure.empty(); });
  if (failed != cursors_.end()) return failed->failure;
  return reader_ == nullptr ? "" : reader_->Stuck();
}

void RangeReader::FinishStates() {
  for (Cursor& cursor : cursors_) {
    cursor.state->set_records(cursor.state->records() + cursor.records);
    cursor.records = 0;
    if (cursor.anchor.offset < 0) SetAnchor(&cursor);
  }
}

std::optional<std::string> RangeReader::WhyRdkafka() const {
  return reader_ == nullptr ? std::nullopt : std::optional(reader_->WhyRdkafka());
}

absl::Duration RangeReader::TakeWaited() { return reader_ == nullptr ? absl::ZeroDuration() : reader_->TakeWaited(); }

}  // namespace tenfold
