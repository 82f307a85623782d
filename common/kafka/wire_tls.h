// TLS to brokers by OpenSSL, with the meaning that librdkafka gives its ssl.* properties.
#pragma once

#include <openssl/ssl.h>

#include <cstddef>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tenfold {

// Whom a client trusts, and who it is. Immutable; may be used by several threads.
class TlsContext {
 public:
  // Returns the first of these properties that this has not, or whose value it does not understand; "" if none is one.
  static std::string Unfit(const std::map<std::string, std::string>& properties);

  // The properties' values are resolved (common/kafka/property_value.h). INVALID_ARGUMENT, naming the property but no
  // secret, if what it names cannot be used.
  static absl::StatusOr<std::shared_ptr<const TlsContext>> Create(const std::map<std::string, std::string>& properties);

  SSL_CTX* get() const { return context_.get(); }
  // Whether a broker's certificate has to be for the name that it was reached by.
  bool checks_names() const { return checks_names_; }

 private:
  struct Free {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  };

  std::unique_ptr<SSL_CTX, Free> context_;
  bool checks_names_ = true;
};

// One connection, over a socket that does not block and outlives it. Used by one thread at a time; errors are UNAVAILABLE
// and follow the broker's name.
class TlsStream {
 public:
  // To the broker with this name or address.
  TlsStream(const TlsContext& context, int fd, const std::string& host);

  // Goes on with the handshake; returns whether it is done.
  absl::StatusOr<bool> Handshake();
  // Returns how many bytes were read or written, 0 if none could be without waiting.
  absl::StatusOr<size_t> Read(char* to, size_t most);
  absl::StatusOr<size_t> Write(const char* from, size_t bytes);
  // Whether the last call waits for room to write.
  bool wants_to_write() const { return wants_to_write_; }

 private:
  struct Free {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };

  // What a call came to that returned `result`.
  absl::StatusOr<size_t> Outcome(int result);

  std::unique_ptr<SSL, Free> ssl_;
  bool wants_to_write_ = false;
};

}  // namespace tenfold
