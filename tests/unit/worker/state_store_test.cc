#include "worker/store/state_store.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rocksdb/db.h"
#include "rocksdb/merge_operator.h"
#include "rocksdb/sst_file_reader.h"
#include "state_store_fixture.h"

namespace tenfold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class WalModeTest : public StateStoreTest, public testing::WithParamInterface<WalMode> {};

INSTANTIATE_TEST_SUITE_P(All, WalModeTest, testing::ValuesIn(kWalModes),
                         [](const auto& mode) { return WalMode_Name(mode.param); });

TEST_F(StateStoreTest, MissingDirectoryIsCreatedWithItsParents) {
  const absl::StatusOr<std::unique_ptr<StateStore>> store = StateStore::Open(dir_ + "/a/b");
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_TRUE(std::filesystem::is_directory(dir_ + "/a/b/state"));
  EXPECT_THAT((*store)->Shards(), IsEmpty());
}

TEST_F(StateStoreTest, FileInPlaceOfTheDirectoryIsRefusedByName) {
  std::filesystem::create_directories(dir_);
  std::ofstream(dir_ + "/file") << "x";
  const absl::Status status = StateStore::Open(dir_ + "/file").status();
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr("cannot make the directory " + dir_ + "/file"));
}

TEST_F(StateStoreTest, CreatedShardsAreThereAfterReopening) {
  Open();
  ASSERT_TRUE(Create(store_.get(), MakeFolds("job-1", 3)).ok());
  EXPECT_THAT(store_->Shards(), ElementsAre(ShardKey("job-1", 0), ShardKey("job-1", 1), ShardKey("job-1", 2)));
  Open();
  EXPECT_THAT(store_->Shards(), ElementsAre(ShardKey("job-1", 0), ShardKey("job-1", 1), ShardKey("job-1", 2)));
  for (const ShardKey& shard : store_->Shards()) EXPECT_EQ(CheckConsistent(*store_, shard), 0);
}

TEST_F(StateStoreTest, ShardThatIsThereIsNotCreatedAgain) {
  Open();
  ASSERT_TRUE(Create(store_.get(), MakeFolds("job", 2)).ok());
  EXPECT_EQ(Create(store_.get(), MakeFolds("job", 3)).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(store_->Shards().size(), 2u);
  EXPECT_EQ(Create(store_.get(), {ShardFold("new", 0), ShardFold("new", 0)}).code(), absl::StatusCode::kAlreadyExists);
}

TEST_P(WalModeTest, CommitsAddUp) {
  Open();
  std::vector<ShardFold> folds = MakeFolds("job", 3);
  ASSERT_TRUE(Create(store_.get(), folds).ok());
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(Advance(store_.get(), &folds, GetParam()).ok());
    EXPECT_EQ(CheckConsistent(*store_, {"job", 1}), i + 1);
  }
}

TEST_P(WalModeTest, CleanEndLosesNothing) {
  Open();
  std::vector<ShardFold> folds = MakeFolds("job", 3);
  ASSERT_TRUE(Create(store_.get(), folds).ok());
  for (int round = 1; round <= 3; ++round) {
    for (int i = 0; i < 10; ++i) ASSERT_TRUE(Advance(store_.get(), &folds, GetParam()).ok());
    ASSERT_TRUE(store_->Flush().ok());
    Open();
    for (const ShardFold& fold : folds) EXPECT_EQ(CheckConsistent(*store_, fold.key()), round * 10);
  }
}

TEST_F(StateStoreTest, RecreatedShardHasNothingOfTheDroppedOne) {
  Open();
  std::vector<ShardFold> folds = MakeFolds("job", 2);
  ASSERT_TRUE(Create(store_.get(), folds).ok());
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(Advance(store_.get(), &folds, WAL_ASYNC).ok());
  const std::vector<ShardKey> dropped = {{"job", 0}};
  ASSERT_TRUE(store_->Drop(dropped).ok());
  ASSERT_TRUE(Create(store_.get(), MakeFolds("job", 1)).ok());
  EXPECT_EQ(CheckConsistent(*store_, {"job", 0}), 0);
  Open();
  EXPECT_EQ(CheckConsistent(*store_, {"job", 0}), 0);
  EXPECT_EQ(CheckConsistent(*store_, {"job", 1}), 5);
}

TEST_F(StateStoreTest, EmptyLogDeletesWhatDroppedShardsHadInIt) {
  Open();
  std::vector<ShardFold> kept = MakeFolds("kept", 1);
  std::vector<ShardFold> dropped = MakeFolds("dropped", 1);
  ASSERT_TRUE(Create(store_.get(), kept).ok());
  ASSERT_TRUE(Create(store_.get(), dropped).ok());
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(Advance(store_.get(), &dropped, WAL_ASYNC).ok());
  ASSERT_TRUE(Advance(store_.get(), &kept, WAL_ASYNC).ok());
  const auto log_bytes = [&] {
    uintmax_t bytes = 0;
    for (const auto& file : std::filesystem::directory_iterator(dir_ + "/state"))
      if (file.path().extension() == ".log") bytes += file.file_size();
    return bytes;
  };
  const std::vector<ShardKey> shards = {{"dropped", 0}};
  ASSERT_TRUE(store_->Drop(shards).ok());
  const uintmax_t before = log_bytes();
  ASSERT_TRUE(store_->EmptyLog().ok());
  EXPECT_LT(log_bytes(), before / 10);
  Open();
  EXPECT_EQ(CheckConsistent(*store_, {"kept", 0}), 1);
}

TEST_F(StateStoreTest, CommitToAnUnknownShardChangesNothingAndTheStoreGoesOn) {
  Open();
  std::vector<ShardFold> folds = MakeFolds("job", 2);
  ASSERT_TRUE(Create(store_.get(), folds).ok());
  const std::vector<ShardKey> dropped = {{"job", 1}};
  ASSERT_TRUE(store_->Drop(dropped).ok());
  EXPECT_EQ(Advance(store_.get(), &folds, WAL_ASYNC).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(CheckConsistent(*store_, {"job", 0}), 0);
  std::vector<ShardFold> kept = MakeFolds("job", 1);
  ASSERT_TRUE(Advance(store_.get(), &kept, WAL_ASYNC).ok());
  EXPECT_EQ(CheckConsistent(*store_, {"job", 0}), 1);
}

TEST_F(StateStoreTest, UnknownShardIsNotFound) {
  Open();
  EXPECT_EQ(store_->Read({"job", 0}).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ScanStatus(*store_, {"job", 0}).code(), absl::StatusCode::kNotFound);
}

TEST_F(StateStoreTest, OneCommitHolds64Shards) {
  Open();
  std::vector<ShardFold> folds = MakeFolds("job", 64);
  ASSERT_TRUE(Create(store_.get(), folds).ok());
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(Advance(store_.get(), &folds, WAL_SYNC).ok());
  Open();
  ASSERT_EQ(store_->Shards().size(), 64u);
  for (const ShardKey& shard : store_->Shards()) EXPECT_EQ(CheckConsistent(*store_, shard), 5);
}

TEST_F(StateStoreTest, JobsCommitAtOnce) {
  Open();
  std::vector<std::thread> threads;
  for (const WalMode wal : kWalModes) {
    threads.emplace_back([this, wal] {
      std::vector<ShardFold> folds = MakeFolds(WalMode_Name(wal), 2);
      EXPECT_TRUE(Create(store_.get(), folds).ok());
      for (int i = 0; i < 30; ++i) {
        EXPECT_TRUE(Advance(store_.get(), &folds, wal).ok());
        EXPECT_EQ(CheckConsistent(*store_, folds.back().key()), i + 1);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(store_->Shards().size(), 6u);
}

TEST_F(StateStoreTest, ManyDeltasOfAKeyBecomeOneRow) {
  Open();
  std::vector<ShardFold> folds = MakeFolds("job", 1);
  ASSERT_TRUE(Create(store_.get(), folds).ok());
  for (int i = 0; i < 3000; ++i) ASSERT_TRUE(Advance(store_.get(), &folds, WAL_OFF).ok());
  EXPECT_EQ(CheckConsistent(*store_, {"job", 0}), 3000);
  ASSERT_TRUE(store_->Flush().ok());
  EXPECT_EQ(CheckConsistent(*store_, {"job", 0}), 3000);
  store_.reset();

  rocksdb::SstFileReader reader((rocksdb::Options()));
  ASSERT_TRUE(reader.Open(FindFile("", ".sst")).ok());
  EXPECT_EQ(reader.GetTableProperties()->num_entries, folds.front().rows().size() + 1);
}

TEST_F(StateStoreTest, RowsComeInKeyOrder) {
  Open();
  StateStore::NewShard shard = ShardFold("job", 0).NewShard();
  const std::string zero(1, '\0');
  shard.rows = {{.key = zero, .count = 1, .sum = 1},
                {.key = "a", .count = 1, .sum = 2},
                {.key = "b", .count = 1, .sum = 3},
                {.key = "\xc3\xa9", .count = 1, .sum = 4}};
  ASSERT_TRUE(store_->Create({&shard, 1}).ok());
  std::vector<std::string> keys;
  ASSERT_TRUE(store_
                  ->Scan({"job", 0},
                         [&](const Delta& row) {
                           keys.emplace_back(row.key);
                           return true;
                         })
                  .ok());
  EXPECT_THAT(keys, ElementsAre(zero, "a", "b", "\xc3\xa9"));
}

TEST_F(StateStoreTest, RowsAreReadByKeyWithAndWithoutALimitOfMemory) {
  for (const size_t memory : {size_t{1} << 20, size_t{0}, size_t{1} << 20}) {
    Open(nullptr, memory);
    if (store_->Shards().empty()) {
      ASSERT_TRUE(Create(store_.get(), MakeFolds("job", 2)).ok());
    }
    std::vector<ShardFold> folds = MakeFolds("job", 2);
    for (ShardFold& fold : folds) fold.GoTo(store_->Read({"job", 0})->partitions(0).next_offset());
    for (int i = 0; i < 500; ++i) ASSERT_TRUE(Advance(store_.get(), &folds, WAL_ASYNC).ok());
    ASSERT_TRUE(store_->Flush().ok());
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(Advance(store_.get(), &folds, WAL_ASYNC).ok());

    std::vector<std::string> names{"kex", "key"};
    for (int i = 0; i < 1000; ++i) names.push_back("key" + std::to_string(i));
    std::sort(names.begin(), names.end());
    const std::vector<std::string_view> keys(names.begin(), names.end());
    std::vector<ShardStore::RowSum> sums(keys.size());
    for (const uint32_t shard : {0U, 1U}) ASSERT_TRUE(store_->AddRows({"job", shard}, keys, sums).ok());
    for (size_t i = 0; i < keys.size(); ++i) {
      ShardStore::RowSum expected;
      for (const ShardFold& fold : folds) {
        const auto row = fold.rows().find(names[i]);
        if (row == fold.rows().end()) continue;
        expected.count += row->second.first;
        expected.sum += row->second.second;
      }
      EXPECT_EQ(sums[i].count, expected.count) << names[i];
      EXPECT_TRUE(sums[i].sum == expected.sum) << names[i];
    }
    EXPECT_EQ(CheckConsistent(*store_, {"job", 0}), folds[0].next_offset());
    EXPECT_EQ(CheckConsistent(*store_, {"job", 1}), folds[1].next_offset());
  }
}

TEST_F(StateStoreTest, EstimatesAtLeastTheRowsOfAShard) {
  Open();
  ASSERT_TRUE(Create(store_.get(), MakeFolds("job", 1)).ok());
  std::vector<ShardFold> folds = MakeFolds("job", 1);
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(Advance(store_.get(), &folds, WAL_ASYNC).ok());
  const size_t rows = folds[0].rows().size();
  EXPECT_GE(store_->EstimateRows({"job", 0}), rows);
  Open(nullptr, 1 << 20);
  EXPECT_GE(store_->EstimateRows({"job", 0}), rows);
  EXPECT_EQ(store_->EstimateRows({"job", 1}), 0);
}

TEST_F(StateStoreTest, ManyShardsCommitWithMemtablesFarBeyondTheirLimit) {
  Open(nullptr, 1 << 20);
  std::vector<ShardFold> folds = MakeFolds("job", 64);
  ASSERT_TRUE(Create(store_.get(), folds).ok());
  // 64 memtables take more than all may, however little is in them.
  for (int i = 0; i < 30; ++i) ASSERT_TRUE(Advance(store_.get(), &folds, WAL_ASYNC).ok());
  for (uint32_t shard = 0; shard < 64; shard += 9) EXPECT_EQ(CheckConsistent(*store_, {"job", shard}), 30);
}

TEST_F(StateStoreTest, SecondOpenerInThisProcessIsRefused) {
  Open();
  const absl::Status status = StateStore::Open(dir_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr(dir_ + "/state is in use by another process"));
}

TEST_F(StateStoreTest, SecondProcessIsRefused) {
  Open();
  store_.reset();
  int locked[2];
  ASSERT_EQ(pipe(locked), 0);
  const std::string lock_file = dir_ + "/state/LOCK";
  const pid_t holder = fork();
  if (holder == 0) {
    struct flock lock = {};
    lock.l_type = F_WRLCK;
    const int fd = open(lock_file.c_str(), O_RDWR);
    if (fcntl(fd, F_SETLK, &lock) != 0 || write(locked[1], "x", 1) != 1) _exit(1);
    for (;;) pause();
  }
  char byte;
  ASSERT_EQ(read(locked[0], &byte, 1), 1);
  const absl::Status status = StateStore::Open(dir_).status();
  kill(holder, SIGKILL);
  waitpid(holder, nullptr, 0);
  close(locked[0]);
  close(locked[1]);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr(dir_ + "/state is in use by another process"));
  Open();
}

// Enough rows for several blocks, so that the state is in another block than most rows.
StateStore::NewShard WideShard(const ShardKey& shard, std::vector<std::string>* keys) {
  StateStore::NewShard wide = ShardFold(shard.first, shard.second).NewShard();
  wide.rows.clear();
  std::mt19937_64 random(5);
  for (int i = 10'000; i < 20'000; ++i) keys->push_back("key" + std::to_string(i));
  for (const std::string& key : *keys) {
    wide.rows.push_back({.key = key, .count = 1, .sum = static_cast<int64_t>(random())});
  }
  return wide;
}

TEST_F(StateStoreTest, FlippedByteOfARowIsFoundByTheScan) {
  Open();
  std::vector<std::string> keys;
  const StateStore::NewShard wide = WideShard({"job", 0}, &keys);
  ASSERT_TRUE(store_->Create({&wide, 1}).ok());
  Open();
  store_.reset();
  const std::string file = FindFile("", ".sst");
  FlipByte(file, std::filesystem::file_size(file) / 2);
  Open();
  EXPECT_TRUE(store_->Read({"job", 0}).ok());
  const absl::Status status = ScanStatus(*store_, {"job", 0});
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr(std::filesystem::path(file).filename().string()));
}

TEST_F(StateStoreTest, FlippedByteOfAStateIsFoundByItsReaders) {
  Open();
  std::vector<std::string> keys;
  const StateStore::NewShard wide = WideShard({"job", 0}, &keys);
  ASSERT_TRUE(store_->Create({&wide, 1}).ok());
  Open();
  store_.reset();
  FlipByte(FindFile("", ".sst"), 10);
  Open();
  EXPECT_EQ(store_->Read({"job", 0}).status().code(), absl::StatusCode::kDataLoss);
  std::vector<ShardFold> folds = MakeFolds("job", 1);
  EXPECT_EQ(Advance(store_.get(), &folds, WAL_ASYNC).code(), absl::StatusCode::kDataLoss);
}

TEST_F(StateStoreTest, FlippedByteOfTheManifestRefusesToOpen) {
  Open();
  ASSERT_TRUE(Create(store_.get(), MakeFolds("job", 1)).ok());
  store_.reset();
  FlipByte(FindFile("MANIFEST-", ""), 20);
  const absl::Status status = StateStore::Open(dir_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(dir_ + "/state"));
}

TEST_F(StateStoreTest, MissingTableRefusesToOpen) {
  Open();
  ASSERT_TRUE(Create(store_.get(), MakeFolds("job", 1)).ok());
  Open();
  store_.reset();
  const std::string file = FindFile("", ".sst");
  std::filesystem::remove(file);
  const absl::Status status = StateStore::Open(dir_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(std::filesystem::path(file).stem().string()));
}

TEST_F(StateStoreTest, MissingManifestRefusesToOpen) {
  Open();
  store_.reset();
  const std::string file = FindFile("MANIFEST-", "");
  std::filesystem::remove(file);
  const absl::Status status = StateStore::Open(dir_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(file));
}

TEST_F(StateStoreTest, FlippedByteOfTheLogBehindAFlushedShardRefusesToOpen) {
  Open();
  std::vector<ShardFold> folds = MakeFolds("job", 2);
  ASSERT_TRUE(Create(store_.get(), folds).ok());
  std::vector<ShardFold> other = MakeFolds("unlogged", 1);
  ASSERT_TRUE(Create(store_.get(), other).ok());
  ASSERT_TRUE(Advance(store_.get(), &folds, WAL_SYNC).ok());
  const std::string log = FindFile("", ".log");
  ASSERT_TRUE(Advance(store_.get(), &other, WAL_OFF).ok());
  ASSERT_TRUE(store_->Flush().ok());
  store_.reset();
  FlipByte(log, std::filesystem::file_size(log) / 2);
  const absl::Status status = StateStore::Open(dir_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(dir_ + "/state"));
}

// Writes what no StateStore writes.
class WrongDelta : public rocksdb::AssociativeMergeOperator {
 public:
  bool Merge(const rocksdb::Slice&, const rocksdb::Slice*, const rocksdb::Slice&, std::string*,
             rocksdb::Logger*) const override {
    return false;
  }
  const char* Name() const override { return "tenfold.AddDelta"; }
};

struct UnknownForm {
  const char* name;
  std::string bytes;
};

class UnknownFormTest : public StateStoreTest, public testing::WithParamInterface<UnknownForm> {};

INSTANTIATE_TEST_SUITE_P(Forms, UnknownFormTest,
                         testing::Values(UnknownForm{"Empty", ""}, UnknownForm{"CountWithoutEnd", "\x80"},
                                         UnknownForm{"CountWithoutSum", "\x02"}, UnknownForm{"NegativeCount", "\x01\x02"},
                                         UnknownForm{"MoreBehindIt", "\x02\x02\x02"}),
                         [](const auto& form) { return std::string(form.param.name); });

TEST_P(UnknownFormTest, IsDataLossAndNoCrash) {
  Open();
  ASSERT_TRUE(Create(store_.get(), MakeFolds("job", 1)).ok());
  store_.reset();
  {
    rocksdb::Options options;
    options.merge_operator = std::make_shared<WrongDelta>();
    std::vector<rocksdb::ColumnFamilyDescriptor> families = {{rocksdb::kDefaultColumnFamilyName, options},
                                                             {"job.0", options}};
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    rocksdb::DB* db = nullptr;
    ASSERT_TRUE(rocksdb::DB::Open(options, dir_ + "/state", families, &handles, &db).ok());
    const std::string row = std::string("\1\0", 2) + "initial";
    EXPECT_TRUE(db->Merge(rocksdb::WriteOptions(), handles[1], row, GetParam().bytes).ok());
    for (rocksdb::ColumnFamilyHandle* handle : handles) EXPECT_TRUE(db->DestroyColumnFamilyHandle(handle).ok());
    delete db;
  }
  absl::StatusOr<std::unique_ptr<StateStore>> store = StateStore::Open(dir_);
  // RocksDB merges when it flushes what the log held.
  const absl::Status status = store.ok() ? ScanStatus(**store, {"job", 0}) : store.status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
}

}  // namespace
}  // namespace tenfold
