#include "common/files/ballast.h"

#include <stdlib.h>

#include <filesystem>
#include <string>

#include "gtest/gtest.h"

namespace tenfold {
namespace {

namespace fs = std::filesystem;

class BallastTest : public ::testing::Test {
 protected:
  BallastTest() {
    std::string pattern = ::testing::TempDir() + "ballast_XXXXXX";
    dir_ = mkdtemp(pattern.data());
    path_ = dir_ + "/ballast";
  }
  ~BallastTest() override { fs::remove_all(dir_); }

  std::string dir_;
  std::string path_;
};

TEST_F(BallastTest, IsRoomUntilItIsGivenUp) {
  Ballast ballast(path_);
  ballast.Keep();
  EXPECT_GT(fs::file_size(path_), 0);
  EXPECT_FALSE(ballast.given_up());
  ballast.GiveUp();
  EXPECT_EQ(fs::file_size(path_), 0);
  EXPECT_TRUE(ballast.given_up());
  ballast.Keep();
  EXPECT_GT(fs::file_size(path_), 0);
  EXPECT_FALSE(ballast.given_up());
}

TEST_F(BallastTest, ALaterProcessKnowsThatItWasGivenUp) {
  Ballast first(path_);
  first.Keep();
  first.GiveUp();
  EXPECT_TRUE(Ballast(path_).given_up());
}

TEST_F(BallastTest, ALaterProcessGivesUpWhatAnEarlierOneMade) {
  Ballast(path_).Keep();
  Ballast later(path_);
  later.GiveUp();
  EXPECT_TRUE(later.given_up());
  EXPECT_EQ(fs::file_size(path_), 0);
}

TEST_F(BallastTest, WhatNeverWasIsNotGivenUp) {
  Ballast ballast(path_);
  ballast.GiveUp();
  EXPECT_FALSE(ballast.given_up());
  EXPECT_FALSE(fs::exists(path_));
}

}  // namespace
}  // namespace tenfold
