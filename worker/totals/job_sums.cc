#include "worker/totals/job_sums.h"

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include "common/table/row_pane.h"

namespace tenfold {
namespace {

// The current window, and one that becomes final.
constexpr size_t kWindows = 2;
// What a row that enters or leaves takes besides its key, about, and the part of the memory that all of them may take.
constexpr size_t kBytesPerMoved = 150;
constexpr size_t kMovedPart = 8;
// Before any window.
constexpr int64_t kNone = std::numeric_limits<int64_t>::min();

// Deltas with each key once. The sums are what they are views of.
std::vector<Delta> SumsOfKeys(std::span<const Delta> deltas, std::map<std::string_view, ShardStore::RowSum>* sums) {
  for (const Delta& delta : deltas) (*sums)[delta.key].Add(delta);
  std::vector<Delta> once;
  for (const auto& [key, sum] : *sums) once.push_back(sum.RowOf(key));
  return once;
}

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
  newest_.reset();
  for (const auto& [shard, panes] : panes_) {
    for (const uint64_t pane : panes) newest_ = std::max(newest_.value_or(kNone), FirstOf(pane));
  }
  return absl::OkStatus();
}

int64_t JobSums::FirstOf(uint64_t pane) const { return RowPane(pane).last() - window_panes_ + 1; }

void JobSums::ForgetChanges() {
  all_.ForgetChanges();
  for (Window& window : windows_) window.sums.ForgetChanges();
}

void JobSums::Clear() {
  all_.Clear();
  windows_.clear();
  shards_.clear();
  panes_.clear();
  newest_.reset();
}

void JobSums::SetPanes(uint32_t shard, const ShardState& state) {
  std::vector<uint64_t>& panes = panes_[shard];
  panes.clear();
  for (const PaneDigest& pane : state.panes()) panes.push_back(pane.pane());
}

JobSums::Window* JobSums::Find(int64_t number) {
  const auto found = std::ranges::find(windows_, number, &Window::number);
  return found == windows_.end() ? nullptr : &*found;
}

JobSums::Window* JobSums::Make(int64_t number) {
  // What becomes final is asked for once, and is before what is current.
  while (windows_.size() >= kWindows) windows_.erase(std::ranges::min_element(windows_, {}, &Window::number));
  Window* const window = &windows_.emplace_front(options_, &panes_, number, window_panes_);
  window->sums.SetRanking(ranking());
  window->sums.SetLimit(limit_ / kWindows);
  return window;
}

absl::Status JobSums::BeginNewest(std::span<const std::span<const Delta>> shards) {
  std::optional<int64_t> newest = newest_;
  for (const std::span<const Delta> deltas : shards) {
    for (const Delta& delta : deltas) newest = std::max(newest.value_or(kNone), FirstOf(RowPane::Of(delta.key).number()));
  }
  const bool begins = newest && newest_.value_or(kNone) < *newest && (window_panes_ == 1 || !newest_);
  newest_ = newest;
  return begins && Find(*newest) == nullptr ? Make(*newest)->sums.SetShards(shards_) : absl::OkStatus();
}

absl::StatusOr<bool> JobSums::Move(Window* window, int64_t number) {
  // No height is taken away.
  if (2 * std::abs(number - window->number) >= window_panes_ || !ranking().heights.empty()) return false;
  const size_t most = limit_ == 0 ? std::numeric_limits<size_t>::max() : limit_ / kMovedPart;
  size_t bytes = 0;
  std::list<std::map<std::string, ShardStore::RowSum, std::less<>>> moved(shards_.size());
  auto of_shard = moved.begin();
  for (const ShardKey& shard : shards_) {
    const absl::Status read = window->rows.VisitDifference(shard, number, [&](const Delta& row, bool enters) {
      auto found = of_shard->find(row.key);
      if (found == of_shard->end()) {
        found = of_shard->try_emplace(std::string(row.key)).first;
        bytes += kBytesPerMoved + row.key.size() + row.others.size() * sizeof(Units);
      }
      // One that leaves is taken away.
      if (enters) {
        found->second.Add(row);
      } else {
        std::vector<Units> others(row.others.begin(), row.others.end());
        for (Units& other : others) other = -other;
        found->second.Add({.key = row.key, .count = 0 - row.count, .sum = -row.sum, .others = others});
      }
      return bytes <= most && !options_.stop();
    });
    if (absl::IsCancelled(read) && bytes > most) return false;
    if (!read.ok()) return read;
    ++of_shard;
  }
  std::vector<std::vector<Delta>> deltas;
  for (const auto& keys : moved) {
    std::vector<Delta>& of = deltas.emplace_back();
    of.reserve(keys.size());
    for (const auto& [key, sum] : keys) of.push_back(sum.RowOf(key));
  }
  // What is read of the store while they are added is of the window that they make.
  window->number = number;
  window->rows.SetWindow(number);
  absl::Status added = window->sums.Add(std::vector<std::span<const Delta>>(deltas.begin(), deltas.end()));
  window->sums.ForgetChanges();
  window->sums.DropAbsent();
  if (!added.ok()) return added;
  return true;
}

absl::Status JobSums::Close(int64_t window) {
  for (auto of = windows_.begin(); of != windows_.end();) {
    bool stays = of->number > window;
    if (!stays) {
      const absl::StatusOr<bool> moved = Move(&*of, Find(window + 1) == nullptr ? window + 1 : window + 2);
      if (!moved.ok()) return moved.status();
      stays = *moved;
    }
    of = stays ? std::next(of) : windows_.erase(of);
  }
  return absl::OkStatus();
}

absl::StatusOr<JobSums::Window*> JobSums::Get(int64_t number) {
  if (Window* const window = Find(number)) return window;
  // One that is not needed: of two, the one that is nearer, so that the current one and the one that becomes final each go
  // on by themselves.
  if (windows_.size() == kWindows) {
    const auto distance = [number](const Window& window) {
      return std::pair(std::abs(window.number - number), window.number);
    };
    Window* const nearest = &*std::ranges::min_element(windows_, {}, distance);
    const absl::StatusOr<bool> moved = Move(nearest, number);
    if (!moved.ok()) {
      std::erase_if(windows_, [nearest](const Window& window) { return &window == nearest; });
      return moved.status();
    }
    if (*moved) return nearest;
  }
  Window* const window = Make(number);
  absl::Status read;
  for (const ShardKey& shard : shards_) {
    read = window->rows.Visit(shard, [this, window](const Delta& row) {
      window->sums.AddRow(row);
      return !options_.stop();
    });
    if (!read.ok()) break;
  }
  if (read.ok()) read = window->sums.SetShards(shards_);
  if (read.ok()) return window;
  windows_.erase(std::ranges::find(windows_, number, &Window::number));
  return read;
}

void JobSums::Quote(const FoldRequest& request, const PartialSums::Composition& present) {
  if (!has_windows()) return all_.Quote(request, present);
  if (Window* const window = request.has_window() ? Find(request.window()) : nullptr) window->sums.Quote(request, present);
}

absl::Status JobSums::AddToWindow(std::span<const std::span<const Delta>> shards, Window* window) {
  std::vector<std::vector<Delta>> deltas(shards.size());
  std::vector<std::span<const Delta>> spans;
  for (size_t i = 0; i < shards.size(); ++i) {
    // A key has a row in each of several panes, but as a rule there is one.
    std::optional<uint64_t> pane;
    bool one_pane = true;
    for (const Delta& delta : shards[i]) {
      const RowPane of(RowPane::Of(delta.key));
      if (!of.IsIn(window->number, window_panes_)) continue;
      one_pane &= of.number() == pane.value_or(of.number());
      pane = of.number();
      deltas[i].push_back(delta);
      deltas[i].back().key = RowPane::KeyOf(delta.key);
    }
    if (!one_pane) deltas[i] = SumsOfKeys(deltas[i], &added_keys_.emplace_back());
    spans.emplace_back(deltas[i]);
  }
  absl::Status added = window->sums.Add(spans);
  added_keys_.clear();
  return added;
}

absl::Status JobSums::Add(std::span<const std::span<const Delta>> shards) {
  if (!has_windows()) return all_.Add(shards);
  if (absl::Status begun = BeginNewest(shards); !begun.ok()) return begun;
  for (Window& window : windows_) {
    if (absl::Status added = AddToWindow(shards, &window); !added.ok()) return added;
  }
  return absl::OkStatus();
}

bool JobSums::AddsInMemory(std::span<const std::span<const Delta>> shards) const {
  // Without a limit of memory a window's sums read the store only when they are made.
  return has_windows() ? limit_ == 0 : all_.AddsInMemory(shards);
}

absl::Status JobSums::Answer(const FoldRequest& request, FoldReply* reply) {
  if (!has_windows()) {
    reply->set_keys(all_.KeyCount());
    return all_.Answer(request, reply);
  }
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
  // As long as no record had a time there is no window, and nothing in it; a Fold is answered so, too.
  if (!request.has_window()) return LookUpReply();
  Window* const window = Find(request.window());
  if (window == nullptr) return absl::FailedPreconditionError("the worker has no sums of the window asked for");
  return window->sums.LookUp(request);
}

}  // namespace tenfold
