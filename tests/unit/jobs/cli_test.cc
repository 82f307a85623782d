#include "jobs/cli/cli.h"

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/unit/jobs/cli_fixture.h"

namespace tenfold {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

constexpr char kSpec[] = R"(name: popularity
source:
  kafka: {topics: [user-behavior-topic], start: earliest}
  format: {delimited: {separator: "|", fields: [page, clicks, minutes, like]}}
key: page
score: 0.8*clicks + 0.8*minutes + 1*like
top: 10
batch: {interval: 2s}
)";

TEST_F(CliTest, SubmitSendsTheSpecAndPrintsTheJobId) {
  EXPECT_EQ(Run({"submit", Write(kSpec)}), kExitOk) << err_;
  EXPECT_EQ(out_, "job-1\n");
  EXPECT_EQ(driver_.submitted.name(), "popularity");
  EXPECT_EQ(Run({"submit", Write(kSpec), "-o", "json"}), kExitOk) << err_;
  EXPECT_EQ(out_, "{\"job\":\"popularity\",\"job_id\":\"job-1\"}\n");
}

TEST_F(CliTest, WrongSpecIsToldInFullAndNotSent) {
  const std::string file = Write(std::string(kSpec) + "tpo: 3\n");
  EXPECT_EQ(Run({"submit", file}), kExitData);
  EXPECT_THAT(err_, StartsWith(file + ":9:1: "));
  EXPECT_THAT(out_, IsEmpty());
  EXPECT_EQ(driver_.submitted.name(), "");
}

TEST_F(CliTest, ValidateNeedsNoDriver) {
  address_ = "127.0.0.1:1";
  const std::string file = Write(kSpec);
  EXPECT_EQ(Run({"validate", file}), kExitOk) << err_;
  EXPECT_EQ(out_, file + " is a valid spec of job popularity\n");
  EXPECT_EQ(Run({"validate", Write("name: [\n")}), kExitData);
  EXPECT_THAT(out_, IsEmpty());
  EXPECT_EQ(Run({"validate", dir_ + "/none.yaml"}), kExitData);
  EXPECT_EQ(err_, "tenfold: cannot read the job spec " + dir_ + "/none.yaml: No such file or directory\n");
}

TEST_F(CliTest, TryTakesBinaryRecordsAsBase64) {
  const std::string file = Write(
      "name: job\nsource:\n  kafka: {topics: [events]}\n"
      "  format: {avro: {schema: {type: record, name: E, fields: [{name: page, type: string}, {name: n, type: int}]}}}\n"
      "  fields: {page: {text: page}, n: {integer: n}}\nkey: page\nscore: n\n");
  const std::string records = dir_ + "/records";
  // "a" and 3, and the same without its end.
  std::ofstream(records) << absl::Base64Escape(std::string("\x02"
                                                           "a\x06"))
                         << "\n"
                         << absl::Base64Escape(
                                "\x02"
                                "a")
                         << "\n";
  EXPECT_EQ(Run({"try", file, "--records", records}), kExitOk) << err_;
  EXPECT_THAT(out_, HasSubstr("page = 'a'"));
  EXPECT_THAT(out_, HasSubstr("2 records: 1 bad"));
  std::ofstream(records) << "page|3\n";
  EXPECT_EQ(Run({"try", file, "--records", records}), kExitData);
  EXPECT_THAT(err_, HasSubstr("records:1: is no base64, as which each line has a record of Avro or Protocol Buffers"));
}

TEST_F(CliTest, DriversAnswersDecideTheExitCode) {
  const std::vector<std::pair<absl::Status, int>> cases = {
      {absl::AlreadyExistsError("the name popularity is taken"), kExitRefused},
      {absl::FailedPreconditionError("refused"), kExitRefused},
      {absl::NotFoundError("topic t does not exist"), kExitRefused},
      {absl::OutOfRangeError("trimmed"), kExitRefused},
      {absl::InvalidArgumentError("sinks[0]: '..' is not allowed"), kExitData},
      {absl::UnavailableError("Kafka at b:9092 is not reachable"), kExitUnavailable},
      {absl::InternalError("broken"), kExitBug},
  };
  for (const auto& [failure, code] : cases) {
    driver_.failure = failure;
    EXPECT_EQ(Run({"submit", Write(kSpec)}), code) << failure;
    EXPECT_EQ(err_, "tenfold: " + std::string(failure.message()) + "\n");
    EXPECT_THAT(out_, IsEmpty());
  }
}

TEST_F(CliTest, UnreachableDriverIsNamedAfterFiveSeconds) {
  address_ = "127.0.0.1:1";
  const auto started = std::chrono::steady_clock::now();
  EXPECT_EQ(Run({"list"}), kExitUnavailable);
  EXPECT_LT(std::chrono::steady_clock::now() - started, std::chrono::seconds(8));
  EXPECT_EQ(
      err_,
      "tenfold: the driver at 127.0.0.1:1 is not reachable (Connection refused); check that tenfold-driver runs there, or "
      "name it with --driver HOST:PORT\n");
}

TEST_F(CliTest, MistakesInFlagsAndVerbsEndWith64) {
  for (const std::vector<std::string>& args : std::vector<std::vector<std::string>>{{},
                                                                                    {"tpo"},
                                                                                    {"top"},
                                                                                    {"top", "a", "b"},
                                                                                    {"top", "a", "--batch", "0"},
                                                                                    {"top", "a", "--timeout", "5"},
                                                                                    {"list", "-o", "yaml"},
                                                                                    {"top", "a", "--watch", "--caught-up"},
                                                                                    {"completion", "fish"}}) {
    EXPECT_EQ(Run(args), kExitUsage) << testing::PrintToString(args);
    EXPECT_THAT(err_, AllOf(StartsWith("tenfold: "), HasSubstr("--help"))) << testing::PrintToString(args);
    EXPECT_THAT(out_, IsEmpty());
  }
}

TEST_F(CliTest, AVerbsFlagBeforeTheVerbIsToldItsPlace) {
  EXPECT_EQ(Run({"-o", "json", "list"}), kExitUsage);
  EXPECT_THAT(err_, StartsWith("tenfold: -o goes after list"));
}

TEST_F(CliTest, GlobalFlagsMayFollowTheVerb) { EXPECT_EQ(Run({"list", "--log-dir", dir_}), kExitOk) << err_; }

TEST_F(CliTest, ListShowsEveryJob) {
  driver_.jobs.push_back(MakeStatus());
  driver_.jobs[1].set_job("broken");
  driver_.jobs[1].set_state(JOB_FAILED);
  driver_.jobs[1].set_lag(12);
  driver_.jobs[1].set_failure("topic[0] at 5 is bad");
  EXPECT_EQ(Run({"list"}), kExitOk);
  EXPECT_EQ(out_,
            "NAME        STATE    BATCH  LAG  REASON\n"
            "popularity  running      7    0\n"
            "broken      failed       7    -  topic[0] at 5 is bad\n");
  EXPECT_EQ(Run({"list", "-o", "json"}), kExitOk);
  EXPECT_EQ(json::parse(out_), json::parse(R"([
    {"job": "popularity", "job_id": "job-1", "state": "running", "batch": 7, "lag": 0, "reason": ""},
    {"job": "broken", "job_id": "job-1", "state": "failed", "batch": 7, "lag": null, "reason": "topic[0] at 5 is bad"}])"));
}

TEST_F(CliTest, WorkersShowsStateAndShards) {
  WorkerStatus* live = driver_.workers.add_workers();
  live->set_worker("w1");
  live->set_address("a:1");
  live->set_shards(2);
  *driver_.workers.add_workers() = *live;
  driver_.workers.mutable_workers(1)->set_state(WORKER_LOST);
  EXPECT_EQ(Run({"workers"}), kExitOk);
  EXPECT_EQ(
      out_,
      "WORKER  ADDRESS  STATE  SHARDS  JOBS\nw1      a:1      live        2     0\nw1      a:1      lost        2     0\n");
  EXPECT_EQ(Run({"workers", "-o", "json"}), kExitOk);
  EXPECT_EQ(out_,
            "[{\"worker\":\"w1\",\"address\":\"a:1\",\"state\":\"live\",\"since\":null,\"problem\":\"\",\"shards\":2,"
            "\"jobs\":0,\"max_jobs\":null},"
            "{\"worker\":\"w1\",\"address\":\"a:1\",\"state\":\"lost\",\"since\":null,\"problem\":\"\",\"shards\":2,"
            "\"jobs\":0,\"max_jobs\":null}]\n");
  driver_.workers.mutable_workers(1)->set_state(WORKER_UNREACHABLE);
  driver_.workers.mutable_workers(1)->set_problem("does not answer");
  EXPECT_EQ(Run({"workers"}), kExitOk);
  EXPECT_EQ(out_,
            "WORKER  ADDRESS  STATE        SHARDS  JOBS  PROBLEM\n"
            "w1      a:1      live              2     0\n"
            "w1      a:1      unreachable       2     0  does not answer\n");
}

TEST_F(CliTest, NothingToListIsAnEmptyArray) {
  driver_.jobs.clear();
  EXPECT_EQ(Run({"list", "-o", "json"}), kExitOk);
  EXPECT_EQ(out_, "[]\n");
}

TEST_F(CliTest, APausedJobSaysSinceWhenAndHowItGoesOn) {
  EXPECT_EQ(Run({"pause", "popularity"}), kExitOk) << err_;
  EXPECT_EQ(out_, driver_.jobs[0].job_id() + "\n");
  EXPECT_EQ(Run({"status", "popularity"}), kExitOk) << err_;
  EXPECT_THAT(out_, StartsWith("popularity is paused since 2025-11-28T12:00:00.000Z, after batch "));
  EXPECT_THAT(out_, HasSubstr("; tenfold resume popularity has it go on"));
  EXPECT_EQ(Run({"list"}), kExitOk);
  EXPECT_THAT(out_, HasSubstr("paused"));
  EXPECT_EQ(Run({"resume", "popularity", "-o", "json"}), kExitOk);
  EXPECT_THAT(out_, HasSubstr("\"job_id\""));
  EXPECT_EQ(Run({"list"}), kExitOk);
  EXPECT_THAT(out_, HasSubstr("running"));
  EXPECT_EQ(Run({"resume", "none"}), kExitRefused);
  EXPECT_THAT(err_, HasSubstr("there is no job none"));
}

TEST_F(CliTest, StatusSaysHowFarARefoldIsAndWhyOneCameToNothing) {
  JobStatus& job = driver_.jobs[0];
  RefoldStatus* refold = job.mutable_refold();
  refold->set_since_us(1'764'331'200'000'000);
  refold->mutable_progress()->set_folded(40);
  refold->mutable_progress()->set_total(100);
  refold->mutable_progress()->set_offsets_per_second(20);
  EXPECT_EQ(Run({"status", "popularity"}), kExitOk) << err_;
  EXPECT_THAT(out_, StartsWith("popularity is keeping up; the refold for another spec is at 40 of 100 offsets, 20 a second, "
                               "3 s left\n"));
  EXPECT_THAT(out_, HasSubstr("refold      began 2025-11-28T12:00:00.000Z, is at 40 of 100 offsets"));
  EXPECT_EQ(Run({"list"}), kExitOk) << err_;
  EXPECT_THAT(out_, HasSubstr("the refold for another spec is at 40 of 100 offsets"));
  refold->set_problem("worker w1 runs 2 jobs, as many as --max-jobs allows");
  EXPECT_EQ(Run({"status", "popularity", "-o", "json"}), kExitOk);
  const nlohmann::json shown = nlohmann::json::parse(out_);
  EXPECT_EQ(shown.at("refold").at("folded"), 40);
  EXPECT_EQ(shown.at("refold").at("problem"), refold->problem());
  EXPECT_TRUE(shown.at("refolded_at_batch").is_null());
  refold->clear_problem();
  refold->mutable_progress()->set_folded(100);
  job.set_state(JOB_PAUSED);
  EXPECT_EQ(Run({"status", "popularity"}), kExitOk) << err_;
  EXPECT_THAT(out_, HasSubstr("the refold for another spec is built, and takes over once the job is resumed"));
  job.set_state(JOB_RUNNING);
  job.clear_refold();
  job.set_refold_failure("the log no longer has the job's start");
  EXPECT_EQ(Run({"status", "popularity"}), kExitOk) << err_;
  EXPECT_THAT(out_, StartsWith("popularity is keeping up; the refold for another spec came to nothing: the log no longer"));
  job.clear_refold_failure();
  job.set_refolded_at_batch(5);
  EXPECT_EQ(Run({"status", "popularity"}), kExitOk) << err_;
  EXPECT_THAT(out_, HasSubstr("refolded    batches from 5 on fold as the present spec does"));
}

TEST_F(CliTest, CancelGoesByTheJobsId) {
  EXPECT_EQ(Run({"cancel", "popularity"}), kExitOk);
  EXPECT_EQ(driver_.cancelled, "job-1");
  EXPECT_EQ(out_, "job-1\n");
}

TEST_F(CliTest, StatusOpensWithASentence) {
  JobStatus& job = driver_.jobs[0];
  const auto first_line = [&] {
    EXPECT_EQ(Run({"status", "popularity"}), kExitOk) << err_;
    return out_.substr(0, out_.find('\n'));
  };
  job.set_lag(200);
  EXPECT_EQ(first_line(), "popularity is keeping up");
  job.set_lag(201);
  EXPECT_EQ(first_line(), "popularity is behind by 201 records");
  job.set_state(JOB_WAITING);
  job.mutable_waiting()->set_kind(WAITING_WORKERS);
  EXPECT_EQ(first_line(), "popularity is waiting for a worker: none has joined");
  job.set_state(JOB_FAILED);
  job.set_failure("topic[0] at 5 is bad");
  EXPECT_EQ(first_line(), "popularity failed because topic[0] at 5 is bad");
}

// A job with something to say in every part of its status.
JobStatus FullStatus() {
  JobStatus status = MakeStatus();
  PartitionStatus* partition = status.add_partitions();
  partition->set_topic("topic");
  partition->set_partition(1);
  partition->set_next_offset(10);
  partition->set_end_offset(15);
  partition->mutable_counters()->set_records(9);
  BadCount* bad = partition->mutable_counters()->add_bad();
  bad->set_reason(BAD_MALFORMED_NUMBER);
  bad->set_count(2);
  BadCount* other = partition->mutable_counters()->add_bad();
  other->set_reason(BAD_WRONG_FIELD_COUNT);
  other->set_count(1);
  BadSample* sample = partition->mutable_counters()->add_samples();
  partition->mutable_counters()->set_topic_id("\x01\x02\x03");
  partition->mutable_counters()->set_leader_epoch(3);
  sample->set_offset(4);
  sample->set_reason(BAD_MALFORMED_NUMBER);
  sample->set_excerpt("a|\x1b[2J\xff|\xc2\x9b|\xc3\xa9");
  *status.add_partitions() = *partition;
  status.mutable_partitions(1)->set_partition(2);
  status.mutable_partitions(1)->set_end_offset(-1);
  for (uint32_t shard : {0u, 1u, 3u}) {
    ShardStatus* owned = status.add_shards();
    owned->set_shard(shard);
    owned->set_owner("w1");
  }
  status.mutable_shards(2)->set_next_owner("w2");
  ReaderStatus* reader = status.add_readers();
  reader->set_worker("w1");
  reader->mutable_reader()->set_kind(READER_WIRE);
  reader = status.add_readers();
  reader->set_worker("w2");
  reader->mutable_reader()->set_kind(READER_LIBRDKAFKA);
  reader->mutable_reader()->set_reason("the job sets client.rack");
  SinkStatus* sink = status.add_sinks();
  sink->set_sink("file top.jsonl");
  sink->set_delivered_batch(6);
  sink->set_problem("disk full");
  TopKProof* proof = status.mutable_last_batch()->mutable_proof();
  proof->mutable_kth_total()->set_low(1'500'000'000);
  proof->set_rounds(1);
  proof->set_entries(40);
  ScoreTerm* clicks = status.mutable_spec()->mutable_fold()->add_score();
  clicks->set_constant("0.8");
  clicks->set_field("clicks");
  ScoreTerm* like = status.mutable_spec()->mutable_fold()->add_score();
  like->set_constant("-1");
  like->set_field("like");
  return status;
}

TEST_F(CliTest, StatusJsonHasEverything) {
  driver_.jobs[0] = FullStatus();
  EXPECT_EQ(Run({"status", "popularity", "-o", "json"}), kExitOk);
  const json status = json::parse(out_);
  EXPECT_EQ(status["state"], "running");
  EXPECT_EQ(status["summary"],
            "popularity is keeping up; 6 of 18 records are bad, mostly malformed_number; sink file top.jsonl takes nothing: "
            "disk full");
  EXPECT_EQ(status["published_at"], "2023-11-14T22:13:20.123Z");
  EXPECT_EQ(status["bad_records"], json::parse(R"({"malformed_number": 4, "wrong_field_count": 2})"));
  EXPECT_EQ(status["partitions"][0], json::parse(R"({"topic": "topic", "partition": 1, "next_offset": 10, "end_offset": 15,
                                                     "lag": 5, "records": 9, "problem": "", "since": null,
                                                     "held_back": 0, "held_back_since": null, "held_back_by": "",
                                                     "topic_id": "AQID", "leader_epoch": 3,
                                                     "bad_records": {"malformed_number": 2, "wrong_field_count": 1},
                                                     "filtered_records": 0, "late_records": 0, "max_time": null})"));
  EXPECT_EQ(status["partitions"][1]["end_offset"], nullptr);
  EXPECT_EQ(status["samples"][0],
            json::parse(R"({"topic": "topic", "partition": 1, "offset": 4, "reason": "malformed_number", "subject": "",
                                                  "excerpt": "a|\\x1b[2J\\xff|\\xc2\\x9b|é"})"));
  EXPECT_EQ(status["shards"][2], json::parse(R"({"shard": 3, "owner": "w1", "next_owner": "w2"})"));
  EXPECT_EQ(status["readers"][1],
            json::parse(R"({"worker": "w2", "reader": "librdkafka", "reason": "the job sets client.rack"})"));
  EXPECT_EQ(status["sinks"][0], json::parse(R"({"sink": "file top.jsonl", "delivered_batch": 6, "problem": "disk full"})"));
  EXPECT_EQ(status["proof"], json::parse(R"({"kth_total": "1.5", "unseen_bound": null, "rounds": 1, "entries": 40})"));
  EXPECT_EQ(status["spec"]["score"], "0.8*clicks - 1*like");
}

TEST_F(CliTest, StatusTextHasEverythingAndNoControlCharacters) {
  driver_.jobs[0] = FullStatus();
  EXPECT_EQ(Run({"status", "popularity"}), kExitOk);
  EXPECT_THAT(out_, HasSubstr("700, bad ones among them 6: 2 wrong_field_count, 4 malformed_number"));
  EXPECT_THAT(out_, HasSubstr("librdkafka, since the job sets client.rack (w2); wire (w1)"));
  EXPECT_THAT(out_,
              HasSubstr("topic          1           10   15    5        9  3: 1 wrong_field_count, 2 malformed_number"));
  EXPECT_THAT(out_, HasSubstr("a|\\x1b[2J\\xff|\\xc2\\x9b|é"));
  EXPECT_THAT(out_, HasSubstr("w1      0-1, 3"));
  EXPECT_THAT(out_, HasSubstr("\nshard 3 moves from w1 to w2\n"));
  EXPECT_THAT(out_, HasSubstr("file top.jsonl  batch 6    disk full"));
  EXPECT_THAT(out_, HasSubstr("score: 0.8*clicks - 1*like"));
  EXPECT_THAT(out_, Not(HasSubstr("\x1b")));
}

TEST_F(CliTest, StatusSaysHowLongAJobWaits) {
  driver_.jobs[0] = FullStatus();
  driver_.jobs[0].set_state(JOB_WAITING);
  driver_.jobs[0].mutable_waiting()->set_kind(WAITING_WORKERS);
  driver_.jobs[0].mutable_waiting()->set_since_us(absl::ToUnixMicros(absl::Now() - absl::Milliseconds(3'600'000)));
  EXPECT_EQ(Run({"status", "popularity"}), kExitOk);
  EXPECT_THAT(out_, HasSubstr(" (for 1h"));
}

TEST_F(CliTest, OutputThatCannotBeWrittenIsAFailure) {
  const int full = open("/dev/full", O_WRONLY);
  EXPECT_EQ(RunTo(full, {"list"}), kExitRefused);
  close(full);
  EXPECT_EQ(err_, "tenfold: cannot write to standard output: No space left on device\n");
}

// What bash offers for the words, the last of which is being typed.
std::string Complete(const std::string& script, const std::string& words) {
  const std::string command = "bash -c 'source " + script + "; COMP_WORDS=(" + words +
                              "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _tenfold; echo \"${COMPREPLY[*]}\"'";
  FILE* pipe = popen(command.c_str(), "r");
  std::string offered;
  char buffer[4096];
  while (std::fgets(buffer, sizeof(buffer), pipe) != nullptr) offered += buffer;
  EXPECT_EQ(pclose(pipe), 0);
  return offered;
}

TEST_F(CliTest, CompletionOffersVerbsFlagsAndValues) {
  EXPECT_EQ(Run({"completion", "bash"}), kExitOk);
  const std::string script = Write(out_);
  EXPECT_EQ(Complete(script, "tenfold --driver a:1 va"), "validate\n");
  EXPECT_EQ(Complete(script, "tenfold top popularity --wa"), "--watch\n");
  EXPECT_EQ(Complete(script, "tenfold top popularity --dri"), "--driver\n");
  EXPECT_EQ(Complete(script, "tenfold list --wa"), "\n");
  EXPECT_EQ(Complete(script, "tenfold list -o j"), "json\n");
}

}  // namespace
}  // namespace tenfold
