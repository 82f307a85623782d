// One thread of a job's fold, with its reader and its shards, so that threads share nothing. It folds the ranges it is
// given; where it leaves records it folds on from there, aside, until the next fold is asked for.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <semaphore>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "common/thread/event_queue.h"
#include "worker/fold/fold_task.h"
#include "worker/fold/range_reader.h"
#include "worker/fold/record_fold.h"

namespace tenfold {

// What all fold threads of a job share.
struct FoldShared {
  // `cores`: a core fewer, and one at least, may fold ahead at a time, so that one is left to persist and to answer with.
  explicit FoldShared(size_t cores);

  Anchors anchors;
  std::counting_semaphore<> ahead_turns;
  // Bytes that the threads have freed and the allocator may still hold.
  std::atomic<size_t> given_up = 0;
};

class FoldThread {
 public:
  // `shared` outlives the object.
  FoldThread(RecordFold fold, LogConfig log, bool compacted, FoldShared* shared);
  ~FoldThread() { Stop(); }
  // Ends the thread with its connections, without waiting for it, so that several end at once. Nothing is asked afterwards.
  void Stop() {
    thread_.request_stop();
    given_.Abort();
  }

  // Whether the last fold had no ranges, so that the thread keeps nothing.
  bool idle() const { return idle_; }

  // Starts a fold on the thread; Wait returns what it came to. Both are called in turn by the task's owner.
  void Start(std::vector<JobCore::ShardRange> ranges, const FoldOptions& options);
  FoldOutcome Wait() { return *outcomes_.Take(); }

 private:
  struct Given {
    std::vector<JobCore::ShardRange> ranges;
    FoldOptions options;
  };
  // What is folded while the other one's deltas are read.
  using Sides = std::array<DeltaTable, 2>;

  void Run(const std::stop_token& stop);
  FoldOutcome Fold(std::vector<JobCore::ShardRange> ranges, const FoldOptions& options);
  // Begins a fold of other ranges than the last: clears their tables and drops all others.
  void Begin(std::vector<JobCore::ShardRange> ranges);
  // While what was folded is persisted and merged: folds on from there, aside, until the next fold is asked for.
  void FoldAhead(absl::Duration budget, const std::stop_token& stop);
  // Whether what was folded ahead is the beginning of this fold; then it is that from now on.
  bool Adopt(const std::vector<JobCore::ShardRange>& ranges, bool exact);
  // Folds ranges_ until they are at their ends, or `stop`; what a poll brought in one of the turns, if they are given.
  void FoldUntil(const std::function<bool()>& stop, absl::Time deadline, bool exact, std::counting_semaphore<>* turns);
  // Whether the tables of the fold take all the memory that they may.
  bool IsFull() const;
  FoldOutcome MakeOutcome(const FoldOptions& options);

  RecordFold fold_;
  RangeReader reader_;
  FoldShared* const shared_;
  // Used by the owner's thread alone.
  bool idle_ = true;

  // From the options of the last fold.
  JobMemory::Lane memory_;
  std::shared_ptr<const LearnedSchemas> schemas_;
  // The fold under way, or what was folded ahead: states with all but their digests, and why the job has to stop or wait.
  std::vector<JobCore::ShardRange> ranges_;
  std::optional<std::string> failure_;
  std::string waiting_for_;
  // Where the fold ahead began; empty if there is none.
  std::vector<ShardState> ahead_of_;
  // By shard.
  std::map<uint32_t, Sides> tables_;
  size_t side_ = 0;

  EventQueue<Given> given_;
  EventQueue<FoldOutcome> outcomes_;
  // The owner waits for a fold, so folding ahead ends.
  std::atomic<bool> awaited_ = false;
  // Last, so that it ends before what it uses.
  std::jthread thread_;
};

}  // namespace tenfold
