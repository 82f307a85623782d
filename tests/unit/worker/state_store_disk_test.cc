// The store on a disk that fails: the process ends with a sentence, and what was committed is there at the next start.
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "common/files/rocks_disk.h"
#include "state_store_fixture.h"
#include "tests/unit/common/sick_files.h"

namespace tenfold {
namespace {

class StateStoreDiskTest : public StateStoreTest {
 protected:
  // Opens the store, commits to three shards twice, makes the disk sick, and does this; 0 if it returns.
  template <typename Sick, typename Then>
  void ExpectToEnd(const Sick& sick, const Then& then) {
    const auto child = [&] {
      Open(disk_.env());
      std::vector<ShardFold> folds = MakeFolds("job", 3);
      if (!Create(store_.get(), folds).ok() || !Advance(store_.get(), &folds, WAL_SYNC).ok()) _exit(1);
      sick(files_.get());
      then(&folds);
      store_.reset();
      _exit(0);
    };
    EXPECT_EXIT(child(), testing::ExitedWithCode(7), "its disk fails: .*Input/output error");
    Open();
    EXPECT_EQ(store_->Shards().size(), 3u);
    for (const ShardKey& shard : store_->Shards()) EXPECT_EQ(CheckConsistent(*store_, shard), 1);
    store_.reset();
  }

  const std::shared_ptr<SickFiles> files_ = std::make_shared<SickFiles>();
  RocksDisk disk_{{.fail =
                       [](const std::string& sentence) {
                         std::fputs(sentence.c_str(), stderr);
                         _exit(7);
                       },
                   .is_ending = {},
                   .files = files_}};
};

TEST_F(StateStoreDiskTest, ACommitThatCannotBeWritten) {
  ExpectToEnd([](SickFiles* files) { files->writes_fail = true; },
              [&](std::vector<ShardFold>* folds) { Advance(store_.get(), folds, WAL_SYNC).IgnoreError(); });
}

TEST_F(StateStoreDiskTest, AFlushThatCannotBeWritten) {
  ExpectToEnd([](SickFiles* files) { files->syncs_fail = true; },
              [&](std::vector<ShardFold>* folds) {
                Advance(store_.get(), folds, WAL_OFF).IgnoreError();
                store_->Flush().IgnoreError();
              });
}

}  // namespace
}  // namespace tenfold
