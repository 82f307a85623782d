#include "common/files/rocks_disk.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <system_error>
#include <thread>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rocksdb/env.h"
#include "tests/unit/common/sick_files.h"

namespace tenfold {
namespace {

using testing::HasSubstr;

class RocksDiskTest : public testing::Test {
 protected:
  RocksDiskTest() : path_(testing::TempDir() + "/rocks_disk_test." + std::to_string(getpid())) {}
  ~RocksDiskTest() override { std::filesystem::remove(path_); }

  std::unique_ptr<rocksdb::WritableFile> Open() {
    std::unique_ptr<rocksdb::WritableFile> file;
    EXPECT_TRUE(disk_.env()->NewWritableFile(path_, &file, rocksdb::EnvOptions()).ok());
    return file;
  }
  RocksDisk::Wait AwaitWait() const {
    while (!disk_.Waiting()) absl::SleepFor(absl::Milliseconds(1));
    return *disk_.Waiting();
  }
  std::string Written() const {
    std::ifstream file(path_);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  const std::string path_;
  const std::shared_ptr<SickFiles> sick_ = std::make_shared<SickFiles>();
  std::atomic<bool> is_ending_ = false;
  RocksDisk disk_{{.fail =
                       [](const std::string& sentence) {
                         std::fputs(sentence.c_str(), stderr);
                         _exit(7);
                       },
                   .is_ending = [this] { return is_ending_.load(); },
                   .files = sick_}};
};

TEST_F(RocksDiskTest, AWriteWaitsForRoomAndIsWhole) {
  const std::unique_ptr<rocksdb::WritableFile> file = Open();
  EXPECT_TRUE(file->Append("one,").ok());
  sick_->full = true;
  std::jthread writer([&] { EXPECT_TRUE(file->Append("two,").ok()); });
  const RocksDisk::Wait wait = AwaitWait();
  EXPECT_EQ(wait.what, "room on the disk");
  EXPECT_THAT(wait.reason, HasSubstr("No space left on device"));
  EXPECT_LE(wait.since, absl::Now());
  sick_->full = false;
  writer.join();
  EXPECT_FALSE(disk_.Waiting());
  EXPECT_TRUE(file->Append("three").ok());
  EXPECT_TRUE(file->Close().ok());
  EXPECT_EQ(Written(), "one,two,three");
}

TEST_F(RocksDiskTest, AFileIsOpenedOnceThereAreOpenFilesToBeHad) {
  sick_->out_of_files = true;
  std::unique_ptr<rocksdb::WritableFile> file;
  std::jthread opener([&] { file = Open(); });
  EXPECT_EQ(AwaitWait().what, "open files");
  sick_->out_of_files = false;
  opener.join();
  EXPECT_NE(file, nullptr);
}

TEST_F(RocksDiskTest, AFileThatCannotBeMadeForOtherReasonsIsTheCallersTrouble) {
  std::unique_ptr<rocksdb::WritableFile> file;
  EXPECT_FALSE(disk_.env()->NewWritableFile(path_ + "/no/such", &file, rocksdb::EnvOptions()).ok());
}

TEST_F(RocksDiskTest, ADirectoryIsOpenedOnceForAllThatSyncItAndOutlivesTheFirst) {
  const auto descriptors = [] {
    std::error_code ignored;
    const std::filesystem::directory_iterator open("/proc/self/fd");
    return std::ranges::count_if(
        open, [&](const auto& descriptor) { return std::filesystem::equivalent(descriptor, testing::TempDir(), ignored); });
  };
  const auto open = [&] {
    std::unique_ptr<rocksdb::Directory> directory;
    EXPECT_TRUE(disk_.env()->NewDirectory(testing::TempDir(), &directory).ok());
    return directory;
  };
  std::unique_ptr<rocksdb::Directory> first = open();
  std::unique_ptr<rocksdb::Directory> second = open();
  EXPECT_EQ(descriptors(), 1);
  EXPECT_TRUE(first->Close().ok());
  first.reset();
  EXPECT_TRUE(second->Fsync().ok());
  second.reset();
  EXPECT_EQ(descriptors(), 0);
  EXPECT_TRUE(open()->Fsync().ok());
}

TEST_F(RocksDiskTest, AWriteThatFailsEndsTheProcess) {
  const std::unique_ptr<rocksdb::WritableFile> file = Open();
  sick_->writes_fail = true;
  EXPECT_EXIT(file->Append("one").PermitUncheckedError(), testing::ExitedWithCode(7),
              "its disk fails: .*Input/output error");
}

TEST_F(RocksDiskTest, ASyncThatFailsEndsTheProcess) {
  const std::unique_ptr<rocksdb::WritableFile> file = Open();
  sick_->syncs_fail = true;
  EXPECT_EXIT(file->Sync().PermitUncheckedError(), testing::ExitedWithCode(7), "its disk fails: .*Input/output error");
}

TEST_F(RocksDiskTest, AProcessThatIsToEndWaitsForNothing) {
  const std::unique_ptr<rocksdb::WritableFile> file = Open();
  sick_->full = true;
  is_ending_ = true;
  EXPECT_EXIT(file->Append("one").PermitUncheckedError(), testing::ExitedWithCode(7), "it waited for room on the disk");
}

}  // namespace
}  // namespace tenfold
