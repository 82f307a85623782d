// Addresses of processes: HOST:PORT, with an IPv6 host in brackets. The one place that takes them apart. Pure.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace tenfold {

struct Address {
  // A name or a number, without brackets; may be empty only in a wildcard.
  std::string host;
  // 0 to 65535.
  int port = 0;

  // HOST:PORT
  std::string ToString() const;
  // The host is no host to connect to, but all of this machine's (0.0.0.0, [::], 0, empty).
  bool IsWildcard() const;
};

// INVALID_ARGUMENT is a sentence that quotes the text.
absl::StatusOr<Address> ParseAddress(std::string_view text);

// Empty if the text is an address, else ParseAddress's sentence: what CLI11 takes for a check.
std::string CheckAddress(const std::string& text);

}  // namespace tenfold
