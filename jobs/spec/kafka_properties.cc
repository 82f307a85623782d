#include "jobs/spec/kafka_properties.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "common/text/suggestion.h"
#include "fmt/format.h"

namespace tenfold {
namespace {

constexpr std::string_view kAllowed[] = {
    "api.version.request",
    "api.version.request.timeout.ms",
    "broker.address.family",
    "broker.address.ttl",
    "client.id",
    "client.rack",
    "connections.max.idle.ms",
    "enable.sasl.oauthbearer.unsecure.jwt",
    "enable.ssl.certificate.verification",
    "fetch.error.backoff.ms",
    "fetch.max.bytes",
    "fetch.message.max.bytes",
    "fetch.min.bytes",
    "fetch.wait.max.ms",
    "max.partition.fetch.bytes",
    "receive.message.max.bytes",
    "reconnect.backoff.max.ms",
    "reconnect.backoff.ms",
    "sasl.kerberos.keytab",
    "sasl.kerberos.min.time.before.relogin",
    "sasl.kerberos.principal",
    "sasl.kerberos.service.name",
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.oauthbearer.client.id",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.config",
    "sasl.oauthbearer.extensions",
    "sasl.oauthbearer.method",
    "sasl.oauthbearer.scope",
    "sasl.oauthbearer.token.endpoint.url",
    "sasl.password",
    "sasl.username",
    "security.protocol",
    "socket.connection.setup.timeout.ms",
    "socket.keepalive.enable",
    "socket.max.fails",
    "socket.nagle.disable",
    "socket.receive.buffer.bytes",
    "socket.send.buffer.bytes",
    "socket.timeout.ms",
    "ssl.ca.location",
    "ssl.ca.pem",
    "ssl.certificate.location",
    "ssl.certificate.pem",
    "ssl.cipher.suites",
    "ssl.crl.location",
    "ssl.curves.list",
    "ssl.endpoint.identification.algorithm",
    "ssl.key.location",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.location",
    "ssl.keystore.password",
    "ssl.sigalgs.list",
};

constexpr std::string_view kSecret[] = {
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.config",
    "sasl.password",
    "ssl.ca.pem",
    "ssl.certificate.pem",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.password",
};

// Of those, what a spec must not hold itself.
constexpr std::string_view kOnlyByReference[] = {
    "sasl.oauthbearer.client.secret", "sasl.oauthbearer.config", "sasl.password", "ssl.key.password", "ssl.key.pem",
    "ssl.keystore.password",
};

struct Refusal {
  std::string_view name;
  std::string_view why;
};

constexpr std::string_view kReadsCommitted = "Tenfold sets it itself: it reads every committed record, and no other";
constexpr std::string_view kKeepsOffsets = "Tenfold sets it itself: it keeps a job's offsets with its state";
constexpr std::string_view kSizesQueues = "Tenfold sets it itself: it sizes its own queues";
constexpr std::string_view kFindsPartitions = "Tenfold sets it itself: it looks for new partitions at its own pace";
constexpr std::string_view kLoadsCode = "it would load code into Tenfold's processes";

constexpr std::string_view kOfJava =
    "it is Java's; librdkafka has none: ssl.ca.location names a PEM file, without a password";

// librdkafka takes no fetch.max.bytes below its message.max.bytes, which a job cannot set.
constexpr int64_t kLeastFetchMaxBytes = 1'000'000;
// A batch gives up what a broker holds back for much longer, and asks anew.
constexpr int64_t kMostFetchWaitMs = 1'000;

constexpr Refusal kRefused[] = {
    {"ssl.truststore.location",
     "it is Java's; librdkafka reads PEM files: export the store's certificates (keytool -list -rfc) and name that file in "
     "ssl.ca.location"},
    {"ssl.truststore.password", kOfJava},
    {"ssl.truststore.type", kOfJava},
    {"ssl.keystore.type", "it is Java's; librdkafka's ssl.keystore.location is a PKCS#12 file"},
    {"sasl.jaas.config", "it is Java's; librdkafka has sasl.username, and sasl.password, which takes a reference"},
    {"bootstrap.servers", "Tenfold sets it itself: name the brokers in source.kafka.brokers"},
    {"metadata.broker.list", "Tenfold sets it itself: name the brokers in source.kafka.brokers"},
    {"auto.offset.reset", "Tenfold sets it itself: say where to begin in source.kafka.start"},
    {"group.id", "Tenfold sets it itself: a job's group is tenfold-JOB"},
    {"group.instance.id", "Tenfold sets it itself: a job's group is tenfold-JOB"},
    {"partition.assignment.strategy", "Tenfold assigns partitions itself"},
    {"enable.auto.commit", kKeepsOffsets},
    {"auto.commit.enable", kKeepsOffsets},
    {"auto.commit.interval.ms", kKeepsOffsets},
    {"enable.auto.offset.store", kKeepsOffsets},
    {"offset.store.method", kKeepsOffsets},
    {"isolation.level", kReadsCommitted},
    {"enable.partition.eof", kReadsCommitted},
    {"allow.auto.create.topics", "Tenfold sets it itself: it creates no topics"},
    {"topic.metadata.refresh.interval.ms", kFindsPartitions},
    {"metadata.max.age.ms", kFindsPartitions},
    {"queued.min.messages", kSizesQueues},
    {"queued.max.messages.kbytes", kSizesQueues},
    {"check.crcs", "Tenfold sets it itself: it always checks them"},
    {"debug", "it would write what it reads to the log"},
    {"plugin.library.paths", kLoadsCode},
    {"ssl.engine.location", kLoadsCode},
    {"ssl.engine.id", kLoadsCode},
    {"ssl.providers", kLoadsCode},
    {"sasl.kerberos.kinit.cmd", "it would run a command on Tenfold's hosts"},
};

// librdkafka inserts these values into the command line of kinit, which a shell runs.
constexpr std::string_view kInShellCommand[] = {
    "sasl.kerberos.keytab",
    "sasl.kerberos.principal",
    "sasl.kerberos.service.name",
};

constexpr std::string_view kReference = "${file:/PATH} or ${env:TENFOLD_SECRET_NAME}";
constexpr std::string_view kSecretVariable = "TENFOLD_SECRET_";

// Returns "" for a reference, else what is wrong with it.
std::string CheckReference(std::string_view value) {
  const std::string wrong = fmt::format("is no reference; give {}", kReference);
  if (!value.ends_with('}')) return wrong;
  value.remove_suffix(1);
  if (value.starts_with("${file:/")) return value.find('\0') == std::string_view::npos ? "" : wrong;
  constexpr std::string_view kVariable = "${env:";
  if (!value.starts_with(kVariable)) return wrong;
  value.remove_prefix(kVariable.size());
  if (!value.starts_with(kSecretVariable))
    return fmt::format("may name only variables that begin with {}: a job must not send out others", kSecretVariable);
  const bool is_name = std::all_of(value.begin(), value.end(),
                                   [](char c) { return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_'; });
  return is_name ? "" : wrong;
}

bool Contains(auto& names, std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

bool IsSafeInShell(std::string_view value) {
  return !value.starts_with('-') && std::all_of(value.begin(), value.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || std::string_view("._-/@").find(c) != std::string_view::npos;
  });
}

}  // namespace

std::string CheckKafkaProperty(std::string_view name, std::string_view value) {
  for (const Refusal& refusal : kRefused) {
    if (refusal.name == name) return fmt::format("a job cannot set this: {}", refusal.why);
  }
  if (!Contains(kAllowed, name)) {
    return "a job cannot set this: it is not among the connection, security and fetch properties of librdkafka that are "
           "allowed" +
           DidYouMean(name, {std::begin(kAllowed), std::end(kAllowed)});
  }
  if (value.empty()) return "has no value";
  if (value == kMaskedSecret) return CheckSecret(value);
  if (value.starts_with("${"))
    return Contains(kSecret, name) ? CheckReference(value) : "is no secret, so that it is written as it is";
  if (Contains(kOnlyByReference, name)) {
    return fmt::format(
        "is a secret, and a spec is kept and shown: write a reference to it, {}, which is read where it is used",
        kReference);
  }
  if ((name.ends_with(".location") || name.ends_with(".keytab")) && !value.starts_with('/'))
    return "is a file on the hosts of driver and workers: give its absolute path";
  if (value.find('\0') != std::string_view::npos) return "holds a zero byte";
  int64_t number = 0;
  const bool is_number = absl::SimpleAtoi(absl::string_view(value.data(), value.size()), &number);
  if (name == "fetch.max.bytes" && is_number && number < kLeastFetchMaxBytes)
    return fmt::format("must be at least {}", kLeastFetchMaxBytes);
  if (name == "fetch.wait.max.ms" && is_number && number > kMostFetchWaitMs)
    return fmt::format("must be at most {}, since a batch does not wait longer for records", kMostFetchWaitMs);
  if (Contains(kInShellCommand, name) && !IsSafeInShell(value)) {
    return "may hold only letters, digits and ._-/@, and not begin with -: it becomes part of a command";
  }
  return "";
}

std::string CheckSecret(std::string_view value) {
  return value == kMaskedSecret ? fmt::format("is masked ({}); write a reference to it, {}", kMaskedSecret, kReference)
                                : CheckReference(value);
}

bool IsSecretKafkaProperty(std::string_view name, std::string_view value) {
  if (!Contains(kAllowed, name)) return true;
  return Contains(kSecret, name) && !CheckReference(value).empty();
}

bool LooksLikeKafkaProperty(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_islower(static_cast<unsigned char>(c)) || absl::ascii_isdigit(static_cast<unsigned char>(c)) ||
           c == '.' || c == '_';
  });
}

}  // namespace tenfold
