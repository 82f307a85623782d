#include "tests/cluster/tcp_proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "glog/logging.h"

namespace tenfold {
namespace {

constexpr int kPollMs = 20;

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

}  // namespace

TcpProxy::TcpProxy(int target_port) : target_port_(target_port), listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof(address);
  PCHECK(listener_ >= 0 && bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0 && listen(listener_, 16) == 0);
  PCHECK(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  port_ = ntohs(address.sin_port);
  thread_ = std::jthread([this](const std::stop_token& stop) { Run(stop); });
}

TcpProxy::~TcpProxy() {
  thread_ = {};
  Forget();
  MutexLock lock(&mutex_);
  for (const int fd : forgotten_) close(fd);
  close(listener_);
}

void TcpProxy::Forget() {
  MutexLock lock(&mutex_);
  for (const Connection& connection : connections_) {
    for (const int fd : {connection.client, connection.server}) forgotten_.push_back(fd);
  }
  connections_.clear();
}

void TcpProxy::Accept() {
  const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  if (client < 0) return;
  if (blocked_) return forgotten_.push_back(client);
  const int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  PCHECK(server >= 0);
  const sockaddr_in address = Loopback(target_port_);
  if (connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
    connections_.push_back({client, server});
  } else {
    close(client);
    close(server);
  }
}

bool TcpProxy::Forward(int from, int to) {
  std::array<char, 65536> bytes;
  const ssize_t got = recv(from, bytes.data(), bytes.size(), 0);
  if (got <= 0) return false;
  for (ssize_t sent = 0; sent < got;) {
    const ssize_t more = send(to, bytes.data() + sent, static_cast<size_t>(got - sent), MSG_NOSIGNAL);
    if (more <= 0) return false;
    sent += more;
  }
  return true;
}

void TcpProxy::Run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    std::vector<pollfd> fds = {{listener_, POLLIN, 0}};
    {
      MutexLock lock(&mutex_);
      for (const Connection& connection : connections_) {
        for (const int fd : {connection.client, connection.server}) fds.push_back({fd, POLLIN, 0});
      }
    }
    poll(fds.data(), fds.size(), kPollMs);
    MutexLock lock(&mutex_);
    std::erase_if(connections_, [&](const Connection& connection) {
      const auto is_ready = [&](int fd) {
        for (const pollfd& polled : fds) {
          if (polled.fd == fd) return polled.revents != 0;
        }
        return false;
      };
      bool up = !is_ready(connection.client) || Forward(connection.client, connection.server);
      up = up && (!is_ready(connection.server) || Forward(connection.server, connection.client));
      if (up) return false;
      close(connection.client);
      close(connection.server);
      return true;
    });
    if (fds[0].revents != 0) Accept();
  }
}

}  // namespace tenfold
