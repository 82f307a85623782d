#include "common/kafka/wire_connection.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/kafka/wire_format.h"

namespace tenfold {
namespace {

constexpr uint32_t kMaxAnswer = 16 << 20;
constexpr char kClientId[] = "tenfold";

using Addresses = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

absl::Status Unavailable(const std::string& broker, std::string_view reason) {
  return absl::UnavailableError(absl::StrCat("broker ", broker, ": ", std::string(reason)));
}

// A look-up that goes on without us where its time is over; then it is never freed.
struct LookUp {
  std::string host, port;
  addrinfo hints{};
  gaicb request{};
};

// The system's resolver has no deadline, and may hang for a minute.
absl::StatusOr<Addresses> Resolve(const Address& broker, absl::Time deadline) {
  auto look_up = std::make_unique<LookUp>();
  look_up->host = broker.host;
  look_up->port = absl::StrCat(broker.port);
  look_up->hints.ai_socktype = SOCK_STREAM;
  look_up->request.ar_name = look_up->host.c_str();
  look_up->request.ar_service = look_up->port.c_str();
  look_up->request.ar_request = &look_up->hints;
  gaicb* requests[] = {&look_up->request};
  if (getaddrinfo_a(GAI_NOWAIT, requests, 1, nullptr) != 0) return Unavailable(broker.ToString(), "cannot be looked up");
  int error = EAI_INPROGRESS;
  while ((error = gai_error(&look_up->request)) == EAI_INPROGRESS && absl::Now() < deadline) {
    const timespec left = absl::ToTimespec(std::max(deadline - absl::Now(), absl::ZeroDuration()));
    gai_suspend(requests, 1, &left);
  }
  if (error == EAI_INPROGRESS) {
    if (gai_cancel(&look_up->request) != EAI_CANCELED) look_up.release();
    return Unavailable(broker.ToString(), "its name is not looked up in time");
  }
  if (error != 0) return Unavailable(broker.ToString(), gai_strerror(error));
  return Addresses(look_up->request.ar_result, &freeaddrinfo);
}

// Returns whether the socket is ready before the deadline.
bool Ready(int fd, short events, absl::Time deadline) {
  pollfd poll_fd{fd, events, 0};
  while (absl::Now() < deadline) {
    const auto left = absl::ToInt64Milliseconds(std::min(deadline - absl::Now(), absl::Hours(1)));
    const int ready = poll(&poll_fd, 1, static_cast<int>(left) + 1);
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
  return false;
}

}  // namespace

absl::StatusOr<WireConnection> WireConnection::Connect(const Address& broker, absl::Time deadline) {
  const absl::StatusOr<Addresses> addresses = Resolve(broker, deadline);
  if (!addresses.ok()) return addresses.status();
  std::string reason = "has no address";
  for (const addrinfo* address = addresses->get(); address != nullptr; address = address->ai_next) {
    const int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, address->ai_protocol);
    if (fd < 0) {
      reason = std::strerror(errno);
      continue;
    }
    WireConnection connection(broker.ToString(), fd);
    int error = connect(fd, address->ai_addr, address->ai_addrlen) == 0 ? 0 : errno;
    if (error == EINPROGRESS) {
      socklen_t size = sizeof(error);
      if (!Ready(fd, POLLOUT, deadline)) {
        error = ETIMEDOUT;
      } else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
        error = errno;
      }
    }
    if (error == 0) return connection;
    reason = std::strerror(error);
  }
  return Unavailable(broker.ToString(), reason);
}

WireConnection::~WireConnection() {
  if (fd_ >= 0) close(fd_);
}

absl::StatusOr<std::string> WireConnection::Call(int16_t call, int16_t version, std::string_view question,
                                                 absl::Time deadline) {
  const int32_t correlation = ++last_;
  WireOutput header;
  header.Add(call);
  header.Add(version);
  header.Add(correlation);
  header.AddString(kClientId);
  header.AddNoTags();
  WireOutput size;
  size.Add(static_cast<int32_t>(header.bytes().size() + question.size()));
  if (absl::Status sent = Write(absl::StrCat(size.bytes(), header.bytes(), std::string(question)), deadline); !sent.ok())
    return sent;
  const absl::StatusOr<std::string> prefix = Read(sizeof(int32_t), deadline);
  if (!prefix.ok()) return prefix.status();
  const auto answer_size = WireInput(*prefix).Take<uint32_t>();
  if (answer_size > kMaxAnswer) return Unavailable(broker_, absl::StrCat("answers with ", answer_size, " bytes"));
  absl::StatusOr<std::string> answer = Read(answer_size, deadline);
  if (!answer.ok()) return answer;
  // The header: the correlation id, and no tags.
  constexpr size_t kHeader = sizeof(int32_t) + 1;
  WireInput in(*answer);
  if (in.Take<int32_t>() != correlation || in.TakeVarint() != 0 || in.failed())
    return Unavailable(broker_, "its answer is to another question");
  return answer->substr(kHeader);
}

absl::Status WireConnection::Write(std::string_view bytes, absl::Time deadline) const {
  while (!bytes.empty()) {
    if (!Ready(fd_, POLLOUT, deadline)) return Unavailable(broker_, "takes no question in time");
    const ssize_t written = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (written < 0 && errno != EINTR && errno != EAGAIN) return Unavailable(broker_, std::strerror(errno));
    if (written > 0) bytes.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> WireConnection::Read(size_t size, absl::Time deadline) const {
  std::string bytes(size, '\0');
  for (size_t done = 0; done < size;) {
    if (!Ready(fd_, POLLIN, deadline)) return Unavailable(broker_, "does not answer in time");
    const ssize_t got = recv(fd_, bytes.data() + done, size - done, 0);
    if (got == 0) return Unavailable(broker_, "closed the connection");
    if (got < 0 && errno != EINTR && errno != EAGAIN) return Unavailable(broker_, std::strerror(errno));
    if (got > 0) done += static_cast<size_t>(got);
  }
  return bytes;
}

}  // namespace tenfold
