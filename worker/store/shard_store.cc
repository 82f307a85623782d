#include "worker/store/shard_store.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "common/number/digest.h"

namespace tenfold {

void ShardStore::RowSum::Add(const Delta& row) {
  // Rows of a job have as many sums. Where they do not, the sum has more than any row, which whoever reads it sees.
  const bool uneven = count != 0 && (others.size() != row.others.size() || heights != row.heights);
  others.resize(uneven ? kMaxSums : row.others.size());
  heights = row.heights;
  count += row.count;
  sum = Joined(heights.Has(0), sum, row.sum);
  for (size_t i = 0; i < row.others.size(); ++i) others[i] = Joined(heights.Has(i + 1), others[i], row.others[i]);
}

absl::StatusOr<Uint128> ShardStore::Scan(const ShardKey& shard, const Row& row) const {
  absl::StatusOr<std::unique_ptr<RowCursor>> rows = AllRows(shard);
  if (!rows.ok()) return rows.status();
  Uint128 digest = 0;
  while ((*rows)->Next()) {
    const Delta& found = (*rows)->row();
    digest += DigestTerm(found);
    if (!row(found)) {
      return absl::CancelledError(absl::StrCat("the scan of shard ", shard.second, " was ended"));
    }
  }
  if (!(*rows)->status().ok()) return (*rows)->status();
  return digest;
}

absl::Status MergedRows::Open(const ShardStore& store, std::span<const ShardKey> shards) {
  std::vector<std::unique_ptr<RowCursor>> cursors;
  for (const ShardKey& shard : shards) {
    absl::StatusOr<std::unique_ptr<RowCursor>> rows = store.AllRows(shard);
    if (!rows.ok()) return rows.status();
    cursors.push_back(*std::move(rows));
  }
  Open(std::move(cursors));
  return status_;
}

void MergedRows::Open(std::vector<std::unique_ptr<RowCursor>> cursors) {
  cursors_ = std::move(cursors);
  heap_.clear();
  for (const std::unique_ptr<RowCursor>& cursor : cursors_) Advance(cursor.get());
}

void MergedRows::Advance(RowCursor* cursor) {
  if (cursor->Next()) {
    heap_.push_back(cursor);
    std::push_heap(heap_.begin(), heap_.end(), Later);
  } else {
    status_.Update(cursor->status());
  }
}

bool MergedRows::Next() {
  if (heap_.empty() || !status_.ok()) return false;
  buffer_.assign(heap_.front()->key());
  sum_.Clear();
  while (!heap_.empty() && heap_.front()->key() == buffer_) {
    std::pop_heap(heap_.begin(), heap_.end(), Later);
    RowCursor* const cursor = heap_.back();
    heap_.pop_back();
    sum_.Add(cursor->row());
    Advance(cursor);
  }
  row_ = sum_.RowOf(buffer_);
  return status_.ok();
}

}  // namespace tenfold
