// Merge: the exact global top k from the workers' partial sums, without reading all keys (design, "Exact top k without a
// shuffle"; R7). A state machine without I/O: it says what to look up, is told the answers, and at last has the result.
// One object merges one attempt; used by one thread at a time. Only totals are kept, no worker's partials.
// Background: Fagin's threshold algorithm; TPUT (Cao and Wang, 2004).
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "common/units.h"

namespace tenfold {

class GlobalTopK {
 public:
  struct Partial {
    std::string key;
    Units sum = 0;
  };
  // What to ask one worker.
  struct Question {
    size_t worker = 0;
    // Keys whose partial at this worker is not known.
    std::vector<std::string> keys;
    // And every entry at or above this.
    std::optional<Units> at_or_above;
  };
  struct Result {
    // Total descending, then key ascending by bytes; at most k.
    std::vector<Partial> top;
    // The proof: T (unset with fewer than k keys), U (unset if every entry was seen), rounds, entries read.
    std::optional<Units> kth_total;
    std::optional<Units> unseen_bound;
    uint32_t rounds = 0;
    uint64_t entries = 0;
    // What to send worker w along with the next batch's fold, so that one round is likely to do; unset: only the depth.
    std::vector<std::optional<Units>> next_thresholds;
  };

  // A key is a candidate of the result only if at least one worker has it, also when its total is 0 or below.
  GlobalTopK(size_t k, size_t workers);
  GlobalTopK(GlobalTopK&&) = default;

  // Worker w's first answer: its highest partials, and its floor (unset if it sent all). Each worker once.
  void AddReply(size_t worker, std::vector<Partial> entries, std::optional<Units> floor);

  // After all replies, and after each round of answers: the questions of the next step; none when the result is there.
  std::vector<Question> Next();

  // The answer to a question: the known ones of its keys (the others are 0) and all entries at or above, if asked.
  void AddAnswer(size_t worker, std::vector<Partial> found, std::vector<Partial> at_or_above);

  // After Next() returned none.
  const Result& result() const;

 private:
  struct Candidate {
    std::string key;
    // Of the partials known so far.
    Units total = 0;
    // The last pass over candidates that met this one.
    uint32_t pass = 0;
  };
  struct Worker {
    // Bounds every partial it has and did not send; unset if it sent all.
    std::optional<Units> floor;
    // What the floor would at most be, had only the depth been asked for; never below 0.
    Units depth_bound = 0;
    // Ids of the candidates it sent among those of the current round.
    std::vector<uint32_t> sent;
    // A reply or an answer of it is outstanding.
    bool asked = true;
  };
  // What the outstanding answers are; the second round repeats the first two.
  enum class Step { kEntries, kLookUps, kDone };

  static bool Precedes(const Candidate* a, const Candidate* b);
  void TakeAnswer(size_t worker);
  void AddEntries(Worker* worker, std::vector<Partial> entries);
  void AddFound(const Worker& worker, const std::vector<Partial>& found);
  void MarkSent(const Worker& worker);
  std::vector<Question> Asked(std::vector<Question> questions);
  std::vector<Question> LookUps();
  std::vector<Question> SecondRound();
  std::vector<const Candidate*> Best(size_t count) const;
  std::optional<Units> UnseenBound() const;
  std::vector<std::optional<Units>> NextThresholds(const std::vector<const Candidate*>& best) const;

  const size_t k_;
  std::vector<Worker> workers_;
  Step step_ = Step::kEntries;
  // Answers outstanding.
  size_t unanswered_;
  // By id. A deque, because `ids_` has views of the keys.
  std::deque<Candidate> candidates_;
  absl::flat_hash_map<std::string_view, uint32_t, std::hash<std::string_view>> ids_;
  // The first candidate of the current round: the total of those before it is exact.
  uint32_t round_begin_ = 0;
  uint32_t pass_ = 0;
  Result result_;
};

}  // namespace tenfold
