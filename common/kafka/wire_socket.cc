#include "common/kafka/wire_socket.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/kafka/wire_format.h"
#include "common/kafka/wire_messages.h"

namespace tenfold {
namespace {

// A longer answer is none: 64 MiB, and for a Fetch the largest batch that is read besides.
constexpr int32_t kMostAnswer = 64 << 20;
constexpr int32_t kMostFetched = (1 << 30) + kMostAnswer;

absl::Status Unavailable(std::string_view reason) { return absl::UnavailableError(std::string(reason)); }

}  // namespace

// A look-up, which the system may go on with after its object wants to end; then it is never freed.
struct WireSocket::LookUp {
  ~LookUp() { freeaddrinfo(request.ar_result); }
  std::string host, port;
  addrinfo hints{};
  gaicb request{};
};

WireSocket::WireSocket(const Address& broker) : look_up_(std::make_unique<LookUp>()) {
  look_up_->host = broker.host;
  look_up_->port = absl::StrCat(broker.port);
  look_up_->hints.ai_socktype = SOCK_STREAM;
  look_up_->request.ar_name = look_up_->host.c_str();
  look_up_->request.ar_service = look_up_->port.c_str();
  look_up_->request.ar_request = &look_up_->hints;
  gaicb* requests[] = {&look_up_->request};
  // The system's resolver may hang for a minute, so it works beside. What it refuses shows in Advance.
  getaddrinfo_a(GAI_NOWAIT, requests, 1, nullptr);
}

WireSocket::~WireSocket() {
  Close();
  if (state_ != State::kLookingUp || gai_error(&look_up_->request) != EAI_INPROGRESS) return;
  if (gai_cancel(&look_up_->request) == EAI_NOTCANCELED) look_up_.release();
}

void WireSocket::Close() {
  if (fd_ >= 0) close(std::exchange(fd_, -1));
}

pollfd WireSocket::Awaited() const {
  const bool writes = state_ == State::kConnecting || !unsent_.empty();
  return {fd_, static_cast<short>(writes ? POLLIN | POLLOUT : POLLIN), 0};
}

absl::Status WireSocket::ConnectNext(std::string why) {
  for (; next_ != nullptr; next_ = static_cast<addrinfo*>(next_)->ai_next) {
    const auto* address = static_cast<const addrinfo*>(next_);
    Close();
    fd_ = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, address->ai_protocol);
    if (fd_ >= 0 && (connect(fd_, address->ai_addr, address->ai_addrlen) == 0 || errno == EINPROGRESS)) {
      next_ = address->ai_next;
      state_ = State::kConnecting;
      return absl::OkStatus();
    }
    why = std::strerror(errno);
  }
  Close();
  return Unavailable(absl::StrCat("cannot be reached: ", why));
}

absl::Status WireSocket::Advance() {
  if (state_ == State::kLookingUp) {
    const int error = gai_error(&look_up_->request);
    if (error == EAI_INPROGRESS) return absl::OkStatus();
    if (error != 0) return Unavailable(absl::StrCat("cannot be looked up: ", gai_strerror(error)));
    next_ = look_up_->request.ar_result;
    return ConnectNext("its name has no address");
  }
  if (state_ == State::kConnecting) {
    pollfd connected{fd_, POLLOUT, 0};
    if (poll(&connected, 1, 0) <= 0) return absl::OkStatus();
    int error = 0;
    socklen_t size = sizeof(error);
    if (getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
    if (error != 0) return ConnectNext(std::strerror(error));
    const int on = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    state_ = State::kOpen;
  }
  while (!unsent_.empty()) {
    const ssize_t sent = send(fd_, unsent_.data(), unsent_.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
    if (sent < 0) return Unavailable(absl::StrCat("takes no question: ", std::strerror(errno)));
    unsent_.erase(0, static_cast<size_t>(sent));
  }
  return absl::OkStatus();
}

void WireSocket::Ask(int16_t call, int16_t version, std::string_view client_id, std::string_view question) {
  WireOutput header;
  header.Add(call);
  header.Add(version);
  header.Add(++correlation_);
  header.AddString(client_id);
  header.AddNoTags();
  WireOutput length;
  length.Add(static_cast<int32_t>(header.bytes().size() + question.size()));
  unsent_ = absl::StrCat(length.bytes(), header.bytes(), std::string(question));
  // The answer to ApiVersions has the oldest header, as a broker that does not know its version could not tell.
  header_bytes_ = call == static_cast<int16_t>(WireCall::kApiVersions) ? 4 : 5;
  length_received_ = received_ = 0;
  is_awaiting_ = true;
  most_ = call == static_cast<int16_t>(WireCall::kFetch) ? kMostFetched : kMostAnswer;
}

absl::StatusOr<bool> WireSocket::Receive(WireBuffer* buffer) {
  if (!is_awaiting_) {
    char unasked = 0;
    const ssize_t got = recv(fd_, &unasked, 1, 0);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return false;
    return Unavailable(got > 0 ? "sends what nobody asked for" : "has closed the connection");
  }
  while (true) {
    const bool in_length = length_received_ < sizeof(length_);
    char* const to = in_length ? length_ + length_received_ : buffer->data() + received_;
    const size_t most = in_length ? sizeof(length_) - length_received_ : buffer->size() - received_;
    const ssize_t got = recv(fd_, to, most, 0);
    if (got == 0) return Unavailable("has closed the connection");
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return false;
    if (got < 0) return Unavailable(std::strerror(errno));
    (in_length ? length_received_ : received_) += static_cast<size_t>(got);
    all_received_ += static_cast<uint64_t>(got);
    if (in_length) {
      if (length_received_ < sizeof(length_)) continue;
      const auto length = WireInput(std::string_view(length_, sizeof(length_))).Take<int32_t>();
      if (length < static_cast<int32_t>(header_bytes_) || length > most_ || !unsent_.empty())
        return Unavailable(absl::StrCat("does not speak Kafka's protocol here, or not as plaintext: its answer has ",
                                        static_cast<uint32_t>(length), " bytes"));
      buffer->Resize(static_cast<size_t>(length));
      continue;
    }
    if (received_ < buffer->size()) continue;
    WireInput in(buffer->view());
    const auto correlation = in.Take<int32_t>();
    if (correlation != correlation_ || (header_bytes_ > 4 && in.TakeVarint() != 0))
      return Unavailable("answers another question than it was asked");
    is_awaiting_ = false;
    return true;
  }
}

}  // namespace tenfold
