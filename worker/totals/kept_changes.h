// What the folds since some composition added to each key, kept until the driver has it: so a reply that is lost loses
// nothing. The base is the composition at which the driver says it has the worker's sums; as a composition fixes the sums
// whoever holds them, what was added since is right whichever attempt folded it. Used by one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "common/limits.h"
#include "common/number/ranking.h"
#include "common/number/units.h"
#include "common/table/delta.h"
#include "common/table/key_table.h"
#include "worker.pb.h"

namespace tenfold {

class KeptChanges {
 public:
  using Composition = google::protobuf::RepeatedPtrField<PartitionOffset>;

  // Keeps the changes of at most so many keys.
  explicit KeptChanges(size_t max_keys = kMaxKeptChanges) : max_keys_(max_keys) {}
  // Keeps no more than take so many bytes, from the next change on.
  void SetLimit(size_t bytes) { max_bytes_ = bytes; }
  // What the rows are. Keeps nothing any more.
  void SetRanking(const Ranking& ranking);

  // Before each fold: the driver quotes `since` (empty: nothing), the sums are at `present`. Goes on keeping what was added
  // since the base if that is quoted, begins anew if it is the present, and keeps nothing otherwise. Whether it began anew.
  bool Quote(const Composition& since, const Composition& present);
  // The sums changed by these deltas.
  void Add(std::span<const Delta> deltas);
  // The sums changed otherwise than by a fold.
  void Forget();

  // Whether it has all that was added since the composition last quoted.
  bool known() const { return base_.has_value(); }
  // Every key of it with what was added to what it ranks by, also 0.
  void ForEach(const std::function<void(std::string_view key, Units added)>& visit) const;
  // A part of it: adds about `max_bytes` of keys and sums, at least one key, to `changes` and sets its `next`. Start with
  // from = 0.
  void Tell(uint64_t from, size_t max_bytes, Changes* changes) const;

 private:
  using Base = std::vector<std::pair<uint32_t, int64_t>>;
  static Base Sorted(const Composition& composition);

  // About what a key's changes take, beside the key.
  static constexpr size_t kBytesPerKey = 48;

  Units Ranked(size_t index) const { return ranking_.Of(added_[index * ranking_.sums], Others(index)); }
  std::span<const Units> Others(size_t index) const {
    return std::span(added_).subspan(index * ranking_.sums + 1, ranking_.sums - 1);
  }

  const size_t max_keys_;
  Ranking ranking_;
  size_t max_bytes_ = std::numeric_limits<size_t>::max();
  std::optional<Base> base_;
  KeyTable keys_;
  // All sums of a key by its index, one key after the other.
  std::vector<Units> added_;
};

}  // namespace tenfold
