#include "common/kafka/wire_connection.h"

#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/time/clock.h"
#include "common/kafka/wire_format.h"
#include "common/kafka/wire_messages.h"
#include "common/kafka/wire_security.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/common/scripted_broker.h"
#include "tests/unit/common/wire_fixture.h"

namespace tenfold {
namespace {

using testing::HasSubstr;

constexpr absl::Duration kPatience = absl::Seconds(40);
constexpr auto kVersions = static_cast<int16_t>(WireCall::kApiVersions);

absl::StatusOr<std::string> AskVersions(const Address& broker, const WireSession& session, const std::string& question) {
  const absl::Time deadline = absl::Now() + kPatience;
  absl::StatusOr<WireConnection> connection = WireConnection::Connect(broker, session, deadline);
  if (!connection.ok()) return connection.status();
  return connection->Call(kVersions, kApiVersionsVersion, question, deadline);
}

TEST(WireConnectionTest, WhoLogsInCallsItselfAsTheJobSays) {
  std::string client;
  {
    // Its thread has ended behind this block.
    ScriptedBroker broker([&client](const ScriptedQuestion& question) {
      client = question.client;
      return ScriptedReply{.pieces = {}, .closes = true};
    });
    broker.Start();
    const auto failed = AskVersions(broker.address(), {.client_id = "ranking", .login = {{"PLAIN", "me", "secret"}}}, "");
    EXPECT_EQ(failed.status().code(), absl::StatusCode::kUnavailable) << failed.status();
  }
  EXPECT_EQ(client, "ranking");
}

// Anybody may listen there.
TEST(WireConnectionTest, ALongAnswerBeforeTheLoginIsDoneIsNone) {
  ScriptedBroker broker([](const ScriptedQuestion& question) { return Answer(question, std::string(100'000, '\0')); });
  broker.Start();
  const auto failed = AskVersions(broker.address(), {.login = {{"PLAIN", "me", "secret"}}}, "");
  EXPECT_THAT(std::string(failed.status().message()), HasSubstr("its answer has 100004 bytes"));
}

// ---- TLS ----

// A server of TLS for one connection, with a certificate of its own making or none, that does what it is told to with it.
class TlsServer {
 public:
  enum class Certificate { kNone, kOwn };

  template <typename Serve>
  TlsServer(Certificate certificate, Serve serve) : context_(SSL_CTX_new(TLS_server_method()), SSL_CTX_free) {
    if (certificate == Certificate::kOwn) {
      Certify();
    } else {
      SSL_CTX_set_max_proto_version(context_.get(), TLS1_2_VERSION);
      SSL_CTX_set_cipher_list(context_.get(), "aNULL:@SECLEVEL=0");
      SSL_CTX_set_dh_auto(context_.get(), 1);
    }
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    // Small, so that a client has to wait before it has sent all.
    const int bytes = 4096;
    setsockopt(listener_, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
    port_ = ListenOnLoopback(listener_, 1);
    thread_ = std::jthread([this, serve] {
      const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      const std::unique_ptr<SSL, decltype(&SSL_free)> ssl(SSL_new(context_.get()), SSL_free);
      SSL_set_fd(ssl.get(), fd);
      if (SSL_accept(ssl.get()) == 1) serve(ssl.get());
      close(fd);
    });
  }
  ~TlsServer() {
    // The thread ends if it still waits for a connection.
    shutdown(listener_, SHUT_RDWR);
    thread_.join();
    close(listener_);
  }
  TlsServer(const TlsServer&) = delete;
  TlsServer& operator=(const TlsServer&) = delete;

  Address address() const { return {"127.0.0.1", port_}; }

 private:
  void Certify() {
    const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_EC_gen("P-256"), EVP_PKEY_free);
    const std::unique_ptr<X509, decltype(&X509_free)> certificate(X509_new(), X509_free);
    X509_gmtime_adj(X509_getm_notBefore(certificate.get()), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
    X509_set_pubkey(certificate.get(), key.get());
    EXPECT_GT(X509_sign(certificate.get(), key.get(), EVP_sha256()), 0);
    EXPECT_EQ(SSL_CTX_use_certificate(context_.get(), certificate.get()), 1);
    EXPECT_EQ(SSL_CTX_use_PrivateKey(context_.get(), key.get()), 1);
  }

  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_;
  int listener_ = -1;
  int port_ = 0;
  // Uses what is above.
  std::jthread thread_;
};

WireSession TlsSession(std::map<std::string, std::string> properties) {
  const absl::StatusOr<std::shared_ptr<const TlsContext>> context = TlsContext::Create(properties);
  EXPECT_TRUE(context.ok()) << context.status();
  return {.tls = context.ok() ? *context : nullptr};
}

TEST(WireConnectionTest, AQuestionThatTheSocketTakesByPiecesIsSentWholeOverTls) {
  const std::string question(8 << 20, 'q');
  const TlsServer server(TlsServer::Certificate::kOwn, [size = question.size()](SSL* ssl) {
    std::string received;
    // The length and the header with its client's name come before it.
    while (received.size() < size + 4 + 8 + 2 + 7 + 1) {
      char bytes[16384];
      const int got = SSL_read(ssl, bytes, sizeof(bytes));
      if (got <= 0) return;
      received.append(bytes, static_cast<size_t>(got));
    }
    WireOutput answer;
    answer.Add(int32_t{1});
    const std::string framed = Framed(answer.bytes() + "answer");
    SSL_write(ssl, framed.data(), static_cast<int>(framed.size()));
  });
  const auto answer =
      AskVersions(server.address(), TlsSession({{"enable.ssl.certificate.verification", "false"}}), question);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(*answer, "answer");
}

// Such ciphers say nothing of who the broker is.
TEST(WireConnectionTest, ABrokerWithoutACertificateIsNotBelieved) {
  const std::map<std::string, std::string> ciphers = {{"ssl.cipher.suites", "aNULL:@SECLEVEL=0"}};
  const auto idle = [](SSL*) {};
  const TlsServer server(TlsServer::Certificate::kNone, idle);
  const auto failed = AskVersions(server.address(), TlsSession(ciphers), "");
  EXPECT_THAT(std::string(failed.status().message()), HasSubstr("cannot be reached by TLS: it has no certificate"));
}

}  // namespace
}  // namespace tenfold
