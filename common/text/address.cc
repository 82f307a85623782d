#include "common/text/address.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/text/shown_text.h"

namespace tenfold {
namespace {

bool IsHostCharacter(char c, bool bracketed) {
  const auto byte = static_cast<unsigned char>(c);
  return absl::ascii_isalnum(byte) || c == '.' || c == '-' || (bracketed ? c == ':' || c == '%' : c == '_');
}

}  // namespace

std::string Address::ToString() const {
  const bool is_v6 = host.find(':') != std::string::npos;
  return is_v6 ? absl::StrCat("[", host, "]:", port) : absl::StrCat(host, ":", port);
}

bool Address::IsWildcard() const { return host.empty() || host == "0.0.0.0" || host == "::" || host == "0"; }

absl::StatusOr<Address> ParseAddress(std::string_view text) {
  const auto error = [&](const char* what) {
    return absl::InvalidArgumentError(absl::StrCat("'", std::string(text), "' ", what));
  };
  if (text.find("://") != std::string_view::npos) return error("is a URL; write HOST:PORT alone");
  const size_t colon = text.rfind(':');
  // The last colon of "[::1]" is inside the host.
  if (colon == std::string_view::npos || text.ends_with(']')) return error("has no port; write HOST:PORT");
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (host.empty()) return error("has no host; write HOST:PORT");
  if (!bracketed && host.find(':') != std::string_view::npos)
    return error("has an IPv6 host without brackets; write [HOST]:PORT");
  if (!std::all_of(host.begin(), host.end(), [&](char c) { return IsHostCharacter(c, bracketed); }))
    return error("has no valid host; write HOST:PORT");
  Address address{std::string(host), 0};
  const bool digits = !port.empty() && std::all_of(port.begin(), port.end(), absl::ascii_isdigit);
  if (!digits || !absl::SimpleAtoi(std::string(port), &address.port) || address.port > 65535)
    return error("has no valid port; a port is a number up to 65535");
  return address;
}

std::string CheckAddress(const std::string& text) { return std::string(ParseAddress(text).status().message()); }

std::string CheckPeerAddress(std::string_view text) {
  const absl::StatusOr<Address> address = ParseAddress(text);
  if (!address.ok()) return std::string(address.status().message());
  return address->IsWildcard() || address->port == 0 ? Quoted(text) + " is no address to connect to" : "";
}

}  // namespace tenfold
