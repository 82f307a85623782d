// A worker in this process and a driver that answers its heartbeats as it is told: what a worker does around its jobs.
#include "worker/worker.h"

#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "common/net/rpc.h"
#include "driver.grpc.pb.h"
#include "gtest/gtest.h"
#include "worker/store/state_store.h"

namespace {
// Whoever makes files durable waits while this is set.
std::atomic<bool> syncs_wait = false;
std::atomic<bool> sync_waits = false;

void WaitToSync() {
  while (syncs_wait) {
    sync_waits = true;
    absl::SleepFor(absl::Milliseconds(1));
  }
}
}  // namespace

extern "C" int fsync(int fd) {
  WaitToSync();
  return static_cast<int>(syscall(SYS_fsync, fd));
}
extern "C" int fdatasync(int fd) {
  WaitToSync();
  return static_cast<int>(syscall(SYS_fdatasync, fd));
}

namespace tenfold {
namespace {

namespace fs = std::filesystem;

class FakeDriver : public DriverService::Service {
 public:
  grpc::Status Heartbeat(grpc::ServerContext* context, const HeartbeatRequest* request, HeartbeatReply* reply) override {
    reply->set_cluster_id("cluster");
    reply->set_epoch(1);
    reply->set_lease_ms(lease_ms);
    if (drops_jobs) *reply->mutable_dropped_job_ids() = request->job_ids();
    jobs = request->job_ids_size();
    ++beats;
    while (silent && !context->IsCancelled()) absl::SleepFor(absl::Milliseconds(1));
    return grpc::Status::OK;
  }

  std::atomic<uint32_t> lease_ms = 60;
  std::atomic<bool> drops_jobs = false;
  std::atomic<bool> silent = false;
  std::atomic<int> beats = 0;
  // In the last one.
  std::atomic<int> jobs = 0;
};

class WorkerTest : public ::testing::Test {
 protected:
  WorkerTest() {
    std::string name = ::testing::TempDir() + "/worker_XXXXXX";
    options_.data_dir = mkdtemp(name.data());
    options_.advertise = "127.0.0.1:1";
    int port = 0;
    auto server = StartServer("127.0.0.1:0", &driver_, &port);
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    options_.driver = "127.0.0.1:" + std::to_string(port);
  }
  ~WorkerTest() override {
    syncs_wait = false;
    worker_.reset();
    server_->Shutdown();
    fs::remove_all(options_.data_dir);
  }

  // As an earlier process left it.
  void StoreAShardOf(const std::vector<std::string>& jobs) {
    auto store = StateStore::Open(options_.data_dir);
    ASSERT_TRUE(store.ok()) << store.status();
    for (const std::string& job : jobs) {
      ShardStore::NewShard shard;
      shard.state.mutable_id()->set_cluster_id("cluster");
      shard.state.mutable_id()->set_job_id(job);
      ASSERT_TRUE((*store)->Create(std::vector{shard}).ok());
    }
  }
  void Start() {
    auto worker = Worker::Create(options_);
    ASSERT_TRUE(worker.ok()) << worker.status();
    worker_ = *std::move(worker);
    const absl::Status opened = worker_->OpenStates();
    ASSERT_TRUE(opened.ok()) << opened;
    worker_->StartHeartbeat([](const absl::Status& status) { ADD_FAILURE() << status; });
  }
  static bool WaitFor(const std::function<bool()>& condition) {
    const absl::Time deadline = absl::Now() + absl::Seconds(20);
    while (!condition()) {
      if (absl::Now() > deadline) return false;
      absl::SleepFor(absl::Milliseconds(1));
    }
    return true;
  }
  bool WaitForBeats(int number) {
    const int before = driver_.beats;
    return WaitFor([&] { return driver_.beats >= before + number; });
  }

  Worker::Options options_;
  FakeDriver driver_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<Worker> worker_;
};

TEST_F(WorkerTest, AJobThatTakesLongToDropHoldsUpNoHeartbeat) {
  StoreAShardOf({"j1", "j2"});
  Start();
  ASSERT_TRUE(WaitForBeats(2));
  EXPECT_EQ(driver_.jobs, 2);
  syncs_wait = true;
  driver_.drops_jobs = true;
  ASSERT_TRUE(WaitFor([] { return sync_waits.load(); }));
  // Each of them is told once more to drop the second job.
  EXPECT_TRUE(WaitForBeats(5));
  EXPECT_EQ(driver_.jobs, 1);
  syncs_wait = false;
  EXPECT_TRUE(WaitFor([&] { return driver_.jobs == 0; }));
}

TEST_F(WorkerTest, StopsAlthoughTheDriverDoesNotAnswer) {
  driver_.silent = true;
  Start();
  ASSERT_TRUE(WaitForBeats(1));
  const absl::Time start = absl::Now();
  worker_->Stop();
  // Otherwise half a lease: 1.5 s, as long as the driver has not named its own.
  EXPECT_LT(absl::Now() - start, absl::Seconds(1));
}

}  // namespace
}  // namespace tenfold
