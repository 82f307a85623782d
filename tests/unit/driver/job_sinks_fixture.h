// A job's sinks in a directory of their own, fed from a journal in memory.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "driver/sinks/job_sinks.h"
#include "gtest/gtest.h"
#include "jobs/show/result_json.h"

namespace tenfold {

namespace fs = std::filesystem;

inline BatchCommitted MakeBatch(const std::string& job_id, uint64_t batch) {
  BatchCommitted committed;
  committed.set_job_id(job_id);
  committed.set_batch(batch);
  committed.set_records(batch * 10);
  committed.add_next_offsets(static_cast<int64_t>(batch) * 10);
  return committed;
}

inline std::vector<Partition> Partitions() {
  std::vector<Partition> partitions(1);
  partitions[0].set_topic("events");
  return partitions;
}

inline std::string Line(const std::string& job_id, uint64_t batch) {
  return TopLines("popularity", Partitions(), MakeBatch(job_id, batch))[0] + "\n";
}

// Lines [first, last] of j1.
inline std::string Lines(uint64_t first, uint64_t last) {
  std::string lines;
  for (uint64_t b = first; b <= last; ++b) lines += Line("j1", b);
  return lines;
}

inline std::string ReadFile(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void WriteFile(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

inline bool WaitFor(const std::function<bool()>& condition) {
  const absl::Time deadline = absl::Now() + absl::Seconds(20);
  while (!condition()) {
    if (absl::Now() > deadline) return false;
    absl::SleepFor(absl::Milliseconds(1));
  }
  return true;
}

// Batches are all there; remembers what was delivered.
class FakeJournal : public Journal {
 public:
  absl::Status Replay(const std::function<void(const JournalRecord&)>&) const override { return absl::OkStatus(); }
  absl::Status Append(std::vector<JournalRecord>*) override { return absl::OkStatus(); }
  absl::StatusOr<BatchCommitted> ReadBatch(const std::string& job_id, uint64_t batch) const override {
    if (broken) return absl::DataLossError("the journal is damaged");
    ++reads;
    BatchCommitted made = MakeBatch(job_id, batch);
    if (refolded_at_batch != 0 && batch >= refolded_at_batch) made.set_fold(1);
    return made;
  }
  absl::StatusOr<bool> Trim(const std::string&, uint64_t) override { return true; }
  uint64_t Delivered(const std::string& job_id, const std::string& sink) const override {
    std::lock_guard lock(mutex_);
    const auto it = delivered_.find({job_id, sink});
    return it == delivered_.end() ? 0 : it->second;
  }
  absl::Status SetDelivered(const std::string& job_id, const std::string& sink, uint64_t batch) override {
    if (before_delivered) before_delivered(batch);
    std::lock_guard lock(mutex_);
    delivered_[{job_id, sink}] = batch;
    return absl::OkStatus();
  }

  std::atomic<bool> broken = false;
  mutable std::atomic<int> reads = 0;
  std::function<void(uint64_t)> before_delivered;
  // The first batch after a refold; 0 if there was none.
  uint64_t refolded_at_batch = 0;

 private:
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, std::string>, uint64_t> delivered_;
};

// Reads what goes to fd 1 while it lives.
class StdoutPipe {
 public:
  StdoutPipe() {
    fflush(stdout);
    saved_ = dup(STDOUT_FILENO);
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    reader_ = ends[0];
    dup2(ends[1], STDOUT_FILENO);
    close(ends[1]);
  }
  ~StdoutPipe() {
    CloseReader();
    dup2(saved_, STDOUT_FILENO);
    close(saved_);
  }
  // Less if the rest does not come in time.
  std::string Read(size_t size) {
    std::string text;
    while (text.size() < size) {
      char buffer[4096];
      pollfd ready{.fd = reader_, .events = POLLIN, .revents = 0};
      if (poll(&ready, 1, 20'000) == 0) break;
      const ssize_t got = read(reader_, buffer, std::min(sizeof(buffer), size - text.size()));
      if (got <= 0) break;
      text.append(buffer, static_cast<size_t>(got));
    }
    return text;
  }
  void MakeSmall() { fcntl(STDOUT_FILENO, F_SETPIPE_SZ, 4096); }
  void Fill() {
    MakeSmall();
    const std::string page(4096, 'x');
    EXPECT_EQ(write(STDOUT_FILENO, page.data(), page.size()), 4096);
  }
  void CloseReader() {
    if (reader_ >= 0) close(reader_);
    reader_ = -1;
  }

 private:
  int saved_ = -1;
  int reader_ = -1;
};

class SinksTest : public ::testing::Test {
 protected:
  SinksTest() {
    signal(SIGPIPE, SIG_IGN);
    std::string name = ::testing::TempDir() + "/sinks_XXXXXX";
    directory_ = fs::canonical(mkdtemp(name.data()));
    options_.job_id = "j1";
    options_.spec.set_name("popularity");
    places_.data_dir = directory_ + "/data";
    places_.allowed = {directory_ + "/allowed"};
    options_.places = &places_;
  }
  ~SinksTest() override {
    sinks_.reset();
    fs::remove_all(directory_);
  }

  void AddFile(const std::string& path) { options_.spec.add_sinks()->mutable_file()->set_path(path); }
  void AddStdout() { options_.spec.add_sinks()->mutable_stdout(); }
  void Start() {
    sinks_.reset();
    sinks_ = std::make_unique<JobSinks>(options_, &journal_);
  }
  void Commit(uint64_t batch) { sinks_->OnCommitted(batch, Partitions()); }
  bool WaitDelivered(uint64_t batch) {
    return WaitFor([&] { return sinks_->DeliveredByAll() >= batch; });
  }
  bool WaitProblem(const std::string& part, int sink = 0) {
    return WaitFor([&] { return Problem(sink).find(part) != std::string::npos; });
  }
  std::string Problem(int sink = 0) const { return sinks_->Status()[static_cast<size_t>(sink)].problem(); }
  fs::path JobDirectory() const { return directory_ + "/data/sinks/popularity.j1"; }
  std::string Top() const { return ReadFile(JobDirectory() / "top.jsonl"); }

  std::string directory_;
  FakeJournal journal_;
  SinkPlaces places_;
  JobSinks::Options options_;
  std::unique_ptr<JobSinks> sinks_;
};

}  // namespace tenfold
