#include "common/kafka/wire_security.h"

#include <sys/stat.h>

#include <string_view>

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

// Differs once the file, or a directory of certificates, was changed.
std::string Stamp(const std::string& path) {
  struct stat info{};
  if (stat(path.c_str(), &info) != 0) return "";
  return absl::StrCat(info.st_dev, " ", info.st_ino, " ", info.st_size, " ", info.st_mtim.tv_sec, " ", info.st_mtim.tv_nsec);
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
      login_(Protocol(properties_).starts_with("sasl_")) {}

absl::StatusOr<WireSession> WireSecurity::ForConnection() {
  if (!tls_ && !login_) return WireSession();
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
  WireSession session;
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
