#include "common/kafka/property_value.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tenfold {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class PropertyValueTest : public testing::Test {
 protected:
  PropertyValueTest() : dir_(testing::TempDir() + "/property_value_test." + std::to_string(getpid())) {
    fs::create_directories(dir_ + "/allowed");
    fs::create_directories(dir_ + "/other");
    Write("allowed/secret", "hunter2\n");
    Write("other/secret", "hunter3");
  }
  ~PropertyValueTest() override { fs::remove_all(dir_); }

  void Write(const std::string& name, const std::string& text) const { std::ofstream(dir_ + "/" + name) << text; }
  absl::StatusOr<std::string> Value(const std::string& name, const std::string& value) const {
    return PropertyValue(name, value, std::vector<std::string>{dir_ + "/allowed"});
  }
  std::string Error(const std::string& name, const std::string& value) const {
    return std::string(Value(name, value).status().message());
  }

  const std::string dir_;
};

TEST_F(PropertyValueTest, ReferencesAreResolvedAndOtherValuesAreNot) {
  EXPECT_EQ(Value("sasl.password", "${file:" + dir_ + "/allowed/secret}").value(), "hunter2");
  setenv("TENFOLD_SECRET_TEST", "hunter4", 1);
  EXPECT_EQ(Value("sasl.password", "${env:TENFOLD_SECRET_TEST}").value(), "hunter4");
  unsetenv("TENFOLD_SECRET_TEST");
  EXPECT_EQ(Value("client.id", "me").value(), "me");
  EXPECT_EQ(Value("ssl.ca.location", dir_ + "/allowed/secret").value(), dir_ + "/allowed/secret");
  EXPECT_EQ(Value("ssl.ca.location", dir_ + "/allowed").value(), dir_ + "/allowed");
}

TEST_F(PropertyValueTest, WhatIsNotThereIsNamed) {
  EXPECT_THAT(Error("sasl.password", "${env:TENFOLD_SECRET_NONE}"),
              AllOf(HasSubstr("'sasl.password'"), HasSubstr("has no TENFOLD_SECRET_NONE")));
  EXPECT_THAT(Error("ssl.ca.location", dir_ + "/allowed/none"),
              AllOf(HasSubstr("'ssl.ca.location'"), HasSubstr(dir_ + "/allowed/none"), HasSubstr("No such file")));
}

TEST_F(PropertyValueTest, ASecretThatIsEmptyOrBinaryIsNamed) {
  Write("allowed/empty", "\n");
  EXPECT_THAT(Error("sasl.password", "${file:" + dir_ + "/allowed/empty}"),
              AllOf(HasSubstr("'sasl.password'"), HasSubstr(dir_ + "/allowed/empty is empty")));
  Write("allowed/binary", std::string("\0hunter2", 8));
  EXPECT_THAT(Error("sasl.password", "${file:" + dir_ + "/allowed/binary}"), HasSubstr("/allowed/binary has a zero byte"));
  setenv("TENFOLD_SECRET_TEST", "", 1);
  EXPECT_THAT(Error("sasl.password", "${env:TENFOLD_SECRET_TEST}"), HasSubstr("TENFOLD_SECRET_TEST is empty"));
  unsetenv("TENFOLD_SECRET_TEST");
}

TEST_F(PropertyValueTest, FilesLieInTheAllowedDirectoriesWhateverLeadsToThem) {
  fs::create_symlink(dir_ + "/other/secret", dir_ + "/allowed/link");
  for (const char* path : {"/other/secret", "/allowed/../other/secret", "/allowed/link"}) {
    EXPECT_THAT(Error("sasl.password", "${file:" + dir_ + path + "}"),
                AllOf(HasSubstr("lies in none of the directories that --property-dirs allows"), Not(HasSubstr("hunter3"))));
    EXPECT_THAT(Error("ssl.key.location", dir_ + path), HasSubstr("lies in none of the directories"));
  }
  EXPECT_EQ(PropertyValue("ssl.key.location", dir_ + "/other/secret", std::nullopt).value(), dir_ + "/other/secret");
}

TEST_F(PropertyValueTest, OnlyRegularFilesAreOpened) {
  ASSERT_EQ(mkfifo((dir_ + "/allowed/fifo").c_str(), 0600), 0);
  EXPECT_THAT(Error("ssl.ca.location", dir_ + "/allowed/fifo"), HasSubstr("is no regular file"));
  EXPECT_THAT(Error("sasl.password", "${file:" + dir_ + "/allowed/fifo}"), HasSubstr("is no regular file"));
  EXPECT_THAT(Error("ssl.key.location", dir_ + "/allowed"), HasSubstr("is no regular file"));
  EXPECT_FALSE(PropertyValue("ssl.ca.location", "/dev/ptmx", std::nullopt).ok());
  Write("allowed/long", std::string((64 << 10) + 1, 'x'));
  EXPECT_THAT(Error("sasl.password", "${file:" + dir_ + "/allowed/long}"), HasSubstr("is longer than 64 KiB"));
}

}  // namespace
}  // namespace tenfold
