// Addresses of processes: HOST:PORT, with an IPv6 host in brackets. All of Tenfold parses them here. Pure.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace tenfold {

struct Address {
  // A host name or an IP address without brackets. An empty host is a wildcard.
  std::string host;
  // The port, 0 to 65535.
  int port = 0;

  bool operator==(const Address&) const = default;

  // The address as HOST:PORT.
  std::string ToString() const;
  // Whether the host stands for all addresses of this machine (0.0.0.0, [::], 0, empty) and cannot be connected to.
  bool IsWildcard() const;
};

// Parses an address. INVALID_ARGUMENT is a sentence that quotes the text.
absl::StatusOr<Address> ParseAddress(std::string_view text);

// Returns "" if the text is an address, else ParseAddress's sentence, as CLI11 expects of a check.
std::string CheckAddress(const std::string& text);

// Returns "" if the text is an address that others can connect to, with a host and a port, else a sentence that quotes it.
std::string CheckPeerAddress(std::string_view text);

}  // namespace tenfold
