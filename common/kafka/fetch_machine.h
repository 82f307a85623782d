// Which partition is read from which broker, and what brokers' answers mean: leaders and their epochs, back-off, deadlines.
// Connections are numbered by the caller's clock of events alone; times are microseconds. Pure; used by one thread at a
// time.
//
// Metadata is asked over a connection of its own (kControl), which is closed after the answer. A broker that leads a
// partition has one connection, over which one Fetch is under way at a time; the next one goes out as soon as its answer
// is there, before that is delivered.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/kafka/log.h"
#include "common/kafka/wire_messages.h"
#include "common/text/address.h"

namespace tenfold {

// The connection for metadata; others are named by their broker's id.
inline constexpr int32_t kControl = -1;

class FetchMachine {
 public:
  struct Options {
    std::vector<Address> bootstrap;
    // As in a Fetch.
    int32_t max_wait_ms = 20;
    int32_t min_bytes = 1;
    int32_t max_bytes = 4 << 20;
    int32_t partition_bytes = 1 << 20;
    // How long a partition is left alone at least after an error.
    int64_t error_pause_us = 0;
    // Seeds the jitter of pauses.
    uint32_t seed = 0;
  };

  // What is to be done with a connection. One that is opened was not there before, and one that is closed was.
  struct Action {
    enum class Kind { kOpen, kClose, kAsk } kind = Kind::kOpen;
    int32_t connection = 0;
    // Where it is opened to.
    Address address = {};
    // What is asked over it.
    WireCall call = WireCall::kApiVersions;
    int16_t version = 0;
    std::string question = {};
  };

  // What an answer brought of a partition.
  struct Delivery {
    uint32_t position = 0;
    // Whole batches, a view of the answer; records below `from` were not asked for.
    std::string_view batches;
    int64_t from = 0;
    // By their first offsets.
    std::vector<WireFetched::Aborted> aborted;
    // The next offset behind them.
    int64_t next_offset = 0;
    // There is nothing behind them yet, or nothing that is wanted, and that was not told.
    bool at_end = false;
    // Which log ends at next_offset.
    LogIdentity identity = {};
    // Which connection to which broker it came over, no two of which have the same number; the epoch of the leader that was
    // asked; and how often the partition had got a leader when none was known.
    struct Source {
      uint64_t connection = 0;
      int32_t leader_epoch = -1;
      uint64_t times_led = 0;
      bool operator==(const Source&) const = default;
    };
    Source source = {};
  };

  explicit FetchMachine(Options options);

  // Reads these partitions from now on. Answers to what was asked before are dropped.
  void Assign(const std::vector<LogReader::Start>& starts, int64_t now_us);

  // As LogReader has it.
  void ReadUpTo(const std::vector<int64_t>& ends);

  // Returns what is due.
  std::vector<Action> Act(int64_t now_us);
  // When Act has something to do, at the latest.
  int64_t NextTimeUs() const;

  // The connection is open.
  void OnOpen(int32_t connection);
  // A part of an answer came over it.
  void OnProgress(int32_t connection, int64_t now_us);
  // Nobody looked at the connections for so long: deadlines move by that.
  void OnPaused(int64_t paused_us);
  // It could not be opened, or was lost, and is not there any more; `why` follows the broker's name.
  void OnLost(int32_t connection, std::string_view why, int64_t now_us);
  // The answer to the last Ask over the connection. Deliveries are views of it. With an error, the connection is lost, as
  // after OnLost.
  absl::StatusOr<std::vector<Delivery>> OnAnswer(int32_t connection, std::string_view answer, int64_t now_us);
  // What was delivered of the partition from this offset on could not be read; `why` follows "its batch".
  void OnUnreadable(uint32_t position, int64_t offset, std::string_view why);

  // Who leads the partition; none if that is not known.
  struct Leader {
    Address address;
    int32_t epoch = -1;
  };
  std::optional<Leader> LeaderOf(uint32_t position) const;
  // Which log the partition's batches of this epoch are of.
  LogIdentity IdentityOf(uint32_t position, int32_t leader_epoch) const {
    return {cluster_, partitions_[position].id, leader_epoch};
  }

  // Takes the events since the last call.
  std::vector<LogReader::Event> TakeEvents();
  // Why nothing comes of any broker; empty if one answers, or may yet.
  const std::string& unreachable() const { return unreachable_; }
  // Which partition is wanted and fails again and again, or its leader does or throttles, and why; empty if none does.
  std::string Stuck() const;
  // Why a broker is not one that this can read from, and another reader should; empty if none is.
  const std::string& unsupported() const { return unsupported_; }

 private:
  struct Partition {
    TopicPartition name;
    TopicId id{};
    // Records of the topic with this id were read before, and so it has to be this one.
    bool id_is_read = false;
    // The cluster that it is of; empty if that is not known, or another than this one.
    std::string known_cluster;
    // The last metadata had no id of it.
    bool asks_by_name = false;
    int64_t next_offset = 0;
    // Where Assign has it begin, up to which offset it is wanted, and the offset that was told as its end, -1 if none was.
    int64_t begin = 0;
    int64_t up_to = 0;
    int64_t end_told = -1;
    // Of the last batch before next_offset, as far as it is known.
    int32_t last_epoch = -1;
    int32_t leader = -1;
    int32_t leader_epoch = -1;
    // How often a leader became known when there was none.
    uint64_t times_led = 0;
    // Nothing more is delivered until Assign.
    bool stopped = false;
    // Not asked for before.
    int64_t retry_us = 0;
    // Since when brokers say that it is not there, or another; 0 if they do not.
    int64_t missing_since_us = 0;
    // Since when they name a leader of an older epoch than is known; 0 if they do not.
    int64_t older_since_us = 0;
    int32_t max_bytes = 0;
    // How many of its answers in a row were errors, or led nowhere, and what the last one was: a clause.
    int failures = 0;
    std::string trouble;

    // Notes that next_offset is told as the end. Returns false if it was told before.
    bool TellEnd() { return std::exchange(end_told, next_offset) != next_offset; }
    bool IsReadFrom(int32_t broker) const { return !stopped && leader == broker; }
    bool IsDue(int32_t broker, int64_t now_us) const {
      return IsReadFrom(broker) && now_us >= retry_us && next_offset < up_to;
    }
  };
  struct Broker {
    Address address;
    // Where its connection was opened to, which metadata may have taken back since.
    Address opened;
    // kOpen: connected, and asked nothing. kVersions: asked which versions it knows.
    enum class State { kClosed, kOpening, kOpen, kVersions, kReady } state = State::kClosed;
    // Which of all brokers' connections it is.
    uint64_t source = 0;
    int16_t fetch_version = -1;
    int16_t metadata_version = -1;
    // When an answer, or the connection, that is awaited counts as lost; 0 if none is. When it was asked for, and how long
    // the broker may hold it back.
    int64_t deadline_us = 0;
    int64_t asked_us = 0;
    int64_t waits_us = 0;
    // The Fetch under way: its version, the positions in order, the call of Assign before it.
    int16_t asked_version = 0;
    std::vector<uint32_t> asked;
    uint64_t assignment = 0;
    // Not to be opened, or asked, before; and how often it was lost since it was last of use.
    int64_t retry_us = 0;
    int failures = 0;
    // Its last answer said to wait.
    bool throttles = false;
    // Why it was lost the last time: a sentence that begins with its name.
    std::string lost;
    // How many answers in a row had nothing and came at once.
    int hasty = 0;
    // Whose turn is first in the next Fetch.
    size_t turn = 0;
    // The longest answer of late, without what the broker held it back.
    int64_t longest_us = 0;
  };

  Broker& At(int32_t connection);
  // It is being connected to where it is not any more.
  static bool IsAstray(const Broker& broker);
  int64_t Pause(int failures);
  // Something of the partition's failed once more.
  void PauseAfterError(Partition* partition, int64_t now_us);
  static int64_t PatienceUs(const Broker& broker);
  static void Expect(Broker* broker, int64_t waits_us, int64_t now_us);
  bool WantsMetadata(int64_t now_us) const;
  void Connect(int32_t connection, Broker* broker, int64_t now_us, std::vector<Action>* actions);
  // Closes the connection, of which nothing is expected any more.
  static void Close(int32_t connection, Broker* broker, std::vector<Action>* actions);
  void ActOnControl(int64_t now_us, std::vector<Action>* actions);
  void ActOnConnection(int32_t connection, Broker* broker, int64_t now_us, std::vector<Action>* actions);
  void AskFetch(int32_t id, Broker* broker, int64_t now_us, std::vector<Action>* actions);

  absl::StatusOr<std::vector<Delivery>> Understand(int32_t connection, std::string_view answer, int64_t now_us);
  void NoteHaste(Broker* broker, const WireFetched& fetched, int64_t now_us);
  void OnMetadata(const WireMetadata& metadata, int64_t now_us);
  static void ForgetLog(Partition* partition);
  void OnTopic(uint32_t position, const WireMetadata::Topic& topic, int64_t now_us);
  void OnMissing(uint32_t position, LogReader::Event::Kind kind, std::string_view why, int64_t now_us);
  std::vector<Delivery> OnFetched(int32_t id, const WireFetched& fetched, int64_t now_us);
  std::optional<Delivery> OnPartition(int32_t id, uint32_t position, const WireFetched::Partition& fetched, bool first,
                                      int64_t now_us);
  void OnError(uint32_t position, WireError error, bool knows_leader, int64_t now_us);
  void Stop(uint32_t position, std::string message);
  void Stop(uint32_t position, std::string message, LogReader::Event::Kind kind, int64_t next_offset);

  const Options options_;
  std::minstd_rand random_;
  std::vector<Partition> partitions_;
  // Counts calls of Assign.
  uint64_t assignment_ = 0;
  std::vector<LogReader::Event> events_;

  std::map<int32_t, Broker> brokers_;
  // The cluster's id, as the last metadata had it.
  std::string cluster_;
  // Counts connections.
  uint64_t sources_ = 0;
  Broker control_;
  // Which of the addresses the next connection for metadata goes to.
  size_t bootstrap_ = 0;
  // How often in a row a partition's leader was not known afterwards.
  int leaderless_ = 0;
  // The leaders that are known may be out of date.
  bool leaders_wanted_ = true;

  std::string unreachable_;
  std::string unsupported_;
};

}  // namespace tenfold
