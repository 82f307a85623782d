// What the tests of the state store share.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/number/digest.h"
#include "gtest/gtest.h"
#include "worker/store/state_store.h"

namespace tenfold {

using Row = std::pair<uint64_t, Units>;
using Rows = std::map<std::string, Row>;

inline constexpr WalMode kWalModes[] = {WAL_SYNC, WAL_ASYNC, WAL_OFF};

// A shard whose rows are a function of its offset alone, as a fold's are: what the store gives back can be checked
// whatever was lost.
class ShardFold {
 public:
  ShardFold(const std::string& job, uint32_t shard) : shard_(job, shard) { GoTo(0); }

  const ShardKey& key() const { return shard_; }
  const Rows& rows() const { return rows_; }
  int64_t next_offset() const { return state_.partitions(0).next_offset(); }
  StateStore::Update update() const { return {&state_, deltas_}; }

  StateStore::NewShard NewShard() const {
    StateStore::NewShard shard;
    shard.state = state_;
    for (const auto& [key, row] : rows_) shard.rows.push_back({.key = key, .count = row.first, .sum = row.second});
    return shard;
  }

  void GoTo(int64_t offset) {
    state_.Clear();
    state_.mutable_id()->set_cluster_id("cluster");
    state_.mutable_id()->set_job_id(shard_.first);
    state_.mutable_id()->set_shard(shard_.second);
    state_.add_partitions()->set_partition(shard_.second);
    rows_ = {{"initial", {1, -Units{shard_.second}}}};
    digest_ = DigestTerm("initial", 1, -Units{shard_.second});
    while (next_offset() < offset) Advance();
    *state_.mutable_digest() = ToProto(digest_);
  }

  // Folds one offset more; update() then has its deltas.
  void Advance() {
    const int64_t offset = next_offset();
    batch_.clear();
    for (int64_t i = 0; i < 5; ++i) {
      auto& [count, sum] = batch_["key" + std::to_string((offset * 7 + i * 13 + shard_.second) % 50)];
      count += 1;
      sum += (Units{1} << 100) * (i - 2) + offset;
    }
    deltas_.clear();
    for (const auto& [key, row] : batch_) {
      deltas_.push_back({.key = key, .count = row.first, .sum = row.second});
      rows_[key].first += row.first;
      rows_[key].second += row.second;
      digest_ += DigestTerm(key, row.first, row.second);
    }
    state_.mutable_partitions(0)->set_next_offset(offset + 1);
    *state_.mutable_digest() = ToProto(digest_);
  }

 private:
  const ShardKey shard_;
  ShardState state_;
  Rows rows_;
  Uint128 digest_ = 0;
  Rows batch_;
  std::vector<Delta> deltas_;
};

inline std::vector<ShardFold> MakeFolds(const std::string& job, uint32_t shards) {
  std::vector<ShardFold> folds;
  for (uint32_t shard = 0; shard < shards; ++shard) folds.emplace_back(job, shard);
  return folds;
}

inline absl::Status Create(StateStore* store, const std::vector<ShardFold>& folds) {
  std::vector<StateStore::NewShard> shards;
  for (const ShardFold& fold : folds) shards.push_back(fold.NewShard());
  return store->Create(shards);
}

// Folds all by one offset and commits that.
inline absl::Status Advance(StateStore* store, std::vector<ShardFold>* folds, WalMode wal) {
  std::vector<StateStore::Update> updates;
  for (ShardFold& fold : *folds) {
    fold.Advance();
    updates.push_back(fold.update());
  }
  return store->Commit(updates, wal);
}

// The shard is exactly what a fold to its own offset is. Returns that offset, -1 if it could not be read.
inline int64_t CheckConsistent(const StateStore& store, const ShardKey& shard) {
  const absl::StatusOr<ShardState> state = store.Read(shard);
  EXPECT_TRUE(state.ok()) << state.status();
  if (!state.ok()) return -1;
  ShardFold expected(shard.first, shard.second);
  expected.GoTo(state->partitions(0).next_offset());
  Rows rows;
  const absl::StatusOr<Uint128> digest = store.Scan(shard, [&](const Delta& row) {
    rows[std::string(row.key)] = {row.count, row.sum};
    return true;
  });
  EXPECT_TRUE(digest.ok()) << digest.status();
  if (!digest.ok()) return -1;
  EXPECT_TRUE(*digest == FromProto(state->digest())) << "digest of " << shard.first << "." << shard.second;
  EXPECT_TRUE(rows == expected.rows()) << "rows of " << shard.first << "." << shard.second;
  return state->partitions(0).next_offset();
}

inline absl::Status ScanStatus(const StateStore& store, const ShardKey& shard) {
  return store.Scan(shard, [](const Delta&) { return true; }).status();
}

// A death test's child is this program started anew: what is before the statement runs there, too. So the directory's
// name comes from the environment, and a statement that kills itself is the first thing in its test.
class StateStoreTest : public testing::Test {
 protected:
  StateStoreTest() {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    const std::string self = std::to_string(getpid());
    setenv("TENFOLD_STATE_STORE_TEST", self.c_str(), 0);
    const std::string parent = getenv("TENFOLD_STATE_STORE_TEST");
    is_child_ = parent != self;
    std::string name = testing::UnitTest::GetInstance()->current_test_info()->name();
    std::replace(name.begin(), name.end(), '/', '_');
    dir_ = testing::TempDir() + "state_store_test." + parent + "." + name;
  }
  ~StateStoreTest() override {
    store_.reset();
    if (!is_child_) std::filesystem::remove_all(dir_);
  }

  void Open(rocksdb::Env* env = nullptr, size_t memory_bytes = 0) {
    store_.reset();
    absl::StatusOr<std::unique_ptr<StateStore>> store = StateStore::Open(dir_, {.env = env, .memory_bytes = memory_bytes});
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }

  // The only file of state/ with this ending, or the largest of several.
  std::string FindFile(const std::string& beginning, const std::string& ending) const {
    std::string found;
    for (const auto& entry : std::filesystem::directory_iterator(dir_ + "/state")) {
      const std::string name = entry.path().filename();
      if (!name.starts_with(beginning) || !name.ends_with(ending)) continue;
      if (found.empty() || entry.file_size() > std::filesystem::file_size(found)) found = entry.path();
    }
    EXPECT_FALSE(found.empty()) << beginning << "*" << ending;
    return found;
  }

  static void FlipByte(const std::string& file, uint64_t offset) {
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekg(static_cast<std::streamoff>(offset));
    const int byte = stream.get();
    stream.seekp(static_cast<std::streamoff>(offset));
    stream.put(static_cast<char>(byte ^ 0x10));
    ASSERT_TRUE(stream.good()) << file;
  }

  bool is_child_ = false;
  std::string dir_;
  std::unique_ptr<StateStore> store_;
};

}  // namespace tenfold
