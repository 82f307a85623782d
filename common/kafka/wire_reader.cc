#include "common/kafka/wire_reader.h"

#include <poll.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <initializer_list>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string_view>
#include <tuple>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "common/kafka/fetch_machine.h"
#include "common/kafka/record_batch.h"
#include "common/kafka/wire_connection.h"
#include "common/kafka/wire_security.h"
#include "common/kafka/wire_socket.h"
#include "glog/logging.h"

namespace tenfold {
namespace {

constexpr size_t kMaxRecordsPerPoll = 10'000;
// What a poll uncompresses at most, but for the last batch.
constexpr size_t kMaxUncompressedPerPoll = 4 << 20;
// Buffers of answers that are kept for the next ones.
constexpr size_t kSpareBuffers = 2;
constexpr size_t kMostSpareBytes = 16 << 20;
// How often it is asked whether a name was looked up.
constexpr int64_t kLookUpPauseUs = 5'000;

// As in the other reader: how long a broker without new records holds its answer back. As records are asked for that are
// there, it has no use for patience.
constexpr int32_t kWaitMs = 20;
// How much is fetched at once, of a partition and of a broker.
constexpr int32_t kPartitionBytes = 1 << 20;
constexpr int32_t kPartitionsPerFetch = 4;

// What this reader makes of a property. Those of other names it does not have.
constexpr std::string_view kKnown[] = {
    "client.id",         "fetch.error.backoff.ms",   "fetch.max.bytes", "fetch.min.bytes", "fetch.message.max.bytes",
    "fetch.wait.max.ms", "max.partition.fetch.bytes"};

// By a clock that nobody sets.
int64_t NowUs() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::microseconds>(now).count();
}

int32_t Bounded(int64_t bytes) {
  return static_cast<int32_t>(std::min<int64_t>(bytes, std::numeric_limits<int32_t>::max()));
}

// The value of the last of these properties that is set.
int32_t Number(const LogConfig& config, std::initializer_list<const char*> names, int32_t otherwise) {
  for (const char* name : names) {
    const auto it = config.properties.find(name);
    int32_t number = 0;
    if (it != config.properties.end() && absl::SimpleAtoi(it->second, &number)) otherwise = number;
  }
  return otherwise;
}

absl::StatusOr<FetchMachine::Options> MachineOptions(const LogConfig& config) {
  FetchMachine::Options options;
  options.seed = std::random_device()();
  for (const absl::string_view text : absl::StrSplit(config.brokers, ',', absl::SkipWhitespace())) {
    absl::StatusOr<Address> address = ParseAddress(std::string(absl::StripAsciiWhitespace(text)));
    if (!address.ok()) return address.status();
    options.bootstrap.push_back(*std::move(address));
  }
  options.partition_bytes = kPartitionBytes;
  // One answer is delivered while the next one is under way, of several brokers.
  if (config.read_ahead_bytes > 0)
    options.partition_bytes =
        static_cast<int32_t>(std::clamp<size_t>(config.read_ahead_bytes / 16, 16 << 10, kPartitionBytes));
  options.max_wait_ms = kWaitMs;
  options.partition_bytes =
      Number(config, {"fetch.message.max.bytes", "max.partition.fetch.bytes"}, options.partition_bytes);
  options.max_bytes = Number(config, {"fetch.max.bytes"}, Bounded(int64_t{kPartitionsPerFetch} * options.partition_bytes));
  options.max_wait_ms = Number(config, {"fetch.wait.max.ms"}, options.max_wait_ms);
  options.min_bytes = Number(config, {"fetch.min.bytes"}, options.min_bytes);
  options.error_pause_us = int64_t{1000} * Number(config, {"fetch.error.backoff.ms"}, 0);
  return options;
}

class OwnWireReader : public WireReader {
 public:
  OwnWireReader(const LogConfig& config, FetchMachine::Options options)
      : brokers_(config.brokers), security_(config), machine_(std::move(options)) {}

  // INVALID_ARGUMENT if what connections need of files and secrets cannot be used.
  absl::Status CheckSecurity() { return security_.ForConnection().status(); }

  absl::Status Assign(const std::vector<Start>& starts) override {
    std::set<TopicPartition> names;
    for (const Start& start : starts) {
      if (start.offset < 0)
        return absl::InvalidArgumentError(
            absl::StrCat("read ", start.partition.Name(), " at ", start.offset, ", which is no offset"));
      if (!names.insert(start.partition).second)
        return absl::InvalidArgumentError(absl::StrCat("read ", start.partition.Name(), " twice at once"));
    }
    Release();
    deliveries_.clear();
    moved_ = false;
    reading_.clear();
    for (const Start& start : starts) reading_.push_back({.start = start});
    machine_.Assign(starts, NowUs());
    return absl::OkStatus();
  }

  void ReadUpTo(const std::vector<int64_t>& ends) override { machine_.ReadUpTo(ends); }

  absl::Status Poll(absl::Duration timeout, std::vector<LogRecord>* records, std::vector<Event>* events) override {
    records->clear();
    events->clear();
    Release();
    const int64_t deadline_us = NowUs() + absl::ToInt64Microseconds(std::min(timeout, absl::Hours(1)));
    for (bool waited = false;; waited = true) {
      NotePause();
      // The next answer is on its way while this one is delivered.
      Do(machine_.Act(NowUs()));
      Deliver(records, events);
      // An event of a partition is told behind the records before it, and not at all if another reader is to read those.
      if (deliveries_.empty() && Unsupported().empty()) {
        for (Event& event : machine_.TakeEvents()) events->push_back(std::move(event));
      }
      if (!records->empty() || !events->empty()) return absl::OkStatus();
      if (!Unsupported().empty() || (waited && NowUs() >= deadline_us)) break;
      Wait(deadline_us);
    }
    if (machine_.unreachable().empty()) return absl::OkStatus();
    return absl::UnavailableError(absl::StrCat("Kafka at ", brokers_, " is not reachable: ", machine_.unreachable()));
  }

  bool TakeChanged() override { return std::exchange(moved_, false); }

  absl::StatusOr<int64_t> Begin(uint32_t position, absl::Duration timeout) override {
    const absl::Time deadline = absl::Now() + timeout;
    const TopicPartition& partition = reading_[position].start.partition;
    const std::string ask = absl::StrCat("ask where ", partition.Name(), " begins: ");
    const std::optional<FetchMachine::Leader> leader = machine_.LeaderOf(position);
    if (!leader) return absl::UnavailableError(absl::StrCat(ask, "it has no leader"));
    const absl::StatusOr<WireSession> session = security_.ForConnection();
    if (!session.ok()) return session.status();
    absl::StatusOr<WireConnection> connection = WireConnection::Connect(leader->address, *session, deadline);
    if (!connection.ok()) return absl::UnavailableError(absl::StrCat(ask, std::string(connection.status().message())));
    const absl::StatusOr<std::string> answer =
        connection->Call(static_cast<int16_t>(WireCall::kListOffsets), kListOffsetsVersion,
                         FirstOffsetQuestion(partition.topic, partition.partition, leader->epoch), deadline);
    if (!answer.ok()) return absl::UnavailableError(absl::StrCat(ask, std::string(answer.status().message())));
    const absl::StatusOr<int64_t> offset = ReadFirstOffset(*answer);
    if (!offset.ok()) return absl::UnavailableError(absl::StrCat(ask, std::string(offset.status().message())));
    return offset;
  }

  void ReadParts(const LogRecord& record, RecordParts* parts) const override {
    ReadRecordParts(batches_[record.batch], record.handle, parts);
  }

  uint64_t Hash(const LogRecord& record) const override { return HashRecord(batches_[record.batch], record.handle); }

  LogIdentity Identity(const LogRecord& record) const override {
    return machine_.IdentityOf(record.position, batches_[record.batch].leader_epoch);
  }

  absl::Duration TakeWaited() override { return std::exchange(waited_, absl::ZeroDuration()); }

  std::string Stuck() const override { return machine_.Stuck(); }

  std::string WhyRdkafka() const override { return ""; }

  std::string Unsupported() const override { return unsupported_.empty() ? machine_.unsupported() : unsupported_; }

  std::vector<Start> Positions() const override {
    std::vector<Start> starts;
    for (const Reading& reading : reading_) starts.push_back(reading.start);
    return starts;
  }

 private:
  using Buffer = std::shared_ptr<WireBuffer>;

  struct Reading {
    // Where it goes on behind what was delivered.
    Start start;
    // Where its last records came from; no connection if none did since Assign.
    FetchMachine::Delivery::Source source = {};
  };
  struct Connection {
    Connection(const Address& broker, WireSession session, Buffer first)
        : socket(broker, std::move(session)), buffer(std::move(first)) {}
    WireSocket socket;
    Buffer buffer;
    bool told_open = false;
  };
  // A delivery of the machine as far as it was not handed out yet.
  struct Delivering {
    FetchMachine::Delivery delivery;
    Buffer buffer;
    // The next aborted transaction of the index, and the producers of those that have begun and not ended.
    size_t next_aborted = 0;
    std::set<int64_t> aborted;
    // The batch whose records are being read; nothing of it is left if it is done.
    RecordBatch batch;
    BatchRecords records;
    // What it was uncompressed into.
    Buffer uncompressed;
  };

  Buffer TakeBuffer() {
    if (spare_.empty()) return std::make_shared<WireBuffer>();
    Buffer buffer = std::move(spare_.back());
    spare_.pop_back();
    return buffer;
  }

  void GiveBack(Buffer buffer) {
    if (buffer != nullptr && buffer.use_count() == 1 && spare_.size() < kSpareBuffers &&
        buffer->capacity() <= kMostSpareBytes)
      spare_.push_back(std::move(buffer));
  }

  // The records of the last poll are not used any more.
  void Release() {
    batches_.clear();
    uncompressed_ = 0;
    for (Buffer& buffer : held_) GiveBack(std::move(buffer));
    held_.clear();
  }

  // ---- handing out ----

  bool IsEnough(const std::vector<LogRecord>& records) const {
    return records.size() >= kMaxRecordsPerPoll || (!records.empty() && uncompressed_ >= kMaxUncompressedPerPoll);
  }

  void Deliver(std::vector<LogRecord>* records, std::vector<Event>* events) {
    while (!deliveries_.empty() && !IsEnough(*records)) {
      Delivering& front = deliveries_.front();
      if (!DeliverSome(&front, records, events)) return;
      held_.push_back(std::move(front.buffer));
      // What was uncompressed and turned out to be damaged may have records that are handed out.
      if (front.uncompressed != nullptr) held_.push_back(std::move(front.uncompressed));
      deliveries_.pop_front();
    }
  }

  // Returns whether nothing of the delivery is left.
  bool DeliverSome(Delivering* delivering, std::vector<LogRecord>* records, std::vector<Event>* events) {
    FetchMachine::Delivery& delivery = delivering->delivery;
    Reading& reading = reading_[delivery.position];
    if (!delivery.batches.empty() || !delivering->records.done()) {
      moved_ |= reading.source.connection != 0 && reading.source != delivery.source;
      reading.source = delivery.source;
    }
    while (true) {
      if (!delivering->records.done()) {
        const size_t before = records->size();
        const absl::Status read = delivering->records.Read(delivery.position, static_cast<uint32_t>(batches_.size()),
                                                           kMaxRecordsPerPoll - before, records);
        if (records->size() > before) {
          reading.start.offset = records->back().offset + 1;
          batches_.push_back(delivering->batch);
        }
        if (!read.ok()) return Refuse(delivering, read);
        if (!delivering->records.done()) return false;
        reading.start.offset = std::max(reading.start.offset, delivering->batch.last_offset() + 1);
        if (delivering->uncompressed != nullptr) held_.push_back(std::move(delivering->uncompressed));
        delivering->uncompressed = nullptr;
        if (IsEnough(*records) && !delivery.batches.empty()) return false;
      }
      if (delivery.batches.empty()) break;
      if (absl::Status status = NextBatch(delivering); !status.ok()) return Refuse(delivering, status);
    }
    reading.start.offset = std::max(reading.start.offset, delivery.next_offset);
    if (delivery.at_end)
      events->push_back({Event::Kind::kEnd, delivery.position, delivery.next_offset, "", delivery.identity});
    return true;
  }

  // Takes the next batch off. Its records are to be read next, unless it has none that count.
  absl::Status NextBatch(Delivering* delivering) {
    FetchMachine::Delivery& delivery = delivering->delivery;
    RecordBatch& batch = delivering->batch;
    const absl::StatusOr<bool> taken = TakeBatch(&delivery.batches, &batch);
    if (!taken.ok()) return taken.status();
    if (!*taken) {
      delivery.batches = {};
      return absl::OkStatus();
    }
    Reading& reading = reading_[delivery.position];
    for (; delivering->next_aborted < delivery.aborted.size(); ++delivering->next_aborted) {
      const WireFetched::Aborted& next = delivery.aborted[delivering->next_aborted];
      if (next.first_offset > batch.last_offset()) break;
      delivering->aborted.insert(next.producer_id);
    }
    // No record comes twice, whatever the broker sends.
    const int64_t from = std::max(delivery.from, reading.start.offset);
    bool counts = batch.last_offset() >= from;
    if (batch.is_control()) {
      const absl::StatusOr<bool> aborts = IsAbort(batch);
      if (!aborts.ok()) return aborts.status();
      if (*aborts) delivering->aborted.erase(batch.producer_id);
      counts = false;
    } else if (batch.is_transactional() && delivering->aborted.contains(batch.producer_id)) {
      counts = false;
    }
    if (!counts) {
      reading.start.offset = std::max(reading.start.offset, batch.last_offset() + 1);
      return absl::OkStatus();
    }
    std::string_view records = batch.records;
    if (batch.codec() != BatchCodec::kNone) {
      delivering->uncompressed = TakeBuffer();
      const absl::StatusOr<std::string_view> uncompressed = uncompressor_.Uncompress(batch, delivering->uncompressed.get());
      if (!uncompressed.ok()) return uncompressed.status();
      records = *uncompressed;
      uncompressed_ += delivering->uncompressed->capacity();
    }
    delivering->records = BatchRecords(batch, records, from);
    return absl::OkStatus();
  }

  // The partition cannot be read on; what is unknown here may be known to another reader. Returns that nothing is left.
  bool Refuse(Delivering* delivering, const absl::Status& status) {
    const uint32_t position = delivering->delivery.position;
    const std::string why(status.message());
    const Start& start = reading_[position].start;
    if (absl::IsUnimplemented(status)) {
      unsupported_ = absl::StrCat(start.partition.Name(), " at ", start.offset, ": a batch ", why);
      deliveries_.erase(deliveries_.begin() + 1, deliveries_.end());
      return true;
    }
    machine_.OnUnreadable(position, start.offset, why);
    // Nor is what came behind it.
    for (size_t i = 1; i < deliveries_.size(); ++i) {
      if (deliveries_[i].delivery.position != position) continue;
      deliveries_[i].delivery.batches = {};
      deliveries_[i].delivery.next_offset = start.offset;
      deliveries_[i].delivery.at_end = false;
    }
    return true;
  }

  // ---- connections ----

  void Do(const std::vector<FetchMachine::Action>& actions) {
    for (const FetchMachine::Action& action : actions) {
      switch (action.kind) {
        case FetchMachine::Action::Kind::kOpen:
          Open(action.connection, action.address);
          break;
        case FetchMachine::Action::Kind::kClose:
          Drop(action.connection);
          break;
        case FetchMachine::Action::Kind::kAsk:
          WireSocket& socket = connections_.at(action.connection).socket;
          socket.Ask({.call = static_cast<int16_t>(action.call), .version = action.version, .text = action.question});
          if (absl::Status sent = socket.Advance(); !sent.ok()) Lose(action.connection, sent);
          break;
      }
    }
  }

  void Open(int32_t connection, const Address& broker) {
    absl::StatusOr<WireSession> session = security_.ForConnection();
    if (!session.ok()) return Lose(connection, session.status());
    connections_.emplace(std::piecewise_construct, std::forward_as_tuple(connection),
                         std::forward_as_tuple(broker, *std::move(session), TakeBuffer()));
  }

  void Drop(int32_t connection) {
    const auto it = connections_.find(connection);
    if (it == connections_.end()) return;
    GiveBack(std::move(it->second.buffer));
    connections_.erase(it);
  }

  void Lose(int32_t connection, const absl::Status& why) {
    VLOG(1) << "connection " << connection << " to Kafka at " << brokers_ << ": " << why.message();
    Drop(connection);
    machine_.OnLost(connection, std::string(why.message()), NowUs());
  }

  // Tells the machine for how long nobody looked at the connections.
  void NotePause() {
    const int64_t now_us = NowUs();
    if (looked_us_ != 0) machine_.OnPaused(now_us - looked_us_);
    looked_us_ = now_us;
  }

  // Waits until there is something to do with a connection, or for the machine, and does what there is with connections.
  void Wait(int64_t deadline_us) {
    const int64_t asked_us = NowUs();
    std::vector<pollfd> awaited;
    int64_t until_us = std::min(deadline_us, machine_.NextTimeUs());
    for (const auto& [id, connection] : connections_) {
      awaited.push_back(connection.socket.Awaited());
      if (awaited.back().fd < 0) until_us = std::min(until_us, asked_us + kLookUpPauseUs);
    }
    // Rounded up, so that nothing is looked at a thousand times within its last millisecond.
    const int64_t wait_ms = until_us <= asked_us ? 0 : (until_us - asked_us) / 1000 + 1;
    poll(awaited.data(), awaited.size(), static_cast<int>(wait_ms));
    looked_us_ = NowUs();
    waited_ += absl::Microseconds(looked_us_ - asked_us);
    size_t i = 0;
    std::vector<int32_t> ready;
    for (const auto& [id, connection] : connections_) {
      const pollfd& polled = awaited[i++];
      if (polled.fd < 0 || polled.revents != 0) ready.push_back(id);
    }
    for (const int32_t id : ready) Serve(id);
  }

  void Serve(int32_t id) {
    Connection& connection = connections_.at(id);
    if (absl::Status status = connection.socket.Advance(); !status.ok()) return Lose(id, status);
    if (!connection.socket.is_open()) return;
    if (!std::exchange(connection.told_open, true)) return machine_.OnOpen(id);
    const uint64_t before = connection.socket.received();
    const absl::StatusOr<bool> whole = connection.socket.Receive(connection.buffer.get());
    if (!whole.ok()) return Lose(id, whole.status());
    if (!*whole) {
      if (connection.socket.received() > before) machine_.OnProgress(id, NowUs());
      return;
    }
    Buffer buffer = std::exchange(connection.buffer, TakeBuffer());
    absl::StatusOr<std::vector<FetchMachine::Delivery>> deliveries =
        machine_.OnAnswer(id, connection.socket.Answer(*buffer), NowUs());
    if (!deliveries.ok()) {
      VLOG(1) << "connection " << id << " to Kafka at " << brokers_ << ": " << deliveries.status().message();
      return Drop(id);
    }
    for (FetchMachine::Delivery& delivery : *deliveries) {
      Delivering& delivering = deliveries_.emplace_back();
      delivering.delivery = std::move(delivery);
      delivering.buffer = buffer;
    }
    GiveBack(std::move(buffer));
  }

  const std::string brokers_;
  WireSecurity security_;
  FetchMachine machine_;
  std::map<int32_t, Connection> connections_;

  std::vector<Reading> reading_;
  std::deque<Delivering> deliveries_;
  // Records of a partition came over another connection than before.
  bool moved_ = false;
  std::string unsupported_;

  BatchUncompressor uncompressor_;
  // Of the last poll: the batches of its records, what they are views of, and how much was uncompressed.
  std::vector<RecordBatch> batches_;
  std::vector<Buffer> held_;
  size_t uncompressed_ = 0;
  std::vector<Buffer> spare_;
  absl::Duration waited_;
  // When the connections were last looked at; 0 if they never were.
  int64_t looked_us_ = 0;
};

}  // namespace

std::string WireReader::Unfit(const LogConfig& config) {
  for (const auto& [name, value] : config.properties) {
    if (WireSecurity::Has(name)) continue;
    int32_t number = 0;
    const bool known = std::ranges::find(kKnown, name) != std::end(kKnown);
    const bool usable = name == "client.id" ? !value.starts_with("${") : absl::SimpleAtoi(value, &number) && number >= 0;
    if (!known || !usable) return absl::StrCat("the job sets ", name);
  }
  return WireSecurity::Unfit(config);
}

absl::StatusOr<std::unique_ptr<WireReader>> WireReader::Create(const LogConfig& config) {
  absl::StatusOr<FetchMachine::Options> options = MachineOptions(config);
  if (!options.ok()) return options.status();
  auto reader = std::make_unique<OwnWireReader>(config, *std::move(options));
  if (absl::Status secured = reader->CheckSecurity(); !secured.ok()) return secured;
  return reader;
}

}  // namespace tenfold
