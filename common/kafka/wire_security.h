// How connections to a job's brokers are secured: by TLS, a login, both or neither, as the job's librdkafka properties say.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "common/kafka/log.h"
#include "common/kafka/wire_login.h"
#include "common/kafka/wire_tls.h"

namespace tenfold {

// What a connection is made with.
struct WireSession {
  // How the client calls itself in every question.
  std::string client_id = "tenfold";
  // None for a plain connection.
  std::shared_ptr<const TlsContext> tls = nullptr;
  std::optional<WireCredentials> login = std::nullopt;
};

// Used by one thread at a time.
class WireSecurity {
 public:
  // Whether the property is one that says how connections are secured.
  static bool Has(const std::string& property);
  // Why librdkafka has to make the connections: a clause; "" if it need not.
  static std::string Unfit(const LogConfig& config);

  explicit WireSecurity(const LogConfig& config);

  // Returns what a new connection is made with, from what files and secrets hold now. If they cannot be used any more it is
  // what they held before, and the log says so; INVALID_ARGUMENT, naming the property, if they never could.
  absl::StatusOr<WireSession> ForConnection();

 private:
  absl::StatusOr<WireSession> Make();

  const std::map<std::string, std::string> properties_;
  const std::optional<std::vector<std::string>> dirs_;
  std::string client_id_ = WireSession().client_id;
  bool tls_ = false;
  bool login_ = false;

  // What the last session was made of: the properties' values, and of each file that one names when it was changed.
  std::map<std::string, std::string> made_of_;
  std::optional<WireSession> last_;
};

}  // namespace tenfold
