#include "common/net/http_get.h"

#include <curl/curl.h>

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace tenfold {
namespace {

struct Answering {
  const HttpQuestion* question;
  std::string body;
  bool is_too_long = false;
};

size_t TakeBody(const char* bytes, size_t size, size_t count, void* context) {
  auto* const answering = static_cast<Answering*>(context);
  answering->is_too_long = answering->body.size() + size * count > answering->question->max_bytes;
  if (answering->is_too_long) return 0;
  answering->body.append(bytes, size * count);
  return size * count;
}

int Look(void* context, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<const Answering*>(context)->question->is_cancelled() ? 1 : 0;
}

// A URL of this host is never asked for through a proxy, whatever the environment says.
bool IsLoopback(const std::string& url) {
  for (const char* host : {"localhost", "127.", "[::1]"}) {
    for (const char* scheme : {"http://", "https://"}) {
      if (absl::StartsWith(url, absl::StrCat(scheme, host))) return true;
    }
  }
  return false;
}

using Curl = std::unique_ptr<CURL, decltype(&curl_easy_cleanup)>;
using Headers = std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)>;

}  // namespace

absl::StatusOr<HttpAnswer> HttpGet(const HttpQuestion& question) {
  static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
  const Curl curl(started == CURLE_OK ? curl_easy_init() : nullptr, curl_easy_cleanup);
  if (curl == nullptr) return absl::UnavailableError("libcurl cannot be started");
  Answering answering{.question = &question, .body = ""};
  char error[CURL_ERROR_SIZE] = "";
  Headers headers(nullptr, curl_slist_free_all);
  for (const std::string& header : question.headers) {
    curl_slist* const longer = curl_slist_append(headers.get(), header.c_str());
    if (longer == nullptr) return absl::UnavailableError("there is no memory for the question");
    if (headers == nullptr) headers.reset(longer);
  }
  CURL* const at = curl.get();
  bool set = true;
  const auto option = [at, &set](CURLoption name, auto value) { set &= curl_easy_setopt(at, name, value) == CURLE_OK; };
  option(CURLOPT_URL, question.url.c_str());
  option(CURLOPT_PROTOCOLS_STR, "http,https");
  option(CURLOPT_NOSIGNAL, 1L);
  option(CURLOPT_TIMEOUT_MS, static_cast<long>(absl::ToInt64Milliseconds(question.timeout)));
  option(CURLOPT_ERRORBUFFER, static_cast<char*>(error));
  option(CURLOPT_WRITEFUNCTION, &TakeBody);
  option(CURLOPT_WRITEDATA, &answering);
  option(CURLOPT_NOPROGRESS, 0L);
  option(CURLOPT_XFERINFOFUNCTION, &Look);
  option(CURLOPT_XFERINFODATA, &answering);
  if (headers != nullptr) option(CURLOPT_HTTPHEADER, headers.get());
  if (IsLoopback(question.url)) option(CURLOPT_PROXY, "");
  if (!question.user.empty()) {
    option(CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BASIC));
    option(CURLOPT_USERNAME, question.user.c_str());
    option(CURLOPT_PASSWORD, question.password.c_str());
  }
  if (!question.ca_file.empty()) {
    option(CURLOPT_CAINFO, question.ca_file.c_str());
    option(CURLOPT_CAPATH, static_cast<const char*>(nullptr));
  }
  if (!set) return absl::UnavailableError("libcurl does not take the question");
  const CURLcode done = curl_easy_perform(at);
  if (answering.is_too_long)
    return absl::ResourceExhaustedError(absl::StrCat("its answer has more than ", question.max_bytes, " bytes"));
  if (done == CURLE_ABORTED_BY_CALLBACK) return absl::CancelledError("given up");
  if (done != CURLE_OK) return absl::UnavailableError(error[0] == '\0' ? curl_easy_strerror(done) : error);
  long status = 0;
  curl_easy_getinfo(at, CURLINFO_RESPONSE_CODE, &status);
  return HttpAnswer{.status = static_cast<int>(status), .body = std::move(answering.body)};
}

std::string UrlEscaped(const std::string& text) {
  const std::unique_ptr<char, decltype(&curl_free)> escaped(
      curl_easy_escape(nullptr, text.data(), static_cast<int>(text.size())), curl_free);
  return escaped == nullptr ? "" : escaped.get();
}

}  // namespace tenfold
