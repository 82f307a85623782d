// Merge: the exact global top k from the workers' partial sums, without reading all keys (ARCHITECTURE.md, "Exact top
// k"; R7). A state machine without I/O: it says what to look up, is told the answers, and at last has the result.
// One object merges one attempt; used by one thread at a time. Background: Fagin's threshold algorithm; TPUT (Cao and
// Wang, 2004).
//
// A candidate is looked up only while it can be in the result: its total is at most what was sent of it and the floors,
// where they are positive, of the workers that did not send it. The best candidates by what was sent come first; the k-th
// best total that is exact is then a bound below T, and a candidate whose bound lies below it, strictly as ties go by key,
// is out. (What was sent alone bounds nothing from below: the rest may be negative.)
//
// Where the second round brings more candidates than the memory allows, they are forgotten, but for the best, and asked for
// again in slices of the keys, by hash, one slice after the other; a slice that is still too large is divided again. Every
// key above a floor is in one of them, so the result is the same, for more traffic.
//
// Where a height ranks a total is the highest of its partials, or the lowest where the lowest height comes first: U is the
// highest floor then, the second round asks for all at or above T0, and a candidate's bound is the highest of what was sent
// and of the floors of the others, or the lowest of what was sent (rule M of the job language).
//
// Where partials bound nothing of what is asked (ResultRules::NeedsAll) the second round asks for everything.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "common/number/units.h"
#include "common/table/key_seed.h"
#include "common/table/key_slice.h"
#include "driver/merge/best_totals.h"
#include "driver/merge/candidates.h"
#include "driver/merge/merge_memory.h"
#include "driver/merge/partial.h"

namespace tenfold {

class GlobalTopK {
 public:
  using Partial = tenfold::Partial;
  // What to ask one worker.
  struct Question {
    size_t worker = 0;
    // Keys whose partial at this worker is not known. They live until the next Next.
    std::vector<std::string_view> keys;
    // If set, also every entry at or above this whose key is in the slice.
    std::optional<Units> at_or_above;
    KeySlice slice;
  };
  struct Result {
    // In the order of the result, at most k; empty of a result with groups.
    std::vector<Partial> top;
    // Of a result with groups, those that count, by name; and whether there are more.
    std::vector<BestOfGroup> groups;
    bool groups_cut = false;
    // The proof: T (unset if fewer than k keys may be in the result, and where everything has to be seen), U (unset if every
    // entry was seen), rounds, entries read.
    std::optional<Units> kth_total;
    std::optional<Units> unseen_bound;
    uint32_t rounds = 0;
    uint64_t entries = 0;
    // How many keys were looked up, a key once for each worker that was asked.
    uint64_t look_ups = 0;
    // The threshold to send worker w with the next Fold, so that one round is likely to suffice; unset for the depth alone.
    std::vector<std::optional<Units>> next_thresholds;

    void SetBest(std::vector<BestOfGroup> best, bool cut, const ResultRules& rules) {
      if (rules.groups == 0) {
        top = std::move(best[0].top);
      } else {
        groups = std::move(best);
        groups_cut = cut;
      }
    }
  };

  // At most so many questions of one key to one worker are in flight, which bounds the memory that they take.
  static constexpr size_t kMaxQuestions = 1 << 18;

  // A key is a candidate of the result only if at least one worker has it, also when its total is 0 or below.
  GlobalTopK(size_t k, size_t workers, std::shared_ptr<MergeMemory> memory = std::make_shared<MergeMemory>(),
             size_t max_questions = kMaxQuestions, ResultRules rules = {});
  GlobalTopK(GlobalTopK&&) = default;

  // Worker w's first answer: its highest partials, and its floor (unset if it sent all). Each worker once. `read`: so many
  // of them were read for this batch; unset: all.
  void AddReply(size_t worker, std::vector<Partial> entries, std::optional<Units> floor,
                std::optional<uint64_t> read = std::nullopt);

  // After all replies, and after each round of answers: the questions of the next step; none when the result is there.
  std::vector<Question> Next();

  // The answer to a question: the known ones of its keys (the others are 0) and all entries at or above, if asked. It may
  // come in parts: all but the last have `more`.
  void AddAnswer(size_t worker, const std::vector<Partial>& found, std::vector<Partial> at_or_above, bool more = false);

  // After Next() returned none.
  const Result& result() const;

 private:
  struct Worker {
    // The floor f_w: an upper bound of every partial that it has and did not send; unset if it sent all.
    std::optional<Units> floor;
    // An upper bound of the floor that it would have, had only the depth been asked for; never below 0.
    Units depth_bound = 0;
    // Ids of the candidates it sent in the first round.
    std::vector<uint32_t> sent;
    // Ids of the candidates it is asked for.
    std::vector<uint32_t> looked_up;
    // It has yet to reply or to answer.
    bool asked = true;
  };
  // What the answers in flight are about; the second round repeats the first three steps.
  enum class Step { kEntries, kBest, kRest, kDone };

  void TakeAnswer(size_t worker);
  void AddEntries(size_t worker, std::vector<Partial> entries);
  void AddFound(size_t worker, const std::vector<Partial>& found);
  std::vector<Question> Asked(std::vector<Question> questions);
  void BoundCandidates();
  // The same where a height ranks.
  void BoundHeights();
  void Settle(uint32_t id);
  // Settles what was looked up, and drops what can no longer be in the result.
  void SettleAsked();
  // Looks up the best by what is known of them, each time twice as many.
  std::vector<Question> LookUpBest();
  std::vector<Question> LookUpRest();
  std::vector<Question> LookUp(std::vector<uint32_t> ids);
  std::vector<Question> SecondRound();
  // Divides the slice that brought more than there is room for.
  void Divide();
  std::vector<Question> NextSlice();
  void ForgetCandidates();
  void Finish();
  // U; unset if everything was sent.
  std::optional<Units> UnseenBound() const;
  bool IsDecided() const;
  // A lower bound of the k-th total; unset while it has none, as fewer than k totals are exact.
  std::optional<Units> LeastKthTotal() const;
  std::vector<std::optional<Units>> Floors() const;

  const size_t k_;
  const size_t max_questions_;
  const std::shared_ptr<const ResultRules> rules_;
  std::vector<Worker> workers_;
  Step step_ = Step::kEntries;
  // How many answers are in flight.
  size_t unanswered_;
  Candidates candidates_;
  // Ids of the candidates that are not settled; in the step kRest sorted by bound, lowest first.
  std::vector<uint32_t> open_;
  // How many LookUpBest takes next.
  size_t best_size_ = 0;
  // Ids of the candidates that are looked up in this step.
  std::vector<uint32_t> asked_;
  BestTotals best_;

  // In the second round: how many entries came, and how many of them fitted; the others are dropped.
  uint64_t came_ = 0;
  std::optional<uint64_t> room_for_;
  // The slices that are left; the present one is the last. Empty as long as no slices were needed.
  std::vector<KeySlice> slices_;
  // Keys whose totals were exact before the first slice, and among the best.
  absl::flat_hash_set<std::string, SeededHash> known_;
  Result result_;
};

}  // namespace tenfold
