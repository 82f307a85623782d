#include "worker/totals/window_rows.h"

#include <algorithm>
#include <string>
#include <utility>

#include "common/table/row_pane.h"

namespace tenfold {
namespace {

// The rows of one pane without what their keys begin with.
class PaneRows : public RowCursor {
 public:
  explicit PaneRows(std::unique_ptr<RowCursor> rows) : rows_(std::move(rows)) {}
  bool Next() override {
    if (!rows_->Next()) return false;
    row_ = rows_->row();
    row_.key = RowPane::KeyOf(row_.key);
    return true;
  }
  absl::Status status() const override { return rows_->status(); }

 private:
  const std::unique_ptr<RowCursor> rows_;
};

absl::Status ReadOnly() { return absl::InternalError("the rows of a window are only read"); }

}  // namespace

std::vector<std::string> WindowRows::Prefixes(const ShardKey& shard) const {
  std::vector<std::string> prefixes;
  const auto panes = panes_->find(shard.second);
  if (panes == panes_->end()) return prefixes;
  for (const uint64_t number : panes->second) {
    if (RowPane(number).IsIn(window_, window_panes_)) RowPane(number).Append(&prefixes.emplace_back());
  }
  return prefixes;
}

absl::StatusOr<std::unique_ptr<RowCursor>> WindowRows::Rows(const ShardKey& shard, std::string_view begin,
                                                            std::string_view end) const {
  std::vector<std::unique_ptr<RowCursor>> cursors;
  for (const std::string& pane : Prefixes(shard)) {
    std::string pane_end = pane + std::string(end);
    if (end.empty()) {
      pane_end.clear();
      RowPane(RowPane::Of(pane).number() + 1).Append(&pane_end);
    }
    absl::StatusOr<std::unique_ptr<RowCursor>> rows = store_->Rows(shard, pane + std::string(begin), pane_end);
    if (!rows.ok()) return rows.status();
    cursors.push_back(std::make_unique<PaneRows>(*std::move(rows)));
  }
  if (cursors.size() == 1) return std::move(cursors[0]);
  auto merged = std::make_unique<MergedRows>();
  merged->Open(std::move(cursors));
  return merged;
}

absl::Status WindowRows::Visit(const ShardKey& shard, const std::function<bool(const Delta& row)>& row) const {
  if (Prefixes(shard).empty()) return absl::OkStatus();
  // All rows of the window have one of these as their last.
  std::string begin;
  std::string end;
  RowPane::FirstAfter(window_ - 1).Append(&begin);
  RowPane::FirstAfter(window_ + window_panes_ - 1).Append(&end);
  const absl::StatusOr<std::unique_ptr<RowCursor>> rows = store_->Rows(shard, begin, end);
  if (!rows.ok()) return rows.status();
  while ((*rows)->Next()) {
    Delta found = (*rows)->row();
    if (!RowPane::Of(found.key).IsIn(window_, window_panes_)) continue;
    found.key = RowPane::KeyOf(found.key);
    if (!row(found)) return absl::CancelledError("the worker is stopping");
  }
  return (*rows)->status();
}

absl::Status WindowRows::VisitDifference(const ShardKey& shard, int64_t other,
                                         const std::function<bool(const Delta& row, bool in_other)>& row) const {
  const auto panes = panes_->find(shard.second);
  if (panes == panes_->end()) return absl::OkStatus();
  const auto differs = [this, other](uint64_t number) {
    return RowPane(number).IsIn(window_, window_panes_) != RowPane(number).IsIn(other, window_panes_);
  };
  // Panes that follow each other in the store take one cursor.
  for (auto pane = panes->second.begin(); pane != panes->second.end();) {
    const auto last = std::find_if_not(pane, panes->second.end(), differs);
    if (last == pane) {
      ++pane;
      continue;
    }
    std::string begin;
    std::string end;
    RowPane(*pane).Append(&begin);
    RowPane(*(last - 1) + 1).Append(&end);
    const absl::StatusOr<std::unique_ptr<RowCursor>> rows = store_->Rows(shard, begin, end);
    if (!rows.ok()) return rows.status();
    while ((*rows)->Next()) {
      Delta found = (*rows)->row();
      const bool in_other = RowPane::Of(found.key).IsIn(other, window_panes_);
      found.key = RowPane::KeyOf(found.key);
      if (!row(found, in_other)) return absl::CancelledError("the worker is stopping");
    }
    if (!(*rows)->status().ok()) return (*rows)->status();
    pane = last;
  }
  return absl::OkStatus();
}

absl::Status WindowRows::AddRows(const ShardKey& shard, std::span<const std::string_view> keys,
                                 std::span<RowSum> sums) const {
  std::vector<std::string> row_keys(keys.size());
  std::vector<std::string_view> views(keys.size());
  for (const std::string& pane : Prefixes(shard)) {
    for (size_t i = 0; i < keys.size(); ++i) {
      row_keys[i].assign(pane).append(keys[i]);
      views[i] = row_keys[i];
    }
    if (absl::Status added = store_->AddRows(shard, views, sums); !added.ok()) return added;
  }
  return absl::OkStatus();
}

absl::Status WindowRows::Create(std::span<const NewShard>) { return ReadOnly(); }
absl::Status WindowRows::Drop(std::span<const ShardKey>) { return ReadOnly(); }
absl::Status WindowRows::Commit(std::span<const Update>, WalMode) { return ReadOnly(); }

}  // namespace tenfold
