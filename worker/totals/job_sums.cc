#include "worker/totals/job_sums.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "common/table/key_table.h"
#include "common/table/row_pane.h"

namespace tenfold {
namespace {

// The current window, and one that becomes final.
constexpr size_t kWindows = 2;

// Deltas of one window, each key once.
class WindowDeltas {
 public:
  void Add(const Delta& delta) {
    const uint32_t index = keys_.FindOrAdd(RowPane::KeyOf(delta.key));
    if (index == sums_.size()) sums_.emplace_back();
    sums_[index].Add(delta.count, delta.sum, delta.others);
  }
  std::vector<Delta> Deltas() const {
    std::vector<Delta> deltas;
    for (uint32_t i = 0; i < sums_.size(); ++i) deltas.push_back(sums_[i].RowOf(keys_.key(i)));
    return deltas;
  }

 private:
  KeyTable keys_;
  std::vector<ShardStore::RowSum> sums_;
};

}  // namespace

void JobSums::SetRows(const Ranking& ranking, int64_t window_panes) {
  if (ranking == all_.ranking() && window_panes == window_panes_) return;
  window_panes_ = window_panes;
  all_.SetRanking(ranking);
  windows_.clear();
}

void JobSums::SetLimit(size_t bytes) {
  limit_ = bytes;
  all_.SetLimit(bytes);
  for (Window& window : windows_) window.sums.SetLimit(bytes / kWindows);
}

void JobSums::Shrink() {
  all_.Shrink();
  for (Window& window : windows_) window.sums.Shrink();
}

void JobSums::EndScan() {
  all_.EndScan();
  for (Window& window : windows_) window.sums.EndScan();
}

absl::Status JobSums::SetShards(std::vector<ShardKey> shards) {
  if (!has_windows()) return all_.SetShards(std::move(shards));
  shards_ = std::move(shards);
  std::erase_if(panes_, [this](const auto& of) {
    return std::ranges::none_of(shards_, [&of](const ShardKey& shard) { return shard.second == of.first; });
  });
  windows_.clear();
  return absl::OkStatus();
}

void JobSums::ForgetChanges() {
  all_.ForgetChanges();
  for (Window& window : windows_) window.sums.ForgetChanges();
}

void JobSums::Clear() {
  all_.Clear();
  windows_.clear();
  shards_.clear();
  panes_.clear();
}

void JobSums::SetPanes(uint32_t shard, const ShardState& state) {
  std::vector<uint64_t>& panes = panes_[shard];
  panes.clear();
  for (const PaneDigest& pane : state.panes()) panes.push_back(pane.pane());
}

JobSums::Window* JobSums::Find(int64_t number) {
  const auto found = std::ranges::find(windows_, number, &Window::number);
  if (found == windows_.end()) return nullptr;
  windows_.splice(windows_.begin(), windows_, found);
  return &windows_.front();
}

absl::StatusOr<JobSums::Window*> JobSums::Get(int64_t number) {
  if (Window* const window = Find(number)) return window;
  while (windows_.size() >= kWindows) windows_.pop_back();
  Window* const window = &windows_.emplace_front(options_, &panes_, number, window_panes_);
  window->sums.SetRanking(ranking());
  window->sums.SetLimit(limit_ / kWindows);
  absl::Status read;
  for (const ShardKey& shard : shards_) {
    const absl::StatusOr<std::unique_ptr<RowCursor>> rows = window->rows.Rows(shard, "");
    read = rows.status();
    if (!read.ok()) break;
    while (read.ok() && (*rows)->Next()) {
      window->sums.AddRow((*rows)->row());
      if (options_.stop()) read = absl::CancelledError("the worker is stopping");
    }
    if (read.ok()) read = (*rows)->status();
    if (!read.ok()) break;
  }
  if (read.ok()) read = window->sums.SetShards(shards_);
  if (read.ok()) return window;
  windows_.pop_front();
  return read;
}

void JobSums::Quote(const FoldRequest& request, const PartialSums::Composition& present) {
  if (!has_windows()) return all_.Quote(request, present);
  if (Window* const window = request.has_window() ? Find(request.window()) : nullptr) window->sums.Quote(request, present);
}

absl::Status JobSums::AddToWindow(std::span<const std::span<const Delta>> shards, Window* window) {
  std::vector<WindowDeltas> added(shards.size());
  std::vector<std::vector<Delta>> deltas;
  std::vector<std::span<const Delta>> spans;
  for (size_t i = 0; i < shards.size(); ++i) {
    for (const Delta& delta : shards[i]) {
      if (RowPane::Of(delta.key).IsIn(window->number, window_panes_)) added[i].Add(delta);
    }
    deltas.push_back(added[i].Deltas());
    if (limit_ > 0) std::ranges::sort(deltas.back(), {}, &Delta::key);
  }
  for (const std::vector<Delta>& of_shard : deltas) spans.emplace_back(of_shard);
  return window->sums.Add(spans);
}

absl::Status JobSums::Add(std::span<const std::span<const Delta>> shards) {
  if (!has_windows()) return all_.Add(shards);
  for (Window& window : windows_) {
    if (absl::Status added = AddToWindow(shards, &window); !added.ok()) return added;
  }
  return absl::OkStatus();
}

bool JobSums::AddsInMemory(std::span<const std::span<const Delta>> shards) const {
  return !has_windows() && all_.AddsInMemory(shards);
}

uint64_t JobSums::KeyCount() const {
  if (!has_windows()) return all_.KeyCount();
  return windows_.empty() ? 0 : windows_.front().sums.KeyCount();
}

absl::Status JobSums::Answer(const FoldRequest& request, FoldReply* reply) {
  if (!has_windows()) return all_.Answer(request, reply);
  if (!request.has_window()) {
    reply->mutable_highest();
    return absl::OkStatus();
  }
  const absl::StatusOr<Window*> window = Get(request.window());
  if (!window.ok()) return window.status();
  reply->set_keys((*window)->sums.KeyCount());
  return (*window)->sums.Answer(request, reply);
}

absl::StatusOr<LookUpReply> JobSums::LookUp(const LookUpRequest& request) {
  if (!has_windows()) return all_.LookUp(request);
  Window* const window = request.has_window() ? Find(request.window()) : nullptr;
  if (window == nullptr) return absl::FailedPreconditionError("the worker has no sums of the window asked for");
  return window->sums.LookUp(request);
}

}  // namespace tenfold
