// A broker inside the test that speaks as much of Kafka's protocol as a reader asks for, and answers as a script says: byte
// by byte, late, wrongly, or not at all. One thread serves all its connections.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "common/kafka/wire_format.h"
#include "common/kafka/wire_messages.h"
#include "common/text/address.h"
#include "gtest/gtest.h"

namespace tenfold {

struct ScriptedQuestion {
  // Who asks, by its client.id.
  std::string client;
  // How many questions of this call the client has asked this broker before.
  int nth = 0;
  // Counts the broker's connections, from 1.
  int connection = 0;
  WireCall call = WireCall::kApiVersions;
  int16_t version = 0;
  int32_t correlation = 0;
  // Of a Fetch.
  WireFetch fetch;
};

// What goes over the connection, piece by piece.
struct ScriptedReply {
  struct Piece {
    std::string bytes;
    // After the piece before it.
    std::chrono::milliseconds delay{0};
  };
  std::vector<Piece> pieces;
  // Closes the connection behind them.
  bool closes = false;

  std::string bytes() const {
    std::string all;
    for (const Piece& piece : pieces) all += piece.bytes;
    return all;
  }
};

// The bytes with their length before them, which is what each question and answer is on the wire.
inline std::string Framed(std::string_view bytes) {
  WireOutput length;
  length.Add(static_cast<int32_t>(bytes.size()));
  return length.bytes() + std::string(bytes);
}

// How many bytes come before an answer's body: its length, the question's number, and, but for ApiVersions, no tags.
inline size_t HeaderBytes(WireCall call) { return call == WireCall::kApiVersions ? 8 : 9; }

inline ScriptedReply Answer(const ScriptedQuestion& question, std::string_view body) {
  WireOutput header;
  header.Add(question.correlation);
  if (question.call != WireCall::kApiVersions) header.AddNoTags();
  return {{{Framed(header.bytes() + std::string(body)), {}}}, false};
}

inline WireFetch ReadFetch(int16_t version, WireInput* in) {
  WireFetch fetch;
  in->Take<int32_t>();  // replica
  fetch.max_wait_ms = in->Take<int32_t>();
  fetch.min_bytes = in->Take<int32_t>();
  fetch.max_bytes = in->Take<int32_t>();
  in->Take<int8_t>();   // isolation
  in->Take<int64_t>();  // session
  for (uint32_t topics = in->TakeCompactArray(); topics > 0 && !in->failed(); --topics) {
    TopicId id{};
    std::string topic;
    if (version >= 13) {
      for (char& byte : id) byte = in->Take<char>();
    } else {
      topic = std::string(in->TakeCompactString());
    }
    for (uint32_t left = in->TakeCompactArray(); left > 0 && !in->failed(); --left) {
      WireFetch::Partition& partition = fetch.partitions.emplace_back();
      partition.topic = topic;
      partition.id = id;
      partition.partition = in->Take<int32_t>();
      partition.leader_epoch = in->Take<int32_t>();
      partition.offset = in->Take<int64_t>();
      partition.last_epoch = in->Take<int32_t>();
      in->Take<int64_t>();  // where a replica's log starts
      partition.max_bytes = in->Take<int32_t>();
      in->SkipTags();
    }
    in->SkipTags();
  }
  return fetch;
}

// Has the socket listen at a free port of 127.0.0.1, and returns the port.
inline int ListenOnLoopback(int listener, int backlog) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  EXPECT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(listen(listener, backlog), 0);
  EXPECT_EQ(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), 0);
  return ntohs(address.sin_port);
}

class ScriptedBroker {
 public:
  // Called by the broker's thread alone. A reply without pieces that does not close is silence.
  using Script = std::function<ScriptedReply(const ScriptedQuestion&)>;

  explicit ScriptedBroker(Script script) : script_(std::move(script)) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    port_ = ListenOnLoopback(listener_, 1024);
    wake_ = eventfd(0, EFD_CLOEXEC);
  }
  ~ScriptedBroker() {
    thread_.request_stop();
    const uint64_t one = 1;
    EXPECT_EQ(write(wake_, &one, sizeof(one)), static_cast<ssize_t>(sizeof(one)));
    if (thread_.joinable()) thread_.join();
    connections_.clear();
    close(listener_);
    close(wake_);
  }
  ScriptedBroker(const ScriptedBroker&) = delete;
  ScriptedBroker& operator=(const ScriptedBroker&) = delete;

  Address address() const { return {"127.0.0.1", port_}; }

  // Begins to answer; until then connections are only accepted, by the system.
  void Start() {
    thread_ = std::jthread([this](const std::stop_token& stop) {
      while (!stop.stop_requested()) Serve();
    });
  }

 private:
  using Clock = std::chrono::steady_clock;

  struct Connection {
    explicit Connection(int descriptor) : fd(descriptor) {}
    ~Connection() { close(fd); }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    int fd;
    int number = 0;
    bool over = false;
    std::string received;
    // What is to be sent; of the first piece, so much was. The first one is due at `due`.
    std::deque<ScriptedReply::Piece> pieces;
    size_t sent = 0;
    Clock::time_point due;
    bool closes = false;
  };

  void Serve() {
    std::vector<pollfd> polled = {{wake_, POLLIN, 0}, {listener_, POLLIN, 0}};
    Clock::time_point next = Clock::time_point::max();
    const Clock::time_point now = Clock::now();
    for (const auto& connection : connections_) {
      short events = POLLIN;
      if (!connection->pieces.empty() && connection->due <= now) events |= POLLOUT;
      if (!connection->pieces.empty() && connection->due > now) next = std::min(next, connection->due);
      polled.push_back({connection->fd, events, 0});
    }
    int wait_ms = -1;
    if (next != Clock::time_point::max())
      wait_ms = static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(next - now).count());
    poll(polled.data(), polled.size(), wait_ms);
    for (size_t i = 0; i < connections_.size(); ++i) {
      Connection& connection = *connections_[i];
      if ((polled[i + 2].revents & (POLLIN | POLLHUP | POLLERR)) != 0) Receive(&connection);
      if (!connection.over) Send(&connection);
    }
    std::erase_if(connections_, [](const auto& connection) { return connection->over; });
    if ((polled[1].revents & POLLIN) != 0) Accept();
  }

  void Accept() {
    for (int fd; (fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0;) {
      const int on = 1;
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
      connections_.push_back(std::make_unique<Connection>(fd));
      connections_.back()->number = ++accepted_;
    }
  }

  void Receive(Connection* connection) {
    char bytes[4096];
    ssize_t got = 0;
    while ((got = recv(connection->fd, bytes, sizeof(bytes), 0)) > 0)
      connection->received.append(bytes, static_cast<size_t>(got));
    connection->over = got == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
    while (!connection->over) {
      const std::string_view received = connection->received;
      const auto length = static_cast<size_t>(std::max(0, WireInput(received).Take<int32_t>()));
      if (received.size() < 4 + length || length == 0) return;
      Ask(connection, received.substr(4, length));
      connection->received.erase(0, 4 + length);
    }
  }

  void Ask(Connection* connection, std::string_view bytes) {
    WireInput in(bytes);
    ScriptedQuestion question;
    question.connection = connection->number;
    question.call = static_cast<WireCall>(in.Take<int16_t>());
    question.version = in.Take<int16_t>();
    question.correlation = in.Take<int32_t>();
    for (auto left = in.Take<int16_t>(); left > 0; --left) question.client.push_back(in.Take<char>());
    // Those of a login have the older header.
    const bool logs_in = question.call == WireCall{17} || question.call == WireCall{36} ||
                         (question.call == WireCall::kApiVersions && question.version == 0);
    if (!logs_in) in.SkipTags();
    if (question.call == WireCall::kFetch) question.fetch = ReadFetch(question.version, &in);
    EXPECT_FALSE(in.failed()) << "the reader's question makes no sense";
    question.nth = asked_[{question.client, question.call}]++;
    ScriptedReply reply = script_(question);
    for (ScriptedReply::Piece& piece : reply.pieces) connection->pieces.push_back(std::move(piece));
    connection->closes |= reply.closes;
    if (!connection->pieces.empty()) connection->due = Clock::now() + connection->pieces.front().delay;
  }

  // Sends as much as is due.
  void Send(Connection* connection) {
    while (!connection->pieces.empty() && connection->due <= Clock::now()) {
      const std::string& bytes = connection->pieces.front().bytes;
      while (connection->sent < bytes.size()) {
        const ssize_t sent =
            send(connection->fd, bytes.data() + connection->sent, bytes.size() - connection->sent, MSG_NOSIGNAL);
        if (sent < 0) {
          connection->over = errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR;
          return;
        }
        connection->sent += static_cast<size_t>(sent);
      }
      connection->sent = 0;
      connection->pieces.pop_front();
      if (!connection->pieces.empty()) connection->due = Clock::now() + connection->pieces.front().delay;
    }
    connection->over |= connection->pieces.empty() && connection->closes;
  }

  const Script script_;
  int listener_ = -1;
  int wake_ = -1;
  int port_ = 0;
  int accepted_ = 0;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::map<std::pair<std::string, WireCall>, int> asked_;
  // Uses what is above.
  std::jthread thread_;
};

}  // namespace tenfold
