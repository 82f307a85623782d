// A connection to a broker that never waits: its user polls the descriptor. One question is under way at a time. Used by one
// thread at a time; errors follow the broker's name.
#pragma once

#include <netdb.h>
#include <poll.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/kafka/wire_buffer.h"
#include "common/kafka/wire_login.h"
#include "common/kafka/wire_security.h"
#include "common/kafka/wire_tls.h"
#include "common/text/address.h"

namespace tenfold {

class WireSocket {
 public:
  // Begins to look up the broker's name, to connect and to log in.
  explicit WireSocket(const Address& broker, WireSession session = {});
  ~WireSocket();
  WireSocket(const WireSocket&) = delete;
  WireSocket& operator=(const WireSocket&) = delete;

  // What to poll for, with descriptor -1 while the name is looked up: then Advance is to be called every few milliseconds.
  pollfd Awaited() const;
  // Goes on to connect, to log in and to send, as far as it can without waiting.
  absl::Status Advance();
  // Whether it is connected and logged in. A login that ends is made again with the next question.
  bool is_open() const { return state_ == State::kOpen; }

  // Sends the question with the next Advance. The one before was answered. It is open, or was once.
  void Ask(WireQuestion question);
  // Receives as much as is there. Returns whether the whole answer is in the buffer, which must be the same until then.
  // UNAVAILABLE if the broker has closed the connection, or answers with what is no answer, unasked or too long a one.
  absl::StatusOr<bool> Receive(WireBuffer* buffer);
  // How much has been received, over all answers.
  uint64_t received() const { return all_received_; }
  // The answer behind its header, in the buffer that Receive filled.
  std::string_view Answer(const WireBuffer& buffer) const { return buffer.view().substr(header_bytes_); }

 private:
  enum class State { kLookingUp, kConnecting, kHandshaking, kLoggingIn, kOpen };
  struct LookUp;
  // Keeps a look-up that the system goes on with, until another one is kept after it has ended. Thread-safe.
  static void Keep(std::unique_ptr<LookUp> look_up);
  using Clock = std::chrono::steady_clock;

  // Begins to connect to the next of the addresses that were found.
  absl::Status ConnectNext(std::string why);
  void Close();
  // Goes on to connect, and with the handshake of TLS, as far as it can.
  absl::Status Connect();
  absl::Status ShakeHands();
  void BeginLogin();
  void AskForLogin(const WireQuestion& question);
  absl::Status LogIn();
  absl::Status Flush();
  // Puts a question in line to be sent.
  void Send(const WireQuestion& question);
  absl::StatusOr<bool> ReceiveAnswer(WireBuffer* buffer);
  // Returns how many bytes came, or were taken: 0 if none could without waiting.
  absl::StatusOr<size_t> Read(char* to, size_t most);
  absl::StatusOr<size_t> Write(const char* from, size_t bytes);

  const std::string host_;
  const WireSession session_;
  State state_ = State::kLookingUp;
  std::unique_ptr<LookUp> look_up_;
  // The addresses that were found, in the order in which they are tried, and which is the next one.
  std::vector<const addrinfo*> addresses_;
  size_t next_ = 0;
  int fd_ = -1;
  std::optional<TlsStream> tls_;

  // The login under way, what is asked once it is done, and when it has to be made again.
  std::optional<WireLogin> login_;
  WireBuffer login_answer_;
  int16_t login_version_ = -1;
  std::optional<WireQuestion> after_login_;
  Clock::time_point login_ends_ = Clock::time_point::max();

  std::string unsent_;
  // An answer is under way, of at most so many bytes.
  bool is_awaiting_ = false;
  int32_t most_ = 0;
  // The number of the last question.
  int32_t correlation_ = 0;
  size_t header_bytes_ = 0;
  // Of the answer's length, which comes first, and of the answer.
  char length_[4] = {};
  size_t length_received_ = 0;
  size_t received_ = 0;
  uint64_t all_received_ = 0;
};

}  // namespace tenfold
