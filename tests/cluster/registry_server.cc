#include "tests/cluster/registry_server.h"

#include <curl/curl.h>

#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/net/http_get.h"
#include "nlohmann/json.hpp"
#include "tests/cluster/local_kafka.h"
#include "tests/cluster/mini_cluster.h"

namespace tenfold {
namespace {

using nlohmann::json;

constexpr absl::Duration kStart = absl::Seconds(60);

size_t Take(const char* bytes, size_t size, size_t count, void* text) {
  static_cast<std::string*>(text)->append(bytes, size * count);
  return size * count;
}

}  // namespace

RegistryServer::RegistryServer(std::string directory) : directory_(std::move(directory)), port_(ReservePort()) {
  std::filesystem::create_directories(directory_);
}

std::string RegistryServer::url() const { return absl::StrCat("http://127.0.0.1:", port_, "/apis/ccompat/v7"); }

absl::Status RegistryServer::Start() {
  static const std::string* const jar = new std::string(Output("'" TENFOLD_SOURCE_DIR "/tests/cluster/registry_jar'"));
  const std::string log = directory_ + "/registry.log";
  absl::StatusOr<std::unique_ptr<ChildProcess>> process = ChildProcess::Start(
      {.argv = {"java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Dquarkus.http.host=127.0.0.1",
                absl::StrCat("-Dquarkus.http.port=", port_), "-jar", *jar},
       .environment = {},
       .stdout_path = log,
       .stderr_path = log});
  if (!process.ok()) return process.status();
  process_ = *std::move(process);
  return WaitUntil("the registry", kStart, [this] {
    HttpQuestion question;
    question.url = url() + "/subjects";
    const absl::StatusOr<HttpAnswer> answer = HttpGet(question);
    return answer.ok() && answer->status == 200;
  });
}

absl::StatusOr<uint32_t> RegistryServer::Register(const std::string& subject, const std::string& schema,
                                                  const std::vector<Reference>& references) {
  json body = {{"schema", schema}};
  for (const Reference& reference : references) {
    body["references"].push_back({{"name", reference.name}, {"subject", reference.subject}, {"version", reference.version}});
  }
  const std::string text = body.dump();
  const std::string to = absl::StrCat(url(), "/subjects/", subject, "/versions");
  std::string answer;
  CURL* const curl = curl_easy_init();
  curl_slist* const headers = curl_slist_append(nullptr, "Content-Type: application/vnd.schemaregistry.v1+json");
  curl_easy_setopt(curl, CURLOPT_URL, to.c_str());
  curl_easy_setopt(curl, CURLOPT_PROXY, "");
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(curl, CURLOPT_POSTFIELDS, text.c_str());
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &Take);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
  const CURLcode done = curl_easy_perform(curl);
  curl_slist_free_all(headers);
  curl_easy_cleanup(curl);
  const json said = json::parse(answer, nullptr, /*allow_exceptions=*/false);
  if (done != CURLE_OK || !said.is_object() || !said.contains("id"))
    return absl::UnavailableError(absl::StrCat("the registry says ", answer));
  return said.at("id").get<uint32_t>();
}

}  // namespace tenfold
