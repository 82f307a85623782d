// What is refused, and with which exit code: one clear sentence on stderr, nothing on stdout.
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/process/process.h"
#include "gtest/gtest.h"
#include "tests/cluster/local_kafka.h"
#include "tests/cluster/mini_cluster.h"

namespace tenfold {
namespace {

// The CLI's answer with this exit code: stderr names `named`, stdout is empty.
void ExpectRefused(const CliResult& result, ExitCode exit_code, const std::string& named) {
  EXPECT_EQ(result.exit_code, exit_code) << result.err;
  EXPECT_EQ(result.out, "");
  EXPECT_TRUE(absl::StrContains(result.err, named)) << "'" << named << "' is not in: " << result.err;
}

void ExpectDaemonRefused(Daemon& daemon, ExitCode exit_code, const std::string& named, const Launch& launch = {}) {
  absl::StatusOr<int> ended = daemon.StartToFail(launch);
  ASSERT_OK(ended.status());
  EXPECT_EQ(*ended, exit_code) << daemon.LogTail();
  EXPECT_TRUE(absl::StrContains(daemon.LogTail(), named)) << "'" << named << "' is not in: " << daemon.LogTail();
}

class RefusalTest : public ::testing::Test {
 protected:
  // On a new topic.
  Job NewJob() {
    absl::StatusOr<std::string> topic = CreateTopic();
    EXPECT_OK(topic.status());
    return {.topics = {topic.ok() ? *topic : "none"}};
  }

  CliResult Submit(const std::string& spec) { return cluster_.RunCli({"submit", cluster_.WriteFile("job.yaml", spec)}); }

  MiniCluster cluster_;
};

class UnknownJobTest : public RefusalTest, public ::testing::WithParamInterface<const char*> {};
INSTANTIATE_TEST_SUITE_P(Verbs, UnknownJobTest, ::testing::Values("status", "top", "cancel", "verify"),
                         [](const auto& test) { return std::string(test.param); });

TEST_P(UnknownJobTest, ExitsWithOne) {
  ASSERT_OK(cluster_.Start(0));
  ExpectRefused(cluster_.RunCli({GetParam(), "no-such-job"}), kExitRefused, "no-such-job");
}

TEST_F(RefusalTest, UnknownBatchExitsWithOne) {
  ASSERT_OK(cluster_.Start(1));
  const Job job = NewJob();
  ASSERT_OK(cluster_.Submit(job));
  ASSERT_OK(cluster_.WaitForBatches(job.name, 1));
  ExpectRefused(cluster_.RunCli({"top", job.name, "--batch", "4711"}), kExitRefused, "4711");
}

TEST_F(RefusalTest, NameTakenExitsWithOne) {
  ASSERT_OK(cluster_.Start(0));
  const Job job = NewJob();
  ASSERT_OK(cluster_.Submit(job));
  ExpectRefused(Submit(SpecText(job)), kExitRefused, job.name);
}

TEST_F(RefusalTest, MissingTopicExitsWithOne) {
  ASSERT_OK(cluster_.Start(0));
  const std::string topic = UniqueName("missing");
  ExpectRefused(Submit(SpecText({.topics = {topic}})), kExitRefused, topic);
}

TEST_F(RefusalTest, CatchingUpWithoutWorkersTimesOutWithOne) {
  ASSERT_OK(cluster_.Start(0));
  const Job job = NewJob();
  ASSERT_OK(cluster_.Submit(job));
  ExpectRefused(cluster_.RunCli({"top", job.name, "--caught-up", "--timeout", "2s", "-o", "json"}), kExitRefused, "worker");
}

TEST_F(RefusalTest, DriversDirectoryInUseExitsWithOne) {
  ASSERT_OK(cluster_.Start(0));
  const std::unique_ptr<Daemon> second = cluster_.NewDriver("second-driver", cluster_.driver().data_dir());
  ExpectDaemonRefused(*second, kExitRefused, cluster_.driver().data_dir());
}

TEST_F(RefusalTest, WorkersDirectoryInUseExitsWithOne) {
  ASSERT_OK(cluster_.Start(1));
  const std::unique_ptr<Daemon> second = cluster_.NewWorker("second-worker", cluster_.worker(0).data_dir());
  ExpectDaemonRefused(*second, kExitRefused, cluster_.worker(0).data_dir());
}

TEST_F(RefusalTest, WorkersDirectoryOfAnotherClusterExitsWith65) {
  ASSERT_OK(cluster_.Start(1));
  ASSERT_OK(WaitUntil("the worker to be admitted", absl::Seconds(30), [&] {
    return absl::StrContains(cluster_.RunCli({"workers"}).out, absl::StrCat(cluster_.worker(0).port()));
  }));
  ASSERT_OK(cluster_.worker(0).Stop());
  MiniCluster other;
  ASSERT_OK(other.Start(0));
  const std::unique_ptr<Daemon> stray = other.NewWorker("stray-worker", cluster_.worker(0).data_dir());
  ExpectDaemonRefused(*stray, kExitData, cluster_.worker(0).data_dir());
}

TEST_F(RefusalTest, ADirectoryThatIsAFileExitsWith65) {
  const std::string file = cluster_.WriteFile("file", "");
  ExpectDaemonRefused(*cluster_.NewWorker("another-worker", file), kExitData, file);
  ExpectDaemonRefused(*cluster_.NewDriver("another-driver", file), kExitData, file);
}

TEST_F(RefusalTest, DamagedJournalExitsWith65) {
  ASSERT_OK(cluster_.Start(0));
  ASSERT_OK(cluster_.driver().Stop());
  namespace fs = std::filesystem;
  int damaged = 0;
  for (const fs::directory_entry& file : fs::directory_iterator(cluster_.driver().data_dir() + "/journal")) {
    if (file.path().filename() != "CURRENT") continue;
    fs::resize_file(file.path(), 1);
    ++damaged;
  }
  ASSERT_EQ(damaged, 1);
  ExpectDaemonRefused(cluster_.driver(), kExitData, cluster_.driver().data_dir());
}

TEST_F(RefusalTest, WrongDaemonFlagExitsWith64) {
  ExpectDaemonRefused(cluster_.driver(), kExitUsage, "--no-such-flag", {.flags = {"--no-such-flag"}, .fault_point = ""});
  ExpectDaemonRefused(cluster_.driver(), kExitUsage, "--sink-dirs: 'sinks' is no absolute path",
                      {.flags = {"--sink-dirs", "sinks"}, .fault_point = ""});
  ExpectDaemonRefused(cluster_.worker(0), kExitUsage, "--no-such-flag", {.flags = {"--no-such-flag"}, .fault_point = ""});
}

TEST_F(RefusalTest, WrongFlagOrVerbExitsWith64) {
  ExpectRefused(cluster_.RunCli({"list", "--no-such-flag"}), kExitUsage, "--no-such-flag");
  ExpectRefused(cluster_.RunCli({"no-such-verb"}), kExitUsage, "no-such-verb");
}

TEST_F(RefusalTest, SpecErrorsExitWith65AndNameEveryPlace) {
  ASSERT_OK(cluster_.Start(0));
  Job job{.topics = {"events"}, .interval = "2 parsecs", .score = "clicks*"};
  const std::string file = cluster_.WriteFile("broken.yaml", SpecText(job));
  for (const char* verb : {"submit", "validate"}) {
    const CliResult result = cluster_.RunCli({verb, file});
    ExpectRefused(result, kExitData, file + ":6:");
    ExpectRefused(result, kExitData, file + ":9:");
  }
}

TEST_F(RefusalTest, UnreachableDriverExitsWith69) {
  ExpectRefused(cluster_.RunCli({"list"}), kExitUnavailable, absl::StrCat("127.0.0.1:", cluster_.driver().port()));
}

TEST_F(RefusalTest, UnreachableKafkaExitsWith69) {
  const std::string nowhere = absl::StrCat("127.0.0.1:", cluster_.worker(0).port());
  ExpectRefused(cluster_.RunCli({"produce", "--kafka", nowhere, "--topic", "events", "--count", "1"}), kExitUnavailable,
                nowhere);
}

TEST_F(RefusalTest, DaemonsWaitForWhatIsNotThereYet) {
  ASSERT_OK(cluster_.worker(0).Start());
  ASSERT_OK(cluster_.driver().Start());
  const Job job = NewJob();
  ASSERT_OK(cluster_.Submit(job));
  EXPECT_OK(cluster_.VerifyPublished(job.name));
}

}  // namespace
}  // namespace tenfold
