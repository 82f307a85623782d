// Which paths of sinks a driver accepts.
#include <string>

#include "driver/sinks/job_sinks.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tenfold {
namespace {

using ::testing::HasSubstr;

class SinkPathsTest : public ::testing::Test {
 protected:
  static std::string Check(const std::string& path) {
    JobSpec spec;
    spec.add_sinks()->mutable_stdout();
    spec.add_sinks()->mutable_file()->set_path(path);
    const absl::Status status = JobSinks::Check(spec, {.data_dir = "", .allowed = {"/srv/top", "/var/lists/", "/usr"}});
    EXPECT_TRUE(status.ok() || absl::IsInvalidArgument(status)) << status;
    return std::string(status.message());
  }
};

TEST_F(SinkPathsTest, SoundPathsPass) {
  for (const char* path :
       {"top.jsonl", "a/top.jsonl", "./a//top", "..top", "/srv/top/x", "/srv/top/a/x", "/srv/./top/x", "/var/lists/x"}) {
    EXPECT_EQ(Check(path), "") << path;
  }
}

TEST_F(SinkPathsTest, PathsUpwardsAreRefused) {
  for (const char* path : {"../top", "a/../top", "/srv/top/../x", "/srv/top/a/../../../etc/x"}) {
    EXPECT_THAT(Check(path), HasSubstr("sinks[1].file.path: ")) << path;
    EXPECT_THAT(Check(path), HasSubstr("has a \"..\"")) << path;
  }
}

TEST_F(SinkPathsTest, AbsolutePathsOutsideTheAllowedDirectoriesAreRefused) {
  for (const char* path : {"/x", "/srv/x", "/srv/topper/x", "/srv/top", "/etc/passwd"}) {
    EXPECT_THAT(Check(path), HasSubstr("allows only /srv/top, /var/lists/, /usr")) << path;
  }
}

TEST_F(SinkPathsTest, ADirectoryIsRefused) { EXPECT_THAT(Check("/usr/bin"), HasSubstr("\"/usr/bin\" is a directory")); }

TEST_F(SinkPathsTest, PathsWithoutAFileAreRefused) {
  for (const char* path : {"", ".", "a/", "a/."}) EXPECT_THAT(Check(path), HasSubstr("names no file")) << path;
  EXPECT_THAT(Check(std::string("a\0b", 3)), HasSubstr("zero byte"));
}

TEST_F(SinkPathsTest, TheSameSinkTwiceIsRefused) {
  JobSpec spec;
  spec.add_sinks()->mutable_file()->set_path("a/top");
  spec.add_sinks()->mutable_file()->set_path("./a//top");
  EXPECT_THAT(std::string(JobSinks::Check(spec, {}).message()), HasSubstr("sinks[1]"));
}

}  // namespace
}  // namespace tenfold
