#include "common/files/durable_file.h"

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "absl/status/status.h"
#include "gtest/gtest.h"

namespace tenfold {
namespace {

namespace fs = std::filesystem;

class DurableFileTest : public ::testing::Test {
 protected:
  DurableFileTest() {
    std::string pattern = ::testing::TempDir() + "durable_file_XXXXXX";
    dir_ = mkdtemp(pattern.data());
  }
  ~DurableFileTest() override { fs::remove_all(dir_); }

  fs::path dir_;
};

TEST_F(DurableFileTest, MakesADirectoryAndThoseAboveIt) {
  EXPECT_EQ(MakeDirectory((dir_ / "a/b/c").string()), absl::OkStatus());
  EXPECT_TRUE(fs::is_directory(dir_ / "a/b/c"));
  EXPECT_EQ(MakeDirectory((dir_ / "a/b/c/").string(), dir_.string()), absl::OkStatus()) << "it is there already";
}

TEST_F(DurableFileTest, KeepsOthersOutOfAPrivateDirectory) {
  fs::create_directories(dir_ / "a");
  fs::permissions(dir_ / "a", fs::perms::all);
  EXPECT_EQ(MakePrivateDirectory((dir_ / "a").string()), absl::OkStatus());
  EXPECT_EQ(fs::status(dir_ / "a").permissions(), fs::perms::owner_all);
}

TEST_F(DurableFileTest, TwoDotsAfterASymbolicLinkAreThoseOfItsTarget) {
  fs::create_directories(dir_ / "there/x");
  fs::create_directory_symlink(dir_ / "there/x", dir_ / "link");
  EXPECT_EQ(MakeDirectory((dir_ / "link/../data").string()), absl::OkStatus());
  EXPECT_TRUE(fs::is_directory(dir_ / "there/data"));
  EXPECT_FALSE(fs::exists(dir_ / "data"));
}

TEST_F(DurableFileTest, ADirectoryBelowAFileCannotBeMade) {
  std::ofstream(dir_ / "file") << "x";
  const absl::Status status = MakeDirectory((dir_ / "file/data").string());
  EXPECT_EQ(status, absl::InvalidArgumentError("cannot make the directory " + (dir_ / "file/data").string() + ": " +
                                               (dir_ / "file").string() + " is a file"));
}

TEST_F(DurableFileTest, AFileIsReplacedWhole) {
  const std::string path = (dir_ / "file").string();
  EXPECT_EQ(ReplaceFile(path, "a longer text"), absl::OkStatus());
  EXPECT_EQ(ReplaceFile(path, "short"), absl::OkStatus());
  std::ifstream file(path);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), "short");
  EXPECT_FALSE(fs::exists(path + ".new"));
}

}  // namespace
}  // namespace tenfold
