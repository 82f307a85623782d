#include "common/kafka/kafka_handles.h"

#include <algorithm>
#include <chrono>
#include <future>
#include <map>
#include <mutex>
#include <string_view>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "common/kafka/property_value.h"
#include "common/text/address.h"
#include "glog/logging.h"

namespace tenfold {
namespace {

constexpr char kInterceptor[] = "tenfold";
// Older versions send a wrong nonce in SCRAM.
constexpr int kScramMended = 0x020601ff;
constexpr char kScramFault[] =
    "; or the password is right, and Kafka 4 refuses it as this librdkafka is older than 2.6.1: use PLAIN over TLS, a "
    "certificate, or a newer librdkafka (README)";
constexpr std::chrono::seconds kDestroyLimit(3);
constexpr absl::Duration kRepeatMessageAfter = absl::Minutes(5);
constexpr size_t kMessagesRemembered = 100;

const KafkaSettings& Defaults() {
  static const auto* const settings = new KafkaSettings{
      {"client.id", "tenfold"},
      {"reconnect.backoff.ms", "50"},
      {"reconnect.backoff.max.ms", "1000"},
      {"socket.connection.setup.timeout.ms", "10000"},
      {"socket.timeout.ms", "10000"},
      {"socket.nagle.disable", "true"},
      {"socket.keepalive.enable", "true"},
      {"topic.metadata.refresh.interval.ms", "5000"},
      {"topic.metadata.propagation.max.ms", "3000"},
  };
  return *settings;
}

absl::Status CheckBrokers(const std::string& brokers) {
  for (absl::string_view address : absl::StrSplit(brokers, ',')) {
    const absl::StatusOr<Address> parsed = ParseAddress({address.data(), address.size()});
    if (parsed.ok() && parsed->port != 0) continue;
    const std::string wrong =
        parsed.ok() ? absl::StrCat("'", address, "' has port 0") : std::string(parsed.status().message());
    return absl::InvalidArgumentError(absl::StrCat("Kafka's address is not valid: ", wrong, "; give HOST:PORT[,HOST:PORT]"));
  }
  return absl::OkStatus();
}

// An error names the property but never its value, which may be a secret.
absl::Status Set(rd_kafka_conf_t* conf, const std::string& name, const std::string& value) {
  char ignored[1];
  switch (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), ignored, sizeof(ignored))) {
    case RD_KAFKA_CONF_OK:
      return absl::OkStatus();
    case RD_KAFKA_CONF_UNKNOWN:
      return absl::InvalidArgumentError(
          absl::StrCat("Kafka property '", name, "' is not known to librdkafka ", rd_kafka_version_str()));
    case RD_KAFKA_CONF_INVALID:
      break;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("Kafka property '", name, "' has a value that librdkafka ", rd_kafka_version_str(), " does not take"));
}

// Whether no client of the process has logged this text for a while: all of them meet the same brokers and problems.
bool IsNews(const std::string& text) {
  static auto* const mutex = new Mutex;
  static auto* const seen = new std::map<std::string, absl::Time>;
  const absl::Time now = absl::Now();
  MutexLock lock(mutex);
  std::erase_if(*seen, [&](const auto& entry) { return now - entry.second > kRepeatMessageAfter; });
  if (seen->size() >= kMessagesRemembered) seen->clear();
  return seen->emplace(text, now).second;
}

// "127.0.0.1:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused (after 0ms in state CONNECT)" without
// what varies, and without what librdkafka quotes of a secret.
std::string Failure(std::string_view message) {
  constexpr std::string_view kQuotes = "sasl.oauthbearer.config";
  if (const size_t at = message.find(kQuotes); at != std::string_view::npos)
    message = message.substr(0, at + kQuotes.size());
  return std::string(message.substr(0, message.rfind(" (after ")));
}

// The Failure without the broker's name in front: "Connect to ipv4#127.0.0.1:1 failed: Connection refused".
std::string Reason(std::string_view message) {
  std::string failure = Failure(message);
  for (size_t space; (space = failure.find(' ')) != std::string::npos && space > 0 && failure[space - 1] == ':';) {
    failure.erase(0, space + 1);
  }
  return failure;
}

// The kinds of answers that tell of a change: the first one of every connection, and what names leaders.
constexpr int16_t kApiVersions = 18;
constexpr int16_t kMetadata = 3;

// Called on the thread of the broker's connection, before anything is done with the answer.
rd_kafka_resp_err_t OnAnswer(rd_kafka_t*, int, const char*, int32_t, int16_t kind, int16_t, int32_t, size_t,
                             int64_t round_trip_us, rd_kafka_resp_err_t, void* opaque) {
  auto* changes = static_cast<KafkaChanges*>(opaque);
  if (kind == kApiVersions) ++changes->connections;
  if (kind == kMetadata) ++changes->leader_answers;
  if (kind == kApiVersions || kind == kMetadata)
    changes->round_trip_us = std::max(round_trip_us, changes->round_trip_us * 7 / 8);
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_resp_err_t OnNew(rd_kafka_t* handle, const rd_kafka_conf_t*, void* changes, char*, size_t) {
  return rd_kafka_interceptor_add_on_response_received(handle, kInterceptor, OnAnswer, changes);
}

// Why librdkafka makes no client.
absl::Status Refusal(const std::string& message, bool has_references) {
  if (rd_kafka_last_error() == RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE)
    return absl::UnavailableError(absl::StrCat("no Kafka client can be made: ", message));
  // The message may quote a value.
  return absl::InvalidArgumentError(has_references ? "Kafka's properties do not fit together"
                                                   : absl::StrCat("Kafka's properties do not fit together: ", message));
}

// Makes a client of these settings, which connects to nothing, and ends it again.
absl::Status TryClient(rd_kafka_type_t type, const KafkaSettings& settings, bool has_references) {
  KafkaConf conf(rd_kafka_conf_new());
  for (const auto& [name, value] : settings) {
    if (name == "bootstrap.servers") continue;
    if (absl::Status status = Set(conf.get(), name, value); !status.ok()) return status;
  }
  // What it says of itself is of no interest.
  rd_kafka_conf_set_log_cb(conf.get(), nullptr);
  char message[512];
  rd_kafka_t* const client = rd_kafka_new(type, conf.get(), message, sizeof(message));
  if (client == nullptr) return Refusal(message, has_references);
  conf.release();
  rd_kafka_destroy_flags(client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<KafkaHandle>> KafkaHandle::Create(const LogConfig& config, Options options) {
  if (absl::Status status = CheckBrokers(config.brokers); !status.ok()) return status;
  auto self = std::unique_ptr<KafkaHandle>(new KafkaHandle(config.brokers, std::move(options)));
  KafkaConf conf(rd_kafka_conf_new());
  KafkaSettings settings = Defaults();
  settings.insert(settings.end(), self->options_.defaults.begin(), self->options_.defaults.end());
  bool has_references = false;
  for (const auto& [name, value] : config.properties) {
    absl::StatusOr<std::string> resolved = PropertyValue(name, value, config.property_dirs);
    if (!resolved.ok()) return resolved.status();
    has_references |= *resolved != value;
    settings.emplace_back(name, *std::move(resolved));
  }
  settings.emplace_back("bootstrap.servers", config.brokers);
  settings.insert(settings.end(), self->options_.required.begin(), self->options_.required.end());
  for (const auto& [name, value] : settings) {
    if (absl::Status status = Set(conf.get(), name, value); !status.ok()) return status;
  }
  // librdkafka 2.0.2 frees the list of interceptors of a configuration that it refuses, and so would whoever frees the
  // configuration: so it is to refuse one without. It refuses none of a job that sets no properties.
  if (!config.properties.empty()) {
    if (absl::Status status = TryClient(self->options_.type, settings, has_references); !status.ok()) return status;
  }
  rd_kafka_conf_set_opaque(conf.get(), self.get());
  rd_kafka_conf_set_error_cb(conf.get(), OnError);
  rd_kafka_conf_set_log_cb(conf.get(), OnLog);
  if (self->options_.on_undelivered) rd_kafka_conf_set_dr_msg_cb(conf.get(), OnDelivery);
  const rd_kafka_resp_err_t added =
      rd_kafka_conf_interceptor_add_on_new(conf.get(), kInterceptor, OnNew, self->changes_.get());
  if (added != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return absl::InternalError(absl::StrCat("observe a Kafka client's answers: ", rd_kafka_err2str(added)));
  }
  char message[512];
  self->handle_ = rd_kafka_new(self->options_.type, conf.get(), message, sizeof(message));
  // Where it could not be made after all, for want of a thread, the configuration is left behind.
  conf.release();
  if (self->handle_ == nullptr) return Refusal(message, has_references);
  return self;
}

KafkaHandle::~KafkaHandle() {
  if (handle_ == nullptr) return;
  // librdkafka 2.0.2 may never return from this call (#4187, #932). Such a client is leaked together with its threads.
  std::promise<void> destroyed;
  std::future<void> done = destroyed.get_future();
  std::thread thread([handle = handle_, changes = changes_, promise = std::move(destroyed)]() mutable {
    rd_kafka_destroy_flags(handle, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    promise.set_value();
  });
  if (done.wait_for(kDestroyLimit) == std::future_status::ready) {
    thread.join();
  } else {
    LOG(ERROR) << "A Kafka client of " << brokers_ << " does not end; it is left behind";
    thread.detach();
  }
}

bool KafkaHandle::AllDown() const {
  MutexLock lock(&mutex_);
  return all_down_;
}

void KafkaHandle::MarkUp() {
  MutexLock lock(&mutex_);
  all_down_ = refuses_answers_ = false;
  last_failure_.clear();
}

bool KafkaHandle::RefusesAnswers() const {
  MutexLock lock(&mutex_);
  return refuses_answers_;
}

absl::Status KafkaHandle::Unreachable() const {
  MutexLock lock(&mutex_);
  const char* what = all_down_ ? " is not reachable" : " does not answer in time";
  return absl::UnavailableError(
      absl::StrCat("Kafka at ", brokers_, what, last_failure_.empty() ? "" : absl::StrCat(": ", last_failure_)));
}

void KafkaHandle::OnError(rd_kafka_t*, int code, const char* message, void* opaque) {
  auto* self = static_cast<KafkaHandle*>(opaque);
  const auto error = static_cast<rd_kafka_resp_err_t>(code);
  switch (error) {
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN: {
      MutexLock lock(&self->mutex_);
      self->all_down_ = true;
      break;
    }
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__RESOLVE:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR__SSL: {
      MutexLock lock(&self->mutex_);
      // The same failure may be told again, in fewer words.
      // librdkafka blames old brokers where one is silent.
      if (absl::StrContains(message, "ApiVersionRequest failed")) break;
      if (const std::string reason = Reason(message); !absl::StrContains(self->last_failure_, reason))
        self->last_failure_ = reason;
      if (error == RD_KAFKA_RESP_ERR__AUTHENTICATION && rd_kafka_version() < kScramMended &&
          absl::StrContains(message, "SCRAM") && !absl::StrContains(self->last_failure_, kScramFault))
        self->last_failure_ += kScramFault;
      break;
    }
    case RD_KAFKA_RESP_ERR__BAD_MSG:
      if (absl::StrContains(message, "receive.message.max.bytes")) {
        MutexLock lock(&self->mutex_);
        self->refuses_answers_ = true;
        // What is no broker sends what looks like a large answer.
        self->last_failure_ = absl::StrCat(Reason(message), ", unless what listens there is no Kafka broker");
        break;
      }
      [[fallthrough]];
    default:
      if (self->options_.on_error) self->options_.on_error(error, message);
  }
}

void KafkaHandle::OnLog(const rd_kafka_t*, int level, const char* facility, const char* message) {
  constexpr int kCritical = 2, kWarning = 4, kInfo = 6;
  std::string text = absl::StrCat("Kafka client: ", facility, " ", message);
  if (absl::StrContains(text, "sasl.oauthbearer.config")) text = Failure(text);
  // The embedded broker does not support the request flag that forbids creating topics.
  const bool expected = std::string_view(facility) == "AUTOCREATE";
  if (level <= kCritical) {
    LOG(ERROR) << text;
  } else if (level <= kWarning && !expected && IsNews(Failure(text))) {
    LOG(WARNING) << text;
  } else {
    VLOG(level <= kInfo ? 1 : 2) << text;
  }
}

void KafkaHandle::OnDelivery(rd_kafka_t*, const rd_kafka_message_t* record, void* opaque) {
  if (record->err != RD_KAFKA_RESP_ERR_NO_ERROR) static_cast<KafkaHandle*>(opaque)->options_.on_undelivered(*record);
}

int KafkaMilliseconds(absl::Duration timeout) {
  const int64_t ms = absl::ToInt64Milliseconds(absl::Ceil(timeout, absl::Milliseconds(1)));
  return static_cast<int>(std::clamp<int64_t>(ms, 0, 3'600'000));
}

// RD_KAFKA_RESP_ERR__DESTROY_BROKER, which librdkafka has since 2.10: brokers do not name the one that was asked any more.
constexpr int kBrokerGone = -137;

bool IsTransient(rd_kafka_resp_err_t error) {
  switch (error) {
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE:
    case RD_KAFKA_RESP_ERR__RESOLVE:
    // A certificate, or a password, may be mended; OnError has the cause.
    case RD_KAFKA_RESP_ERR__SSL:
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR__WAIT_COORD:
    case RD_KAFKA_RESP_ERR__WAIT_CACHE:
    case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION:
    case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
    case RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION:
    case RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS:
    case RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NOT_COORDINATOR:
    case RD_KAFKA_RESP_ERR_NOT_CONTROLLER:
    case RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR:
    case RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH:
    case RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH:
      return true;
    default:
      return error == kBrokerGone;
  }
}

}  // namespace tenfold
