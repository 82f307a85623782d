#include "common/kafka/wire_security.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/kafka/property_value.h"
#include "glog/logging.h"

namespace tenfold {
namespace {

constexpr char kProtocol[] = "security.protocol";
// librdkafka's, where a job that logs in sets none.
constexpr char kDefaultMechanism[] = "GSSAPI";

std::string Find(const std::map<std::string, std::string>& properties, const std::string& name,
                 const std::string& otherwise) {
  const auto it = properties.find(name);
  return it == properties.end() ? otherwise : it->second;
}

std::string Protocol(const std::map<std::string, std::string>& properties) {
  return absl::AsciiStrToLower(Find(properties, kProtocol, "plaintext"));
}

// Both names are librdkafka's.
std::string Mechanism(const std::map<std::string, std::string>& properties) {
  return Find(properties, "sasl.mechanisms", Find(properties, "sasl.mechanism", kDefaultMechanism));
}

bool NamesFile(const std::string& property) { return property.ends_with(".location"); }

// Differs once the file was changed, or a certificate of the directory.
std::string Stamp(const std::string& path) {
  struct stat info{};
  if (stat(path.c_str(), &info) != 0) return "";
  std::string stamp =
      absl::StrCat(info.st_dev, " ", info.st_ino, " ", info.st_size, " ", info.st_mtim.tv_sec, " ", info.st_mtim.tv_nsec);
  if (!S_ISDIR(info.st_mode)) return stamp;
  std::error_code error;
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(path, error)) files.push_back(entry.path());
  std::ranges::sort(files);
  for (const std::string& file : files) {
    if (stat(file.c_str(), &info) == 0 && S_ISREG(info.st_mode)) absl::StrAppend(&stamp, " ", file, " ", Stamp(file));
  }
  return stamp;
}

}  // namespace

bool WireSecurity::Has(const std::string& property) {
  return property == kProtocol || property == "sasl.mechanism" || property == "sasl.mechanisms" ||
         property == "sasl.username" || property == "sasl.password" || property == "enable.ssl.certificate.verification" ||
         property.starts_with("ssl.");
}

std::string WireSecurity::Unfit(const LogConfig& config) {
  const std::string protocol = Protocol(config.properties);
  if (protocol != "plaintext" && protocol != "ssl" && protocol != "sasl_plaintext" && protocol != "sasl_ssl")
    return absl::StrCat("the job's ", kProtocol, " is ", protocol);
  if (protocol.starts_with("sasl_") && !WireLogin::Has(Mechanism(config.properties)))
    return absl::StrCat("the job's sasl.mechanism is ", Mechanism(config.properties));
  const std::string unfit = protocol.ends_with("ssl") ? TlsContext::Unfit(config.properties) : "";
  return unfit.empty() ? "" : absl::StrCat("the job sets ", unfit);
}

WireSecurity::WireSecurity(const LogConfig& config)
    : properties_(config.properties),
      dirs_(config.property_dirs),
      tls_(Protocol(properties_).ends_with("ssl")),
      login_(Protocol(properties_).starts_with("sasl_")) {
  // One that is a reference needs librdkafka, which resolves it.
  const std::string client_id = Find(properties_, "client.id", "");
  if (!client_id.empty() && !client_id.starts_with("${")) client_id_ = client_id;
}

absl::StatusOr<WireSession> WireSecurity::ForConnection() {
  if (!tls_ && !login_) return WireSession{.client_id = client_id_};
  absl::StatusOr<WireSession> made = Make();
  if (made.ok() || !last_) return made;
  LOG_EVERY_T(WARNING, 60) << made.status().message() << "; connections are made with what there was before";
  return *last_;
}

absl::StatusOr<WireSession> WireSecurity::Make() {
  std::map<std::string, std::string> values;
  std::map<std::string, std::string> made_of;
  for (const auto& [name, value] : properties_) {
    if (!Has(name)) continue;
    absl::StatusOr<std::string> resolved = PropertyValue(name, value, dirs_);
    if (!resolved.ok()) return resolved.status();
    made_of[name] = NamesFile(name) ? absl::StrCat(*resolved, " ", Stamp(*resolved)) : *resolved;
    values[name] = *std::move(resolved);
  }
  if (last_ && made_of == made_of_) return *last_;
  WireSession session{.client_id = client_id_};
  if (tls_) {
    absl::StatusOr<std::shared_ptr<const TlsContext>> context = TlsContext::Create(values);
    if (!context.ok()) return context.status();
    session.tls = *std::move(context);
  }
  if (login_) session.login = {Mechanism(values), values["sasl.username"], values["sasl.password"]};
  made_of_ = std::move(made_of);
  last_ = session;
  return session;
}

}  // namespace tenfold
