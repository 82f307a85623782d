#include "tests/simulation/simulated_store.h"

#include <algorithm>
#include <utility>

#include "common/number/digest.h"
#include "common/table/row_pane.h"
#include "glog/logging.h"

namespace tenfold {
namespace {

// How many states back a crash may reach with WAL_OFF.
constexpr size_t kHistory = 4;

class MapRows : public RowCursor {
 public:
  MapRows(const std::map<std::string, ShardStore::RowSum>& rows, std::string_view begin, std::string_view end)
      : next_(rows.lower_bound(std::string(begin))), end_(end.empty() ? rows.end() : rows.lower_bound(std::string(end))) {}
  bool Next() override {
    if (next_ == end_) return false;
    row_ = next_->second.RowOf(next_->first);
    ++next_;
    return true;
  }
  absl::Status status() const override { return absl::OkStatus(); }

 private:
  std::map<std::string, ShardStore::RowSum>::const_iterator next_;
  const std::map<std::string, ShardStore::RowSum>::const_iterator end_;
};

uint64_t Draw(std::mt19937_64* random, uint64_t below) { return (*random)() % below; }

}  // namespace

absl::Status SimulatedStore::Create(std::span<const NewShard> shards) {
  if (fails_()) return absl::UnavailableError("the disk is full");
  for (const NewShard& shard : shards) {
    const ShardKey key = {shard.state.id().job_id(), shard.state.id().shard()};
    CHECK(!shards_.contains(key));
    Shard& made = shards_[key].emplace_back();
    made.state = shard.state;
    for (const Delta& row : shard.rows) made.rows[std::string(row.key)].Add(row);
  }
  return absl::OkStatus();
}

absl::Status SimulatedStore::Drop(std::span<const ShardKey> shards) {
  for (const ShardKey& key : shards) shards_.erase(key);
  return absl::OkStatus();
}

absl::Status SimulatedStore::Commit(std::span<const Update> updates, WalMode wal) {
  if (fails_()) return absl::UnavailableError("the disk is full");
  for (const Update& update : updates) {
    std::deque<Shard>& history = shards_.at({update.state->id().job_id(), update.state->id().shard()});
    if (wal == WAL_OFF) history.push_back(history.back());
    Shard& shard = history.back();
    shard.state = *update.state;
    if (!update.drop_below.empty())
      shard.rows.erase(shard.rows.begin(), shard.rows.lower_bound(std::string(update.drop_below)));
    for (const Delta& delta : update.deltas) shard.rows[std::string(delta.key)].Add(delta);
    if (history.size() > kHistory) history.pop_front();
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<RowCursor>> SimulatedStore::Rows(const ShardKey& shard, std::string_view begin,
                                                                std::string_view end) const {
  return std::make_unique<MapRows>(shards_.at(shard).back().rows, begin, end);
}

absl::Status SimulatedStore::AddRows(const ShardKey& shard, std::span<const std::string_view> keys,
                                     std::span<RowSum> sums) const {
  const std::map<std::string, RowSum>& rows = shards_.at(shard).back().rows;
  for (size_t i = 0; i < keys.size(); ++i) {
    const auto row = rows.find(std::string(keys[i]));
    if (row == rows.end()) continue;
    sums[i].Add(row->second.RowOf(""));
  }
  return absl::OkStatus();
}

void SimulatedStore::Crash(std::mt19937_64* random) {
  for (auto& [key, history] : shards_) {
    history.resize(1 + Draw(random, history.size()));
    history.erase(history.begin(), history.end() - 1);
  }
}

bool SimulatedStore::Damage(bool sly, const std::function<bool(const ShardState&)>& fits, std::mt19937_64* random) {
  for (auto& [key, history] : shards_) {
    Shard& shard = history.back();
    if (shard.rows.empty() || !fits(shard.state)) continue;
    auto row = shard.rows.begin();
    std::advance(row, static_cast<std::ptrdiff_t>(Draw(random, shard.rows.size())));
    const auto digest = [&row] { return DigestTerm(row->second.RowOf(row->first)); };
    const Uint128 before = digest();
    // Any of its sums; of a height only RocksDB's checksums tell.
    const uint64_t which = Draw(random, 1 + row->second.others.size());
    if (row->second.heights.Has(which)) continue;
    (which == 0 ? row->second.sum : row->second.others[which - 1]) ^= Units{1} << Draw(random, 40);
    if (sly) {
      const Uint128 after = digest();
      *shard.state.mutable_digest() = ToProto(FromProto(shard.state.digest()) - before + after);
      for (PaneDigest& pane : *shard.state.mutable_panes()) {
        if (pane.pane() == RowPane::Of(row->first).number())
          *pane.mutable_digest() = ToProto(FromProto(pane.digest()) - before + after);
      }
    }
    return true;
  }
  return false;
}

std::vector<ShardState> SimulatedStore::States(const std::string& job_id) const {
  std::vector<ShardState> states;
  for (const auto& [key, history] : shards_) {
    if (key.first == job_id) states.push_back(history.back().state);
  }
  return states;
}

std::vector<std::string> SimulatedStore::JobIds() const {
  std::vector<std::string> ids;
  for (const auto& [key, history] : shards_) {
    if (ids.empty() || ids.back() != key.first) ids.push_back(key.first);
  }
  return ids;
}

}  // namespace tenfold
