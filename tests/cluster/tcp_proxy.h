// A TCP proxy within the test that forgets connections as a NAT, a firewall or a dying host does: what comes over them goes
// nowhere, and nobody is told. Thread-safe.
#pragma once

#include <atomic>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "common/thread/mutex.h"

namespace tenfold {

class TcpProxy {
 public:
  // Listens on a free port of the loopback address, and connects to this one.
  explicit TcpProxy(int target_port);
  ~TcpProxy();
  TcpProxy(const TcpProxy&) = delete;
  TcpProxy& operator=(const TcpProxy&) = delete;

  int port() const { return port_; }
  // Forgets the connections that there are.
  void Forget();
  // While it is blocked new ones are accepted and forgotten at once.
  void SetBlocked(bool blocked) { blocked_ = blocked; }

 private:
  struct Connection {
    int client = -1;
    int server = -1;
  };
  void Run(const std::stop_token& stop);
  void Accept() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Forwards what there is; false if the connection has ended.
  static bool Forward(int from, int to);

  const int target_port_;
  const int listener_;
  int port_ = 0;
  std::atomic<bool> blocked_ = false;
  Mutex mutex_;
  std::vector<Connection> connections_ ABSL_GUARDED_BY(mutex_);
  // Kept open, so that the peers hear nothing.
  std::vector<int> forgotten_ ABSL_GUARDED_BY(mutex_);
  std::jthread thread_;
};

}  // namespace tenfold
