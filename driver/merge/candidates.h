// The keys that a merge by thresholds has heard of, each with the partials known so far and the workers that sent them.
// Keys are numbered in the order in which they come; an id stays valid until Clear. Pure; used by one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "common/number/ranking.h"
#include "common/number/units.h"
#include "common/table/key_seed.h"
#include "driver/merge/merge_memory.h"
#include "driver/merge/partial.h"

namespace tenfold {

struct Candidate {
  std::string key;
  // What ranks of the partials known so far, together, and all sums where rows have several.
  Units total = 0;
  std::vector<Units> sums = {};
  // An upper bound of the total; that of the present round once the round's entries are there.
  Units bound = 0;
  // The total is exact, or certainly below T, so nothing more is asked about the key.
  bool settled = false;

 private:
  friend class Candidates;
  static constexpr uint32_t kNone = std::numeric_limits<uint32_t>::max();
  // The head of the list of workers that sent the key.
  uint32_t sender = kNone;
  // The number of the last MarkOnly or Mark that marked this candidate.
  uint32_t pass = 0;
};

class Candidates {
 public:
  // The id of no candidate.
  static constexpr uint32_t kNone = Candidate::kNone;

  Candidates(std::shared_ptr<MergeMemory> memory, const Ranking& ranking)
      : ranking_(ranking.OfPartials()), memory_(std::move(memory)) {}

  Candidate& operator[](uint32_t id) { return candidates_[id]; }
  const Candidate& operator[](uint32_t id) const { return candidates_[id]; }

  // kNone if the key is no candidate.
  uint32_t Find(std::string_view key) const;
  // Makes the key a candidate if it is none; `is_new` says whether it did.
  uint32_t FindOrAdd(std::string key, bool* is_new);
  // The worker sent this partial of the candidate.
  void AddSent(uint32_t id, uint32_t worker, const Partial& partial);
  // Adds a partial that was looked up.
  void AddTo(uint32_t id, const Partial& partial);

  // Calls `visit` with each worker that sent the candidate.
  template <typename Visit>
  void ForEachSender(uint32_t id, const Visit& visit) const {
    for (uint32_t s = candidates_[id].sender; s != kNone; s = senders_[s].next) visit(senders_[s].worker);
  }

  // Marks exactly these candidates, until the next MarkOnly.
  void MarkOnly(const std::vector<uint32_t>& ids);
  void Mark(uint32_t id) { candidates_[id].pass = pass_; }
  void Unmark(uint32_t id) { candidates_[id].pass = 0; }
  bool IsMarked(uint32_t id) const { return candidates_[id].pass == pass_; }

  // Takes what the candidates need of the shared memory; false if that is more than they may have.
  bool HasRoom();
  void Clear();

 private:
  struct Sender {
    uint32_t worker = 0;
    uint32_t next = kNone;
  };
  // What a candidate takes beside its key: itself, its place in the map, and in the lists of ids.
  static constexpr size_t kCandidateBytes = 168;

  const Ranking ranking_;
  // By id. A deque, because `ids_` and look-ups have views of the keys.
  std::deque<Candidate> candidates_;
  absl::flat_hash_map<std::string_view, uint32_t, SeededHash> ids_;
  std::vector<Sender> senders_;
  uint32_t pass_ = 0;
  // Of keys, and of the sums of rows that have several.
  size_t other_bytes_ = 0;
  MergeShare memory_;
};

}  // namespace tenfold
