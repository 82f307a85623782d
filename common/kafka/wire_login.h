// How a client logs in to a broker by SASL (https://kafka.apache.org/protocol#sasl_handshake): PLAIN (RFC 4616),
// SCRAM-SHA-256 and -512 (RFC 5802, RFC 7677). Pure; used by one thread at a time. Errors follow the broker's name and hold
// no secret.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace tenfold {

struct WireCredentials {
  // One of those that WireLogin::Has.
  std::string mechanism;
  std::string user;
  std::string password;
};

struct WireQuestion {
  int16_t call = 0;
  int16_t version = 0;
  // Whether the version is one of those whose headers have tagged fields.
  bool flexible = true;
  std::string text;
};

class WireLogin {
 public:
  static bool Has(std::string_view mechanism);

  // `nonce` is for SCRAM: text without a comma that nobody can guess and no other login had. `version` is that of an earlier
  // login over the same connection, -1 for the first one.
  WireLogin(WireCredentials credentials, std::string nonce, int16_t version);

  // Returns the first question: which versions of the calls the broker has, which is allowed before a login. A broker ends a
  // connection whose login has run out if it is asked anything but to log in, so a later login does without.
  WireQuestion First() const;
  // Takes the answer to the last question, and returns the next one, or none once the client is logged in.
  // PERMISSION_DENIED if the broker refuses, FAILED_PRECONDITION if it makes no sense or does not know the password itself.
  absl::StatusOr<std::optional<WireQuestion>> OnAnswer(std::string_view answer);

  // How long the login lasts, in milliseconds; 0 for ever. Known once it is done.
  int64_t lifetime_ms() const { return lifetime_ms_; }
  // The version of the call for it; -1 if that is not known yet.
  int16_t version() const { return version_; }

 private:
  enum class Step { kVersions, kHandshake, kPlain, kFirst, kFinal };

  absl::StatusOr<std::optional<WireQuestion>> OnVersions(std::string_view answer);
  absl::StatusOr<std::optional<WireQuestion>> OnHandshake(std::string_view answer);
  // Answers the broker's salt.
  absl::StatusOr<std::string> Prove(std::string_view server_first);
  absl::Status CheckServer(std::string_view server_final) const;
  WireQuestion Handshake() const;
  WireQuestion Authenticate(std::string_view bytes) const;

  const WireCredentials credentials_;
  const std::string nonce_;
  Step step_;
  // The version of SaslAuthenticate that is spoken.
  int16_t version_;
  int64_t lifetime_ms_ = 0;
  // What the broker has to prove that it knows the password.
  std::string server_signature_;
};

}  // namespace tenfold
