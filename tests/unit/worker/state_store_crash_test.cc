// What is left of shards after a kill -9, a loss of power, a torn log: in every WAL mode each is consistent by itself.
#include <signal.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "common/process/fault_point.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "power_loss_file_system.h"
#include "state_store_fixture.h"
#include "worker/store/state_store.h"

namespace tenfold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class StateStoreCrashTest : public StateStoreTest {};

class WalModeCrashTest : public StateStoreTest, public testing::WithParamInterface<WalMode> {};

INSTANTIATE_TEST_SUITE_P(All, WalModeCrashTest, testing::ValuesIn(kWalModes),
                         [](const auto& mode) { return WalMode_Name(mode.param); });

TEST_P(WalModeCrashTest, KilledProcessLeavesEachShardConsistent) {
  const auto commit_until_killed = [&] {
    Open();
    std::vector<ShardFold> folds = MakeFolds("job", 3);
    if (!Create(store_.get(), folds).ok()) _exit(1);
    for (int i = 0; i < 60; ++i) {
      if (i == 20 && !store_->Flush().ok()) _exit(2);
      if (!Advance(store_.get(), &folds, GetParam()).ok()) _exit(3);
    }
    kill(getpid(), SIGKILL);
  };
  EXPECT_EXIT(commit_until_killed(), testing::KilledBySignal(SIGKILL), "");

  Open();
  EXPECT_EQ(store_->Shards().size(), 3u);
  for (const ShardKey& shard : store_->Shards()) {
    const int64_t next_offset = CheckConsistent(*store_, shard);
    if (GetParam() == WAL_OFF) {
      EXPECT_EQ(next_offset, 20);
    } else {
      EXPECT_EQ(next_offset, 60);
    }
  }
}

TEST_F(StateStoreCrashTest, JobsOfAllModesShareTheStoreWhenKilled) {
  const auto commit_until_killed = [&] {
    Open();
    std::map<WalMode, std::vector<ShardFold>> jobs;
    for (const WalMode wal : kWalModes) {
      jobs[wal] = MakeFolds(WalMode_Name(wal), 4);
      if (!Create(store_.get(), jobs[wal]).ok()) _exit(1);
    }
    std::mt19937_64 random(11);
    for (int i = 0; i < 200; ++i) {
      const WalMode wal = kWalModes[random() % 3];
      if (!Advance(store_.get(), &jobs[wal], wal).ok()) _exit(2);
      if (random() % 30 == 0 && !store_->Flush().ok()) _exit(3);
    }
    for (const WalMode wal : {WAL_SYNC, WAL_ASYNC}) {
      while (jobs[wal].front().next_offset() < 100) {
        if (!Advance(store_.get(), &jobs[wal], wal).ok()) _exit(4);
      }
    }
    kill(getpid(), SIGKILL);
  };
  EXPECT_EXIT(commit_until_killed(), testing::KilledBySignal(SIGKILL), "");

  Open();
  EXPECT_EQ(store_->Shards().size(), 12u);
  for (const ShardKey& shard : store_->Shards()) {
    const int64_t next_offset = CheckConsistent(*store_, shard);
    if (shard.first != WalMode_Name(WAL_OFF)) {
      EXPECT_EQ(next_offset, 100);
    }
  }
}

TEST_F(StateStoreCrashTest, LoggedCommitCarriesUnloggedOnesBeforeIt) {
  const auto commit_until_killed = [&] {
    Open();
    std::vector<ShardFold> folds = MakeFolds("job", 2);
    if (!Create(store_.get(), folds).ok()) _exit(1);
    for (const WalMode wal : {WAL_ASYNC, WAL_OFF, WAL_OFF, WAL_SYNC, WAL_OFF, WAL_ASYNC, WAL_OFF}) {
      if (!Advance(store_.get(), &folds, wal).ok()) _exit(2);
    }
    kill(getpid(), SIGKILL);
  };
  EXPECT_EXIT(commit_until_killed(), testing::KilledBySignal(SIGKILL), "");

  Open();
  for (const ShardKey& shard : store_->Shards()) EXPECT_EQ(CheckConsistent(*store_, shard), 6);
}

TEST_F(StateStoreCrashTest, ShardsHalfCreatedAreNotThere) {
  setenv("TENFOLD_FAULT_POINT", "state_store.families_created", 1);
  const auto create = [&] {
    Open();
    Create(store_.get(), MakeFolds("job", 3)).IgnoreError();
  };
  EXPECT_EXIT(create(), testing::ExitedWithCode(kFaultExitCode), "");
  unsetenv("TENFOLD_FAULT_POINT");

  Open();
  EXPECT_THAT(store_->Shards(), IsEmpty());
  ASSERT_TRUE(Create(store_.get(), MakeFolds("job", 3)).ok());
  EXPECT_EQ(CheckConsistent(*store_, {"job", 2}), 0);
}

TEST_F(StateStoreCrashTest, DroppedShardsAreGoneAfterAKill) {
  const auto drop = [&] {
    Open();
    std::vector<ShardFold> folds = MakeFolds("job", 4);
    if (!Create(store_.get(), folds).ok() || !Advance(store_.get(), &folds, WAL_ASYNC).ok()) _exit(1);
    const std::vector<ShardKey> dropped = {{"job", 1}, {"job", 3}, {"job", 9}, {"unknown", 0}};
    if (!store_->Drop(dropped).ok()) _exit(2);
    kill(getpid(), SIGKILL);
  };
  EXPECT_EXIT(drop(), testing::KilledBySignal(SIGKILL), "");

  Open();
  EXPECT_THAT(store_->Shards(), ElementsAre(ShardKey("job", 0), ShardKey("job", 2)));
  for (const ShardKey& shard : store_->Shards()) EXPECT_EQ(CheckConsistent(*store_, shard), 1);
}

TEST_F(StateStoreCrashTest, DamagedEndOfTheLogTakesEachShardBackToAnEarlierCommit) {
  for (const bool torn : {false, true}) {
    Open();
    std::vector<ShardFold> folds = MakeFolds(torn ? "torn" : "flipped", 2);
    ASSERT_TRUE(Create(store_.get(), folds).ok());
    for (int i = 0; i < 50; ++i) ASSERT_TRUE(Advance(store_.get(), &folds, WAL_SYNC).ok());
    store_.reset();
    const std::string log = FindFile("", ".log");
    const uint64_t place = std::filesystem::file_size(log) * 3 / 4;
    if (torn) {
      std::filesystem::resize_file(log, place);
    } else {
      FlipByte(log, place);
    }
    Open();
    for (const ShardFold& fold : folds) {
      const int64_t next_offset = CheckConsistent(*store_, fold.key());
      EXPECT_GT(next_offset, 25);
      EXPECT_LT(next_offset, 50);
    }
  }
}

class PowerLossTest : public StateStoreTest, public testing::WithParamInterface<uint64_t> {
 protected:
  PowerLossTest() : file_system_(std::make_shared<PowerLossFileSystem>(GetParam())), env_(NewCompositeEnv(file_system_)) {}
  ~PowerLossTest() override { store_.reset(); }

  void LosePower() {
    file_system_->Cut();
    store_.reset();
    file_system_->LosePower();
  }

  const std::shared_ptr<PowerLossFileSystem> file_system_;
  const std::unique_ptr<rocksdb::Env> env_;
};

INSTANTIATE_TEST_SUITE_P(Seeds, PowerLossTest, testing::Range<uint64_t>(0, 6));

TEST_P(PowerLossTest, SyncedCommitsAreKeptAndEveryShardIsConsistent) {
  std::mt19937_64 random(GetParam());
  std::map<WalMode, std::vector<ShardFold>> jobs;
  ASSERT_NO_FATAL_FAILURE(Open(env_.get()));
  for (const WalMode wal : kWalModes) {
    jobs[wal] = MakeFolds(WalMode_Name(wal), 3);
    ASSERT_TRUE(Create(store_.get(), jobs[wal]).ok());
  }
  std::vector<ShardFold> changing = MakeFolds("changing", 1);
  ASSERT_TRUE(Create(store_.get(), changing).ok());

  for (int round = 0; round < 4; ++round) {
    int64_t durable = changing.front().next_offset();
    for (uint64_t i = random() % 60; i > 0; --i) {
      const WalMode wal = kWalModes[random() % 3];
      ASSERT_TRUE(Advance(store_.get(), &jobs[wal], wal).ok());
      if (random() % 4 != 0) continue;
      // Changes its mode, so that some commits flush this shard alone.
      const WalMode changed = kWalModes[random() % 3];
      ASSERT_TRUE(Advance(store_.get(), &changing, changed).ok());
      if (changed == WAL_SYNC) durable = changing.front().next_offset();
    }
    LosePower();
    ASSERT_NO_FATAL_FAILURE(Open(env_.get()));
    for (const WalMode wal : kWalModes) {
      for (ShardFold& fold : jobs[wal]) {
        const int64_t next_offset = CheckConsistent(*store_, fold.key());
        if (wal == WAL_SYNC) {
          EXPECT_EQ(next_offset, fold.next_offset());
        }
        ASSERT_LE(next_offset, fold.next_offset());
        fold.GoTo(next_offset);
      }
    }
    const int64_t next_offset = CheckConsistent(*store_, changing.front().key());
    EXPECT_GE(next_offset, durable);
    changing.front().GoTo(next_offset);
  }
}

TEST_P(PowerLossTest, FlushKeepsEverything) {
  ASSERT_NO_FATAL_FAILURE(Open(env_.get()));
  // The asynchronous one last: flushing a shard in files would sync its log as well.
  for (const WalMode wal : {WAL_OFF, WAL_SYNC, WAL_ASYNC}) {
    std::vector<ShardFold> folds = MakeFolds(WalMode_Name(wal), 2);
    ASSERT_TRUE(Create(store_.get(), folds).ok());
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(Advance(store_.get(), &folds, wal).ok());
    ASSERT_TRUE(store_->Flush().ok());
  }
  LosePower();
  ASSERT_NO_FATAL_FAILURE(Open(env_.get()));
  EXPECT_EQ(store_->Shards().size(), 6u);
  for (const ShardKey& shard : store_->Shards()) EXPECT_EQ(CheckConsistent(*store_, shard), 20);
}

TEST_P(PowerLossTest, CreatedAndDroppedShardsStayThatWay) {
  ASSERT_NO_FATAL_FAILURE(Open(env_.get()));
  ASSERT_TRUE(Create(store_.get(), MakeFolds("job", 3)).ok());
  const std::vector<ShardKey> dropped = {{"job", 0}};
  ASSERT_TRUE(store_->Drop(dropped).ok());
  LosePower();
  ASSERT_NO_FATAL_FAILURE(Open(env_.get()));
  EXPECT_THAT(store_->Shards(), ElementsAre(ShardKey("job", 1), ShardKey("job", 2)));
  for (const ShardKey& shard : store_->Shards()) EXPECT_EQ(CheckConsistent(*store_, shard), 0);
}

TEST_P(PowerLossTest, StoreThatCouldNotWriteRefusesEverythingUntilOpenedAgain) {
  ASSERT_NO_FATAL_FAILURE(Open(env_.get()));
  std::vector<ShardFold> folds = MakeFolds("job", 2);
  ASSERT_TRUE(Create(store_.get(), folds).ok());
  ASSERT_TRUE(Advance(store_.get(), &folds, WAL_SYNC).ok());
  file_system_->Cut();
  const absl::Status failure = Advance(store_.get(), &folds, WAL_SYNC);
  EXPECT_EQ(failure.code(), absl::StatusCode::kUnavailable) << failure;
  EXPECT_THAT(std::string(failure.message()), HasSubstr(dir_ + "/state"));
  file_system_->LosePower();
  EXPECT_EQ(Advance(store_.get(), &folds, WAL_OFF), failure);
  EXPECT_EQ(store_->Read({"job", 0}).status(), failure);
  EXPECT_EQ(ScanStatus(*store_, {"job", 0}), failure);
  EXPECT_EQ(store_->Flush(), failure);
  EXPECT_EQ(Create(store_.get(), MakeFolds("other", 1)), failure);
  const std::vector<ShardKey> dropped = {{"job", 0}};
  EXPECT_EQ(store_->Drop(dropped), failure);
  ASSERT_NO_FATAL_FAILURE(Open(env_.get()));
  EXPECT_EQ(CheckConsistent(*store_, {"job", 0}), 1);
}

}  // namespace
}  // namespace tenfold
