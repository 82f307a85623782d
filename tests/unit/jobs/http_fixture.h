// An HTTP server within the test, on a free port of the loopback address: it answers each path as it is told, once a
// connection, and keeps what it was asked. Thread-safe.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/thread/mutex.h"
#include "glog/logging.h"

namespace tenfold {

class HttpServer {
 public:
  HttpServer() : listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    PCHECK(bind(listener_, generic, size) == 0 && listen(listener_, 16) == 0 && getsockname(listener_, generic, &size) == 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::jthread([this] { Run(); });
  }
  ~HttpServer() {
    shutdown(listener_, SHUT_RDWR);
    thread_.join();
    close(listener_);
  }
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  std::string url() const { return absl::StrCat("http://127.0.0.1:", port_); }
  // What is asked for another path is answered with 404. With status 0 nothing ever is.
  void Answer(const std::string& path, int status, const std::string& body) {
    MutexLock lock(&mutex_);
    answers_[path] = {status, body};
  }
  // The requests so far, with their headers.
  std::vector<std::string> requests() const {
    MutexLock lock(&mutex_);
    return requests_;
  }

 private:
  void Run() {
    std::vector<int> silent;
    for (int client = accept(listener_, nullptr, nullptr); client >= 0; client = accept(listener_, nullptr, nullptr)) {
      const auto [status, body] = AnswerTo(Read(client));
      if (status == 0) {
        silent.push_back(client);
        continue;
      }
      const std::string text =
          absl::StrCat("HTTP/1.1 ", status, " said\r\nContent-Length: ", body.size(), "\r\nConnection: close\r\n\r\n", body);
      for (size_t sent = 0; sent < text.size();) {
        const ssize_t wrote = send(client, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
        if (wrote <= 0) break;
        sent += static_cast<size_t>(wrote);
      }
      close(client);
    }
    for (const int client : silent) close(client);
  }
  static std::string Read(int client) {
    std::string request;
    char c = 0;
    while (!request.ends_with("\r\n\r\n") && recv(client, &c, 1, 0) == 1) request += c;
    return request;
  }
  std::pair<int, std::string> AnswerTo(const std::string& request) {
    MutexLock lock(&mutex_);
    requests_.push_back(request);
    const size_t begin = request.find(' ') + 1;
    const auto answer = answers_.find(request.substr(begin, request.find(' ', begin) - begin));
    return answer == answers_.end() ? std::pair(404, std::string("no such page")) : answer->second;
  }

  const int listener_;
  int port_ = 0;
  mutable Mutex mutex_;
  std::map<std::string, std::pair<int, std::string>> answers_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> requests_ ABSL_GUARDED_BY(mutex_);
  std::jthread thread_;
};

}  // namespace tenfold
