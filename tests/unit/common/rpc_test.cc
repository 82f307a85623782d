#include "common/net/rpc.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/limits.h"
#include "driver.grpc.pb.h"
#include "gtest/gtest.h"

namespace tenfold {
namespace {

// Its answer depends on the name of the job.
class FakeDriver : public DriverService::Service {
  grpc::Status Cancel(grpc::ServerContext*, const CancelRequest* request, CancelReply* reply) override {
    if (request->job() == "missing") return ToGrpc(absl::NotFoundError("there is no job 'missing'"));
    if (request->job() == "kafka") return ToGrpc(absl::UnavailableError("Kafka at b:9092 is not reachable"));
    if (request->job() == "large") reply->set_job_id(std::string(5 << 20, 'x'));
    if (request->job() == "too large") reply->set_job_id(std::string(kMaxMessageBytes + 1, 'x'));
    return grpc::Status::OK;
  }
};

class RpcTest : public testing::Test {
 protected:
  ~RpcTest() override {
    if (server_ != nullptr) Stop();
  }

  void Start(const std::string& address = "127.0.0.1:0") {
    absl::StatusOr<std::unique_ptr<grpc::Server>> server = StartServer(address, &service_, &port_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    address_ = "127.0.0.1:" + std::to_string(port_);
  }
  void Stop() {
    server_->Shutdown(std::chrono::system_clock::now());
    server_.reset();
  }

  grpc::Status Cancel(const std::shared_ptr<grpc::Channel>& channel, const std::string& job, bool wait = false) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    context.set_wait_for_ready(wait);
    CancelRequest request;
    request.set_job(job);
    return DriverService::NewStub(channel)->Cancel(&context, request, &reply_);
  }
  grpc::Status Cancel(const std::string& job) { return Cancel(MakeChannel(address_), job); }

  FakeDriver service_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
  std::string address_;
  CancelReply reply_;
};

TEST_F(RpcTest, PortZeroTakesAFreePort) {
  Start();
  EXPECT_GT(port_, 0);
  EXPECT_TRUE(Cancel("any").ok());
}

TEST_F(RpcTest, TakenPortIsRefusedByName) {
  Start();
  int port = 0;
  FakeDriver other;
  const absl::Status status = StartServer(address_, &other, &port).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(status.message(), "cannot listen on " + address_ + ": Address already in use");
}

TEST_F(RpcTest, AddressOfAnotherHostIsRefusedByName) {
  int port = 0;
  const absl::Status status = StartServer("192.0.2.1:0", &service_, &port).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(status.message(), "cannot listen on 192.0.2.1:0: Cannot assign requested address");
}

TEST_F(RpcTest, PortIsFreeAgainAfterShutdownWithConnections) {
  Start();
  ASSERT_TRUE(Cancel("any").ok());
  Stop();
  Start(address_);
  EXPECT_TRUE(Cancel("any").ok());
}

TEST_F(RpcTest, StatusKeepsCodeAndMessageAndIsThePeersAnswer) {
  Start();
  const grpc::Status status = Cancel("missing");
  EXPECT_TRUE(IsPeersAnswer(status));
  EXPECT_EQ(FromGrpc(status, ""), absl::NotFoundError("there is no job 'missing'"));
  EXPECT_EQ(FromGrpc(status, "cancel missing"), absl::NotFoundError("cancel missing: there is no job 'missing'"));
}

TEST_F(RpcTest, PeersUnavailableDiffersFromALostConnection) {
  Start();
  EXPECT_TRUE(IsPeersAnswer(Cancel("kafka")));
  EXPECT_EQ(Cancel("kafka").error_code(), grpc::StatusCode::UNAVAILABLE);
  Stop();
  const grpc::Status lost = Cancel("kafka");
  EXPECT_FALSE(IsPeersAnswer(lost));
  EXPECT_EQ(lost.error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(RpcTest, SuccessIsAnAnswerInBothForms) {
  EXPECT_TRUE(ToGrpc(absl::OkStatus()).ok());
  EXPECT_TRUE(FromGrpc(grpc::Status::OK, "anything").ok());
  EXPECT_TRUE(IsPeersAnswer(grpc::Status::OK));
}

TEST_F(RpcTest, EveryCodeSurvivesBothWays) {
  for (int code = 1; code <= 16; ++code) {
    const absl::Status status(static_cast<absl::StatusCode>(code), "why");
    EXPECT_EQ(FromGrpc(ToGrpc(status), ""), status);
  }
}

TEST_F(RpcTest, MessagesUpToTheLimitPassAndLargerOnesFail) {
  Start();
  const grpc::Status large = Cancel("large");
  EXPECT_TRUE(large.ok()) << large.error_message();
  EXPECT_EQ(reply_.job_id().size(), 5u << 20);
  EXPECT_EQ(Cancel("too large").error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_F(RpcTest, HttpProxyIsIgnored) {
  setenv("http_proxy", "http://127.0.0.1:1", 1);
  Start();
  const grpc::Status status = Cancel("any");
  unsetenv("http_proxy");
  EXPECT_TRUE(status.ok()) << status.error_message();
}

// After failing for this long, gRPC's own backoff would pause for about four seconds.
TEST_F(RpcTest, ChannelReconnectsWithinAboutASecond) {
  Start();
  const std::shared_ptr<grpc::Channel> channel = MakeChannel(address_);
  ASSERT_TRUE(Cancel(channel, "any").ok());
  Stop();
  const absl::Time give_up = absl::Now() + absl::Milliseconds(5500);
  while (absl::Now() < give_up) {
    channel->GetState(/*try_to_connect=*/true);
    channel->WaitForStateChange(GRPC_CHANNEL_READY,
                                absl::ToChronoTime(std::min(give_up, absl::Now() + absl::Milliseconds(50))));
    EXPECT_FALSE(Cancel(channel, "any").ok());
  }
  Start(address_);
  const absl::Time started = absl::Now();
  EXPECT_TRUE(Cancel(channel, "any", /*wait=*/true).ok());
  EXPECT_LT(absl::Now() - started, absl::Seconds(2));
}

}  // namespace
}  // namespace tenfold
