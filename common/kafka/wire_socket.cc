#include "common/kafka/wire_socket.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/rand.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/kafka/wire_format.h"
#include "common/kafka/wire_messages.h"
#include "common/thread/mutex.h"
#include "glog/logging.h"

namespace tenfold {
namespace {

// A longer answer is none: 64 MiB, and for a Fetch the largest batch that is read besides.
constexpr int32_t kMostAnswer = 64 << 20;
constexpr int32_t kMostFetched = (1 << 30) + kMostAnswer;
// The longest answer that is read before a login is done, as anybody may be listening there.
constexpr int32_t kMostOfLogin = 64 << 10;

// Of a login's time, after so much it is made again.
constexpr double kLoginUsed = 0.85;
constexpr int64_t kMostLifetimeMs = int64_t{30} * 24 * 3600 * 1000;

absl::Status Unavailable(std::string_view reason) { return absl::UnavailableError(std::string(reason)); }

// Nobody can guess it.
std::string Nonce() {
  std::array<unsigned char, 24> bytes{};
  CHECK_EQ(RAND_bytes(bytes.data(), static_cast<int>(bytes.size())), 1) << "OpenSSL has no random numbers";
  return absl::Base64Escape(absl::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

}  // namespace

// A look-up, which the system may go on with after its object wants to end.
struct WireSocket::LookUp {
  ~LookUp() { freeaddrinfo(request.ar_result); }
  // Begins at any of them, as the first one may hang and each connection has but one try.
  std::vector<const addrinfo*> Addresses() const {
    std::vector<const addrinfo*> addresses;
    for (const addrinfo* address = request.ar_result; address != nullptr; address = address->ai_next)
      addresses.push_back(address);
    if (addresses.size() < 2) return addresses;
    const size_t first = std::random_device()() % addresses.size();
    std::rotate(addresses.begin(), addresses.begin() + static_cast<std::ptrdiff_t>(first), addresses.end());
    return addresses;
  }
  std::string host, port;
  addrinfo hints{};
  gaicb request{};
};

WireSocket::WireSocket(const Address& broker, WireSession session)
    : host_(broker.host), session_(std::move(session)), look_up_(std::make_unique<LookUp>()) {
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
  if (gai_cancel(&look_up_->request) == EAI_NOTCANCELED) Keep(std::move(look_up_));
}

void WireSocket::Keep(std::unique_ptr<LookUp> look_up) {
  static Mutex* const mutex = new Mutex;
  static auto* const kept = new std::vector<std::unique_ptr<LookUp>>;
  const MutexLock lock(mutex);
  std::erase_if(*kept, [](const auto& before) { return gai_error(&before->request) != EAI_INPROGRESS; });
  kept->push_back(std::move(look_up));
}

void WireSocket::Close() {
  if (fd_ >= 0) close(std::exchange(fd_, -1));
}

pollfd WireSocket::Awaited() const {
  const bool writes = state_ == State::kConnecting || !unsent_.empty() || (tls_ && tls_->wants_to_write());
  return {fd_, static_cast<short>(writes ? POLLIN | POLLOUT : POLLIN), 0};
}

absl::Status WireSocket::ConnectNext(std::string why) {
  while (next_ < addresses_.size()) {
    const addrinfo* const address = addresses_[next_++];
    Close();
    fd_ = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, address->ai_protocol);
    if (fd_ >= 0 && (connect(fd_, address->ai_addr, address->ai_addrlen) == 0 || errno == EINPROGRESS)) {
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
    addresses_ = look_up_->Addresses();
    return ConnectNext("its name has no address");
  }
  if (state_ == State::kConnecting) {
    if (absl::Status connected = Connect(); !connected.ok()) return connected;
  }
  if (state_ == State::kHandshaking) {
    if (absl::Status shaken = ShakeHands(); !shaken.ok()) return shaken;
  }
  if (state_ == State::kLoggingIn) {
    if (absl::Status logged_in = LogIn(); !logged_in.ok()) return logged_in;
  }
  return state_ == State::kLoggingIn || state_ == State::kOpen ? Flush() : absl::OkStatus();
}

absl::Status WireSocket::Connect() {
  pollfd connected{fd_, POLLOUT, 0};
  if (poll(&connected, 1, 0) <= 0) return absl::OkStatus();
  int error = 0;
  socklen_t size = sizeof(error);
  if (getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  if (error != 0) return ConnectNext(std::strerror(error));
  const int on = 1;
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  state_ = State::kHandshaking;
  if (session_.tls != nullptr) tls_.emplace(*session_.tls, fd_, host_);
  return absl::OkStatus();
}

absl::Status WireSocket::ShakeHands() {
  if (tls_) {
    const absl::StatusOr<bool> done = tls_->Handshake();
    if (!done.ok()) return done.status();
    if (!*done) return absl::OkStatus();
  }
  state_ = State::kOpen;
  if (session_.login) BeginLogin();
  return absl::OkStatus();
}

void WireSocket::BeginLogin() {
  state_ = State::kLoggingIn;
  login_.emplace(*session_.login, Nonce(), login_version_);
  AskForLogin(login_->First());
}

void WireSocket::AskForLogin(const WireQuestion& question) {
  Send(question);
  most_ = kMostOfLogin;
}

absl::Status WireSocket::LogIn() {
  while (true) {
    if (absl::Status flushed = Flush(); !flushed.ok()) return flushed;
    const absl::StatusOr<bool> whole = ReceiveAnswer(&login_answer_);
    if (!whole.ok()) return whole.status();
    if (!*whole) return absl::OkStatus();
    const absl::StatusOr<std::optional<WireQuestion>> next = login_->OnAnswer(Answer(login_answer_));
    if (!next.ok()) return next.status();
    if (!*next) break;
    AskForLogin(**next);
  }
  login_ends_ = Clock::time_point::max();
  const auto lifetime = std::chrono::milliseconds(std::min(login_->lifetime_ms(), kMostLifetimeMs));
  if (lifetime.count() > 0) login_ends_ = Clock::now() + std::chrono::duration_cast<Clock::duration>(kLoginUsed * lifetime);
  login_version_ = login_->version();
  login_.reset();
  state_ = State::kOpen;
  if (after_login_) Send(*after_login_);
  after_login_.reset();
  return absl::OkStatus();
}

absl::Status WireSocket::Flush() {
  while (!unsent_.empty()) {
    const absl::StatusOr<size_t> sent = Write(unsent_.data(), unsent_.size());
    if (!sent.ok()) return sent.status();
    if (*sent == 0) break;
    unsent_.erase(0, *sent);
  }
  return absl::OkStatus();
}

absl::StatusOr<size_t> WireSocket::Write(const char* from, size_t bytes) {
  if (tls_) return tls_->Write(from, bytes);
  while (true) {
    const ssize_t sent = send(fd_, from, bytes, MSG_NOSIGNAL);
    if (sent >= 0) return static_cast<size_t>(sent);
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return size_t{0};
    return Unavailable(absl::StrCat("takes no question: ", std::strerror(errno)));
  }
}

absl::StatusOr<size_t> WireSocket::Read(char* to, size_t most) {
  if (tls_) return tls_->Read(to, most);
  while (true) {
    const ssize_t got = recv(fd_, to, most, 0);
    if (got > 0) return static_cast<size_t>(got);
    if (got == 0) return Unavailable("has closed the connection");
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return size_t{0};
    return Unavailable(std::strerror(errno));
  }
}

void WireSocket::Ask(WireQuestion question) {
  if (Clock::now() < login_ends_) return Send(question);
  after_login_ = std::move(question);
  BeginLogin();
}

void WireSocket::Send(const WireQuestion& question) {
  WireOutput header;
  header.Add(question.call);
  header.Add(question.version);
  header.Add(++correlation_);
  header.AddString(session_.client_id);
  if (question.flexible) header.AddNoTags();
  WireOutput length;
  length.Add(static_cast<int32_t>(header.bytes().size() + question.text.size()));
  unsent_ = absl::StrCat(length.bytes(), header.bytes(), question.text);
  // The answer to ApiVersions has the oldest header, as a broker that does not know its version could not tell.
  header_bytes_ = question.flexible && question.call != static_cast<int16_t>(WireCall::kApiVersions) ? 5 : 4;
  length_received_ = received_ = 0;
  is_awaiting_ = true;
  most_ = question.call == static_cast<int16_t>(WireCall::kFetch) ? kMostFetched : kMostAnswer;
}

absl::StatusOr<bool> WireSocket::Receive(WireBuffer* buffer) {
  // What comes is the login's.
  if (state_ != State::kOpen) return false;
  if (is_awaiting_) return ReceiveAnswer(buffer);
  char unasked = 0;
  const absl::StatusOr<size_t> got = Read(&unasked, 1);
  if (!got.ok()) return got.status();
  if (*got > 0) return Unavailable("sends what nobody asked for");
  return false;
}

absl::StatusOr<bool> WireSocket::ReceiveAnswer(WireBuffer* buffer) {
  while (true) {
    const bool in_length = length_received_ < sizeof(length_);
    char* const to = in_length ? length_ + length_received_ : buffer->data() + received_;
    const size_t most = in_length ? sizeof(length_) - length_received_ : buffer->size() - received_;
    const absl::StatusOr<size_t> got = Read(to, most);
    if (!got.ok()) return got.status();
    if (*got == 0) return false;
    (in_length ? length_received_ : received_) += *got;
    all_received_ += *got;
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
