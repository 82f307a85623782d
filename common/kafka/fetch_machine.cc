#include "common/kafka/fetch_machine.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"

namespace tenfold {
namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
constexpr int64_t kMs = 1000;

// Pauses before something that failed is tried again: doubled from one to the next, and a quarter more or less.
constexpr int64_t kLeastPauseUs = 100 * kMs;
constexpr int64_t kMostPauseUs = 1000 * kMs;
// How long an answer may take beyond what the broker was told to wait: so many times the longest of late, within bounds.
constexpr int64_t kTimesLongest = 8;
constexpr int64_t kLeastPatienceUs = 5'000 * kMs;
constexpr int64_t kMostPatienceUs = 30'000 * kMs;
// However much of it comes, an answer takes no longer than this; nor is a broker left alone for longer that asks for it.
constexpr int64_t kMostAnswerUs = 300'000 * kMs;
constexpr int64_t kMostThrottleUs = 60'000 * kMs;
// How many answers in a row may have nothing and come at once, before a broker is asked less often.
constexpr int kHasty = 5;
// How often in a row a leader has to be lost, or a partition to fail, before that is told.
constexpr int kLossesTold = 3;
constexpr int kErrorsTold = 10;

FetchMachine::Action Ask(int32_t connection, WireCall call, int16_t version, std::string question) {
  return {FetchMachine::Action::Kind::kAsk, connection, {}, call, version, std::move(question)};
}

}  // namespace

FetchMachine::FetchMachine(Options options) : options_(std::move(options)), random_(options_.seed) {}

int64_t FetchMachine::Pause(int failures) {
  const int64_t pause = std::min(kMostPauseUs, kLeastPauseUs << std::clamp(failures - 1, 0, 10));
  return pause * std::uniform_int_distribution<int64_t>(75, 125)(random_) / 100;
}

void FetchMachine::PauseAfterError(Partition* partition, int64_t now_us) {
  partition->retry_us = now_us + std::max(Pause(++partition->failures), options_.error_pause_us);
}

int64_t FetchMachine::PatienceUs(const Broker& broker) {
  return broker.waits_us + std::clamp(kTimesLongest * broker.longest_us, kLeastPatienceUs, kMostPatienceUs);
}

void FetchMachine::Assign(const std::vector<LogReader::Start>& starts, int64_t now_us) {
  std::vector<Partition> before = std::exchange(partitions_, {});
  ++assignment_;
  events_.clear();
  for (auto& [id, broker] : brokers_) broker.turn = 0;
  for (size_t i = 0; i < starts.size(); ++i) {
    Partition& partition = partitions_.emplace_back();
    partition.name = starts[i].partition;
    const auto is_it = [&](const Partition& other) { return other.name == partition.name; };
    auto it = i < before.size() && is_it(before[i]) ? before.begin() + static_cast<std::ptrdiff_t>(i)
                                                    : std::ranges::find_if(before, is_it);
    // A partition keeps its leader and its pause, as a reader may begin again and again.
    if (it != before.end()) partition = std::move(*it);
    const LogIdentity& known = starts[i].known;
    partition.next_offset = partition.begin = starts[i].offset;
    partition.up_to = kNever;
    partition.end_told = -1;
    partition.last_epoch = known.leader_epoch;
    if (std::exchange(partition.stopped, false)) {
      // It may be another topic by now.
      partition.id = {};
      partition.leader = -1;
      partition.leader_epoch = -1;
      partition.missing_since_us = 0;
    }
    partition.older_since_us = 0;
    partition.known_cluster = known.cluster;
    partition.id_is_read = known.topic_id != TopicId{};
    if (partition.id_is_read && partition.id != known.topic_id) {
      partition.id = known.topic_id;
      // The leader may be that of another topic.
      partition.leader = -1;
      partition.leader_epoch = -1;
    }
    partition.retry_us = std::min(partition.retry_us, now_us);
    if (partition.max_bytes == 0) partition.max_bytes = options_.partition_bytes;
    leaders_wanted_ |= partition.leader < 0;
  }
}

void FetchMachine::ReadUpTo(const std::vector<int64_t>& ends) {
  for (uint32_t position = 0; position < partitions_.size(); ++position) {
    Partition& partition = partitions_[position];
    partition.up_to = ends[position];
    // A partition that was read that far already brings no delivery that would tell its end.
    if (partition.stopped || partition.next_offset < partition.up_to || partition.next_offset == partition.begin) continue;
    if (!partition.TellEnd()) continue;
    events_.push_back(
        {LogReader::Event::Kind::kEnd, position, partition.next_offset, "", IdentityOf(position, partition.last_epoch)});
  }
}

// ---- what is due ----

bool FetchMachine::WantsMetadata(int64_t now_us) const {
  return now_us >= control_.retry_us &&
         (leaders_wanted_ || std::ranges::any_of(partitions_, [&](const Partition& partition) {
            return !partition.stopped && partition.leader < 0;
          }));
}

void FetchMachine::ActOnControl(int64_t now_us, std::vector<Action>* actions) {
  if (control_.state == Broker::State::kClosed && WantsMetadata(now_us)) {
    std::vector<Address> addresses = options_.bootstrap;
    for (const auto& [id, broker] : brokers_) addresses.push_back(broker.address);
    if (addresses.empty()) return;
    control_.address = addresses[bootstrap_++ % addresses.size()];
    Connect(kControl, &control_, now_us, actions);
  } else if (control_.state == Broker::State::kReady && control_.deadline_us == 0) {
    if (!WantsMetadata(now_us)) {
      Close(kControl, &control_, actions);
      return;
    }
    std::vector<std::string> topics;
    for (const Partition& partition : partitions_) topics.push_back(partition.name.topic);
    std::ranges::sort(topics);
    topics.erase(std::unique(topics.begin(), topics.end()), topics.end());
    leaders_wanted_ = false;
    Expect(&control_, 0, now_us);
    const int16_t version = control_.metadata_version;
    actions->push_back(Ask(kControl, WireCall::kMetadata, version, MetadataQuestion(version, topics)));
  }
}

void FetchMachine::Connect(int32_t connection, Broker* broker, int64_t now_us, std::vector<Action>* actions) {
  broker->state = Broker::State::kOpening;
  broker->source = ++sources_;
  broker->opened = broker->address;
  Expect(broker, 0, now_us);
  // The look-up of its name may wait for a second server, and a login take its time.
  const int64_t patience_us = std::min(kMostPatienceUs, kLeastPatienceUs << std::min(broker->failures, 10));
  broker->deadline_us = std::max(broker->deadline_us, now_us + patience_us);
  actions->push_back({.kind = Action::Kind::kOpen, .connection = connection, .address = broker->address});
}

void FetchMachine::Close(int32_t connection, Broker* broker, std::vector<Action>* actions) {
  broker->state = Broker::State::kClosed;
  actions->push_back({.kind = Action::Kind::kClose, .connection = connection});
}

void FetchMachine::Expect(Broker* broker, int64_t waits_us, int64_t now_us) {
  broker->asked_us = now_us;
  broker->waits_us = waits_us;
  broker->deadline_us = now_us + PatienceUs(*broker);
}

bool FetchMachine::IsAstray(const Broker& broker) {
  const bool is_opening = broker.state != Broker::State::kClosed && broker.state != Broker::State::kReady;
  return is_opening && broker.opened != broker.address;
}

void FetchMachine::ActOnConnection(int32_t connection, Broker* broker, int64_t now_us, std::vector<Action>* actions) {
  if (broker->deadline_us != 0 && now_us >= broker->deadline_us) {
    Close(connection, broker, actions);
    OnLost(connection, "does not answer in time", now_us);
  }
  if (IsAstray(*broker)) {
    Close(connection, broker, actions);
    broker->deadline_us = 0;
  }
  if (broker->state == Broker::State::kOpen) {
    broker->state = Broker::State::kVersions;
    Expect(broker, 0, now_us);
    actions->push_back(Ask(connection, WireCall::kApiVersions, kApiVersionsVersion, ApiVersionsQuestion()));
  }
}

std::vector<FetchMachine::Action> FetchMachine::Act(int64_t now_us) {
  std::vector<Action> actions;
  if (!unsupported_.empty() || partitions_.empty()) return actions;
  ActOnConnection(kControl, &control_, now_us, &actions);
  ActOnControl(now_us, &actions);
  for (auto& [id, broker] : brokers_) {
    ActOnConnection(id, &broker, now_us, &actions);
    if (broker.deadline_us != 0) continue;
    const auto leads = [leader = id](const Partition& partition) { return partition.IsReadFrom(leader); };
    // Nobody would notice that a connection is dead over which nothing is asked.
    if (broker.state == Broker::State::kReady && std::ranges::none_of(partitions_, leads)) Close(id, &broker, &actions);
    const auto is_due = [&, leader = id](const Partition& partition) { return partition.IsDue(leader, now_us); };
    if (now_us < broker.retry_us || std::ranges::none_of(partitions_, is_due)) continue;
    if (broker.state == Broker::State::kClosed) Connect(id, &broker, now_us, &actions);
    if (broker.state == Broker::State::kReady) AskFetch(id, &broker, now_us, &actions);
  }
  return actions;
}

void FetchMachine::AskFetch(int32_t id, Broker* broker, int64_t now_us, std::vector<Action>* actions) {
  WireFetch fetch;
  fetch.max_wait_ms = options_.max_wait_ms;
  fetch.min_bytes = options_.min_bytes;
  fetch.max_bytes = options_.max_bytes;
  broker->asked.clear();
  bool has_ids = true;
  for (size_t i = 0; i < partitions_.size(); ++i) {
    const size_t position = (broker->turn + i) % partitions_.size();
    Partition& partition = partitions_[position];
    if (!partition.IsDue(id, now_us)) continue;
    has_ids &= partition.id != TopicId{} && !partition.asks_by_name;
    fetch.partitions.push_back({partition.name.topic, partition.id, partition.name.partition, partition.leader_epoch,
                                partition.next_offset, partition.last_epoch, partition.max_bytes});
    fetch.max_bytes = std::max(fetch.max_bytes, partition.max_bytes);
    broker->asked.push_back(static_cast<uint32_t>(position));
  }
  if (fetch.partitions.empty()) return;
  const int16_t version = has_ids ? broker->fetch_version : kFetchVersions.least;
  broker->asked_version = version;
  broker->assignment = assignment_;
  Expect(broker, fetch.max_wait_ms * kMs, now_us);
  actions->push_back(Ask(id, WireCall::kFetch, version, FetchQuestion(version, fetch)));
}

int64_t FetchMachine::NextTimeUs() const {
  if (!unsupported_.empty() || partitions_.empty()) return kNever;
  const auto due = [](const Broker& broker) {
    // A connection that has just been opened is used at once.
    if (broker.state == Broker::State::kOpen || IsAstray(broker)) return int64_t{0};
    return broker.deadline_us != 0 ? broker.deadline_us : kNever;
  };
  int64_t next = due(control_);
  if (next == kNever && WantsMetadata(kNever)) next = control_.retry_us;
  if (control_.state == Broker::State::kReady && control_.deadline_us == 0) next = 0;
  for (const auto& [id, broker] : brokers_) {
    next = std::min(next, due(broker));
    if (broker.deadline_us != 0) continue;
    for (const Partition& partition : partitions_) {
      if (partition.IsDue(id, kNever)) next = std::min(next, std::max(broker.retry_us, partition.retry_us));
    }
  }
  return next;
}

// ---- connections ----

FetchMachine::Broker& FetchMachine::At(int32_t connection) {
  return connection == kControl ? control_ : brokers_.at(connection);
}

void FetchMachine::OnOpen(int32_t connection) {
  Broker& broker = At(connection);
  broker.state = Broker::State::kOpen;
  broker.deadline_us = 0;
}

void FetchMachine::OnProgress(int32_t connection, int64_t now_us) {
  Broker& broker = At(connection);
  if (broker.deadline_us == 0) return;
  broker.deadline_us = std::max(broker.deadline_us, std::min(now_us + PatienceUs(broker), broker.asked_us + kMostAnswerUs));
}

void FetchMachine::OnPaused(int64_t paused_us) {
  const auto move = [&](Broker* broker) {
    if (broker->deadline_us == 0) return;
    broker->deadline_us += paused_us;
    broker->asked_us += paused_us;
  };
  move(&control_);
  for (auto& [id, broker] : brokers_) move(&broker);
}

void FetchMachine::OnLost(int32_t connection, std::string_view why, int64_t now_us) {
  Broker& broker = At(connection);
  broker.state = Broker::State::kClosed;
  broker.deadline_us = 0;
  broker.retry_us = now_us + Pause(++broker.failures);
  // It may lead nothing any more.
  leaders_wanted_ = true;
  broker.lost = absl::StrCat("broker ", broker.address.ToString(), " ", std::string(why));
  const bool any =
      std::ranges::any_of(brokers_, [](const auto& entry) { return entry.second.state == Broker::State::kReady; });
  // Each of the addresses was tried.
  if (!any && static_cast<size_t>(control_.failures) >= options_.bootstrap.size() + brokers_.size())
    unreachable_ = broker.lost;
}

std::string FetchMachine::Stuck() const {
  for (const Partition& partition : partitions_) {
    if (partition.stopped || partition.next_offset >= partition.up_to) continue;
    const auto it = brokers_.find(partition.leader);
    const Broker* const leader = it == brokers_.end() ? nullptr : &it->second;
    if (leader != nullptr && leader->failures >= kLossesTold)
      return absl::StrCat(partition.name.Name(), " cannot be read: its leader, ", leader->lost);
    if (leader != nullptr && leader->throttles)
      return absl::StrCat(partition.name.Name(), " comes slowly: broker ", leader->address.ToString(),
                          " throttles this client (a quota)");
    if (partition.failures >= kErrorsTold)
      return absl::StrCat(partition.name.Name(), " cannot be read at ", partition.next_offset, ": ", partition.trouble);
  }
  return "";
}

absl::StatusOr<std::vector<FetchMachine::Delivery>> FetchMachine::OnAnswer(int32_t connection, std::string_view answer,
                                                                           int64_t now_us) {
  absl::StatusOr<std::vector<Delivery>> deliveries = Understand(connection, answer, now_us);
  if (!deliveries.ok()) OnLost(connection, std::string(deliveries.status().message()), now_us);
  return deliveries;
}

absl::StatusOr<std::vector<FetchMachine::Delivery>> FetchMachine::Understand(int32_t connection, std::string_view answer,
                                                                             int64_t now_us) {
  Broker& broker = At(connection);
  broker.deadline_us = 0;
  broker.longest_us = std::max(now_us - broker.asked_us - broker.waits_us, broker.longest_us - broker.longest_us / 16);
  if (broker.state == Broker::State::kVersions) {
    const absl::StatusOr<std::map<int16_t, WireVersions>> versions = ReadApiVersions(answer);
    if (!versions.ok()) return versions.status();
    const auto newest = [&](WireCall call, const WireVersions& ours) {
      const auto it = versions->find(static_cast<int16_t>(call));
      const int most = it == versions->end() ? -1 : std::min<int>(it->second.most, ours.most);
      return static_cast<int16_t>(most < ours.least || most < it->second.least ? -1 : most);
    };
    broker.fetch_version = newest(WireCall::kFetch, kFetchVersions);
    broker.metadata_version = newest(WireCall::kMetadata, kMetadataVersions);
    const bool lists = newest(WireCall::kListOffsets, {kListOffsetsVersion, kListOffsetsVersion}) >= 0;
    if (broker.fetch_version < 0 || broker.metadata_version < 0 || !lists) {
      unsupported_ = absl::StrCat("broker ", broker.address.ToString(), " knows no ",
                                  broker.fetch_version < 0      ? "Fetch of version 12 or 13"
                                  : broker.metadata_version < 0 ? "Metadata of version 9 to 12"
                                                                : "ListOffsets of version 6");
      return std::vector<Delivery>();
    }
    broker.state = Broker::State::kReady;
    return std::vector<Delivery>();
  }
  unreachable_.clear();
  if (connection == kControl) {
    const absl::StatusOr<WireMetadata> metadata = ReadMetadata(broker.metadata_version, answer);
    if (!metadata.ok()) return metadata.status();
    broker.failures = 0;
    OnMetadata(*metadata, now_us);
    return std::vector<Delivery>();
  }
  const absl::StatusOr<WireFetched> fetched = ReadFetched(broker.asked_version, answer);
  if (!fetched.ok()) return fetched.status();
  if (fetched->error != WireError::kNone)
    return absl::UnavailableError(absl::StrCat("answers Fetch with ", WireErrorText(fetched->error)));
  broker.failures = 0;
  broker.throttles = fetched->throttle_ms > 0;
  if (broker.throttles) broker.retry_us = now_us + std::min(fetched->throttle_ms * kMs, kMostThrottleUs);
  NoteHaste(&broker, *fetched, now_us);
  return OnFetched(connection, *fetched, now_us);
}

// A broker that has nothing has to hold its answer back for a while; it may have reasons not to, but not again and again.
void FetchMachine::NoteHaste(Broker* broker, const WireFetched& fetched, int64_t now_us) {
  const bool empty = std::ranges::all_of(fetched.partitions, [](const WireFetched::Partition& partition) {
    return partition.records.empty() && partition.error == WireError::kNone;
  });
  const bool hasty = empty && now_us - broker->asked_us < broker->waits_us / 2;
  broker->hasty = hasty ? broker->hasty + 1 : 0;
  if (broker->hasty >= kHasty) broker->retry_us = std::max(broker->retry_us, now_us + Pause(1));
}

std::optional<FetchMachine::Leader> FetchMachine::LeaderOf(uint32_t position) const {
  const Partition& partition = partitions_[position];
  const auto broker = brokers_.find(partition.leader);
  if (broker == brokers_.end()) return std::nullopt;
  return Leader{broker->second.address, partition.leader_epoch};
}

std::vector<LogReader::Event> FetchMachine::TakeEvents() { return std::exchange(events_, {}); }

}  // namespace tenfold
