// The choice of a reader: our own where brokers and the job's properties are ones that it has, librdkafka's for all else.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/kafka/log.h"
#include "common/kafka/rdkafka_reader.h"
#include "common/kafka/wire_reader.h"
#include "glog/logging.h"

namespace tenfold {
namespace {

std::string NotByWire(const std::string& why) {
  return absl::StrCat("a worker with --reader wire cannot read this, since ", why, "; start it with --reader auto");
}

// Reads with the wire reader until that finds what it does not have, and goes on with librdkafka from there.
class ChoosingReader : public LogReader {
 public:
  ChoosingReader(LogConfig config, std::unique_ptr<WireReader> wire) : config_(std::move(config)), wire_(std::move(wire)) {}

  absl::Status Assign(const std::vector<Start>& starts) override { return current()->Assign(starts); }

  void ReadUpTo(const std::vector<int64_t>& ends) override { current()->ReadUpTo(ends); }

  absl::Status Poll(absl::Duration timeout, std::vector<LogRecord>* records, std::vector<Event>* events) override {
    if (wire_ != nullptr) {
      const absl::Status polled = wire_->Poll(timeout, records, events);
      if (wire_->Unsupported().empty() || !records->empty() || !events->empty()) return polled;
      if (absl::Status status = GiveUpWire(timeout); !status.ok()) return status;
    }
    return rdkafka_->Poll(timeout, records, events);
  }

  bool TakeChanged() override { return current()->TakeChanged(); }
  absl::StatusOr<int64_t> Begin(uint32_t position, absl::Duration timeout) override {
    return current()->Begin(position, timeout);
  }
  void ReadParts(const LogRecord& record, RecordParts* parts) const override { current()->ReadParts(record, parts); }
  uint64_t Hash(const LogRecord& record) const override { return current()->Hash(record); }
  LogIdentity Identity(const LogRecord& record) const override { return current()->Identity(record); }
  absl::Duration TakeWaited() override { return current()->TakeWaited(); }
  std::string Stuck() const override { return current()->Stuck(); }
  std::string WhyRdkafka() const override { return current()->WhyRdkafka(); }

 private:
  LogReader* current() const { return wire_ != nullptr ? static_cast<LogReader*>(wire_.get()) : rdkafka_.get(); }

  absl::Status GiveUpWire(absl::Duration timeout) {
    const std::string why = wire_->Unsupported();
    if (config_.reader == ReaderChoice::kWire) {
      absl::SleepFor(timeout);
      return absl::UnavailableError(NotByWire(why));
    }
    absl::StatusOr<std::unique_ptr<LogReader>> other = MakeRdkafkaReader(config_, why);
    if (!other.ok()) return other.status();
    if (absl::Status status = (*other)->Assign(wire_->Positions()); !status.ok()) return status;
    LOG(INFO) << "Kafka at " << config_.brokers << " is read with librdkafka: " << why;
    rdkafka_ = *std::move(other);
    wire_.reset();
    return absl::OkStatus();
  }

  const LogConfig config_;
  // One of the two.
  std::unique_ptr<WireReader> wire_;
  std::unique_ptr<LogReader> rdkafka_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<LogReader>> LogReader::Create(const LogConfig& config) {
  const std::string unfit = WireReader::Unfit(config);
  if (config.reader == ReaderChoice::kWire && !unfit.empty()) return absl::FailedPreconditionError(NotByWire(unfit));
  if (config.reader == ReaderChoice::kRdkafka) return MakeRdkafkaReader(config, "it is told to with --reader librdkafka");
  if (!unfit.empty()) return MakeRdkafkaReader(config, unfit);
  absl::StatusOr<std::unique_ptr<WireReader>> wire = WireReader::Create(config);
  if (!wire.ok()) return wire.status();
  return std::make_unique<ChoosingReader>(config, *std::move(wire));
}

}  // namespace tenfold
