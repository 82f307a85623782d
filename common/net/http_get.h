// Asks HTTP servers, by libcurl. Thread-safe.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace tenfold {

struct HttpQuestion {
  // http:// or https://.
  std::string url;
  // For basic authentication; none without a user.
  std::string user;
  std::string password;
  // A file of certificates (PEM), one of which has to have signed the server's; empty for those that the system trusts.
  std::string ca_file;
  // "Name: value".
  std::vector<std::string> headers;
  absl::Duration timeout = absl::Seconds(10);
  // A longer answer is an error.
  size_t max_bytes = 1 << 20;
  // Polled while it waits, at least about once a second: true gives up.
  std::function<bool()> is_cancelled = [] { return false; };
};

struct HttpAnswer {
  int status = 0;
  std::string body;
};

// Returns what the server answers, whatever its status is; a redirection is not followed. UNAVAILABLE, with a clause on why
// and without the password, if there is no answer; RESOURCE_EXHAUSTED if that is too long; CANCELLED if that is why.
absl::StatusOr<HttpAnswer> HttpGet(const HttpQuestion& question);

// Returns the text as a part of a URL's path has it.
std::string UrlEscaped(const std::string& text);

}  // namespace tenfold
