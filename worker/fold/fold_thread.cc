#include "worker/fold/fold_thread.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "common/number/digest.h"
#include "google/protobuf/util/message_differencer.h"
#include "worker/fold/pane_digests.h"

namespace tenfold {
namespace {

// The longest wait of a poll, by which a stop or the end of the budget may be delayed.
constexpr absl::Duration kPoll = absl::Milliseconds(50);

}  // namespace

FoldShared::FoldShared(size_t cores) : ahead_turns(std::max<ptrdiff_t>(1, static_cast<ptrdiff_t>(cores) - 1)) {}

FoldThread::FoldThread(RecordFold fold, LogConfig log, bool compacted, FoldShared* shared)
    : fold_(std::move(fold)), reader_(std::move(log), compacted, &shared->anchors), shared_(shared) {}

void FoldThread::Start(std::vector<JobCore::ShardRange> ranges, const FoldOptions& options) {
  if (!thread_.joinable()) thread_ = std::jthread([this](const std::stop_token& stop) { Run(stop); });
  idle_ = ranges.empty();
  awaited_ = true;
  given_.Post({std::move(ranges), options});
}

void FoldThread::Run(const std::stop_token& stop) {
  while (std::optional<Given> given = given_.Take()) {
    awaited_ = false;
    const absl::Duration budget = given->options.budget;
    outcomes_.Post(Fold(std::move(given->ranges), given->options));
    if (!ahead_of_.empty()) FoldAhead(budget, stop);
  }
  // A client of silent brokers takes seconds to end.
  reader_.Close();
}

bool FoldThread::IsFull() const {
  if (memory_.batch_bytes == 0) return false;
  size_t bytes = 0;
  for (const auto& [shard, sides] : tables_) bytes += sides[side_].bytes();
  return bytes >= memory_.batch_bytes;
}

void FoldThread::FoldUntil(const std::function<bool()>& stop, absl::Time deadline, bool exact,
                           std::counting_semaphore<>* turns) {
  reader_.SetReadAhead(memory_.reader_bytes);
  absl::Status polled = reader_.Prepare(&ranges_, [this](uint32_t shard) { return &tables_[shard][side_]; }, schemas_.get());
  while (polled.ok() && !failure_ && !reader_.IsDone() && !IsFull() && !stop()) {
    const absl::Duration left = deadline - absl::Now();
    if (left <= absl::ZeroDuration()) break;
    polled = reader_.Poll(std::min(left, kPoll));
    waiting_for_.clear();
    if (turns != nullptr) turns->acquire();
    failure_ = fold_.Fold(reader_.records(), reader_.log(), exact, reader_.cursors());
    if (turns != nullptr) turns->release();
    if (!failure_) failure_ = reader_.HandleEvents(exact, &waiting_for_);
    if (polled.ok() && !failure_) polled = reader_.CatchUp();
    if (absl::IsUnavailable(polled)) {
      reader_.SetDoubtful();
      waiting_for_ = std::string(polled.message());
      polled = absl::OkStatus();
    }
  }
  if (!polled.ok()) {
    reader_.SetDoubtful();
    waiting_for_ = std::string(polled.message());
  }
  if (waiting_for_.empty()) waiting_for_ = reader_.Failure();
  reader_.FinishStates();
  // The position of the reader is beyond what was folded.
  if (failure_) reader_.cursors()->clear();
}

void FoldThread::Begin(std::vector<JobCore::ShardRange> ranges) {
  ranges_ = std::move(ranges);
  failure_.reset();
  std::erase_if(tables_, [&](const auto& table) {
    const auto is_its = [&](const JobCore::ShardRange& range) { return range.state.id().shard() == table.first; };
    if (std::ranges::any_of(ranges_, is_its)) return false;
    for (const DeltaTable& side : table.second) shared_->given_up += side.memory();
    return true;
  });
  for (const JobCore::ShardRange& range : ranges_) shared_->given_up += tables_[range.state.id().shard()][side_].Clear();
}

FoldOutcome FoldThread::Fold(std::vector<JobCore::ShardRange> ranges, const FoldOptions& options) {
  const absl::Time deadline = absl::Now() + options.budget;
  memory_ = options.memory;
  schemas_ = options.schemas;
  fold_.SetSchemas(schemas_);
  // Drops the time that was spent waiting while folding ahead.
  reader_.TakeWaited();
  if (!Adopt(ranges, options.exact)) Begin(std::move(ranges));
  ahead_of_.clear();
  waiting_for_.clear();
  if (ranges_.empty()) {
    reader_.Close();
    return {};
  }
  if (!failure_) FoldUntil(options.stop, deadline, options.exact, nullptr);
  return MakeOutcome(options);
}

FoldOutcome FoldThread::MakeOutcome(const FoldOptions& options) {
  FoldOutcome outcome;
  outcome.failure = failure_;
  if (failure_) return outcome;
  outcome.waiting_for = waiting_for_;
  outcome.waited = reader_.TakeWaited();
  if (const std::optional<std::string> why = reader_.WhyRdkafka()) {
    outcome.reader.set_kind(why->empty() ? READER_WIRE : READER_LIBRDKAFKA);
    outcome.reader.set_reason(*why);
  }
  for (const Cursor& cursor : *reader_.cursors()) {
    if (!cursor.unread) continue;
    NeededSchema& need = outcome.needs_schemas.emplace_back();
    need.set_id(cursor.unread->schema);
    need.set_partition(cursor.state->partition());
    need.set_offset(cursor.unread->offset);
  }
  const bool goes_ahead = !reader_.IsDone() && !options.exact && waiting_for_.empty();
  for (JobCore::ShardRange& range : ranges_) {
    Sides& sides = tables_.at(range.state.id().shard());
    FoldOutcome::Shard& shard = outcome.shards.emplace_back();
    shard.deltas = sides[side_].Deltas();
    // A store with a memory limit keeps rows sorted, and takes sorted rows fastest.
    if (memory_.batch_bytes > 0) std::ranges::sort(shard.deltas, {}, &Delta::key);
    if (fold_.has_windows()) {
      AddToPanes(options.closed_through, &shard.deltas, &range.state);
    } else {
      Uint128 digest = FromProto(range.state.digest());
      for (const Delta& delta : shard.deltas) digest += DigestTerm(delta);
      *range.state.mutable_digest() = ToProto(digest);
    }
    shard.state = range.state;
    if (goes_ahead) {
      ahead_of_.push_back(range.state);
      continue;
    }
    // Once caught up, there is little to fold ahead.
    DeltaTable& other = sides[1 - side_];
    shared_->given_up += other.memory();
    other = DeltaTable();
  }
  return outcome;
}

void FoldThread::FoldAhead(absl::Duration budget, const std::stop_token& stop) {
  side_ = 1 - side_;
  for (const JobCore::ShardRange& range : ranges_) shared_->given_up += tables_[range.state.id().shard()][side_].Clear();
  FoldUntil([&] { return stop.stop_requested() || awaited_; }, absl::Now() + budget, /*exact=*/false, &shared_->ahead_turns);
}

bool FoldThread::Adopt(const std::vector<JobCore::ShardRange>& ranges, bool exact) {
  if (exact || ahead_of_.empty() || ranges.size() != ranges_.size()) return false;
  for (size_t i = 0; i < ranges.size(); ++i) {
    // Rows of final windows may have been dropped since, which is nothing that a fold goes on from.
    ShardState state = ranges[i].state;
    *state.mutable_panes() = ahead_of_[i].panes();
    *state.mutable_closed() = ahead_of_[i].closed();
    if (!ahead_of_[i].has_closed()) state.clear_closed();
    if (!google::protobuf::util::MessageDifferencer::Equals(state, ahead_of_[i])) return false;
  }
  for (size_t i = 0; i < ranges.size(); ++i) {
    ranges_[i].ends = ranges[i].ends;
    *ranges_[i].state.mutable_panes() = ranges[i].state.panes();
    if (ranges[i].state.has_closed()) *ranges_[i].state.mutable_closed() = ranges[i].state.closed();
  }
  return true;
}

}  // namespace tenfold
