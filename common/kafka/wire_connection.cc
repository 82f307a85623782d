#include "common/kafka/wire_connection.h"

#include <poll.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/kafka/wire_socket.h"

namespace tenfold {
namespace {

// How often it is asked whether a name was looked up.
constexpr absl::Duration kLookUpPause = absl::Milliseconds(5);

}  // namespace

absl::StatusOr<WireConnection> WireConnection::Connect(const Address& broker, const WireSession& session,
                                                       absl::Time deadline) {
  WireConnection connection(broker, session);
  while (!connection.socket_->is_open()) {
    if (absl::Status waited = connection.Wait(deadline, "cannot be reached in time"); !waited.ok()) return waited;
  }
  return connection;
}

WireConnection::WireConnection(const Address& broker, const WireSession& session)
    : broker_(broker.ToString()), socket_(std::make_unique<WireSocket>(broker, session)) {}
WireConnection::WireConnection(WireConnection&&) noexcept = default;
WireConnection::~WireConnection() = default;

absl::Status WireConnection::Wait(absl::Time deadline, std::string_view late) {
  const absl::Duration left = deadline - absl::Now();
  if (left <= absl::ZeroDuration()) return Named(absl::UnavailableError(std::string(late)));
  pollfd awaited = socket_->Awaited();
  const absl::Duration wait = std::min(left, awaited.fd < 0 ? kLookUpPause : absl::Hours(1));
  poll(&awaited, 1, static_cast<int>(absl::ToInt64Milliseconds(wait)) + 1);
  return Named(socket_->Advance());
}

absl::Status WireConnection::Named(const absl::Status& status) const {
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat("broker ", broker_, " ", std::string(status.message())));
}

absl::StatusOr<std::string> WireConnection::Call(int16_t call, int16_t version, std::string_view question,
                                                 absl::Time deadline) {
  socket_->Ask({.call = call, .version = version, .text = std::string(question)});
  if (absl::Status sent = socket_->Advance(); !sent.ok()) return Named(sent);
  WireBuffer answer;
  while (true) {
    const absl::StatusOr<bool> whole = socket_->Receive(&answer);
    if (!whole.ok()) return Named(whole.status());
    if (*whole) return std::string(socket_->Answer(answer));
    if (absl::Status waited = Wait(deadline, "does not answer in time"); !waited.ok()) return waited;
  }
}

}  // namespace tenfold
