// Merge: the exact global top k from the workers' partial sums, without reading all keys (design, "Exact top k without a
// shuffle"; R7). A state machine without I/O: it says what to look up, is told the answers, and at last has the result.
// Background: Fagin's threshold algorithm; TPUT (Cao and Wang, 2004).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

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

  // Worker w's first answer: its highest partials, and its floor (unset if it sent all). Each worker once.
  void AddReply(size_t worker, std::vector<Partial> entries, std::optional<Units> floor);

  // After all replies, and after each round of answers: the questions of the next step; none when the result is there.
  std::vector<Question> Next();

  // The answer to a question: the known ones of its keys (the others are 0) and all entries at or above, if asked.
  void AddAnswer(size_t worker, std::vector<Partial> found, std::vector<Partial> at_or_above);

  // After Next() returned none.
  const Result& result() const;
};

}  // namespace tenfold
