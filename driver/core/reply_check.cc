#include "driver/core/reply_check.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "common/number/units.h"
#include "common/table/key_slice.h"
#include "driver/merge/partial.h"
#include "jobs/plan/field_value.h"
#include "jobs/plan/pane_clock.h"

namespace tenfold {
namespace {

constexpr size_t kMaxReasonBytes = 64 << 10;
constexpr size_t kMaxTopicIdBytes = 16;
constexpr size_t kMaxClusterIdBytes = 256;
// Counts, offsets and times are below this, so that a few of them may be added.
constexpr int64_t kMaxNumber = int64_t{1} << 60;

// Where a reply stands, by partition.
using Offsets = std::map<uint32_t, int64_t>;

absl::Status Unsound(const std::string& what) {
  return absl::FailedPreconditionError(absl::StrCat("its reply is no answer to what it was asked: ", what));
}

template <typename List>
absl::Status ReadOffsets(const List& list, Offsets* offsets) {
  for (const PartitionOffset& offset : list) {
    if (offset.next_offset() < 0) return Unsound(absl::StrCat("partition index ", offset.partition(), " is below offset 0"));
    if (offset.next_offset() > kMaxNumber) return Unsound(absl::StrCat("offset ", offset.next_offset(), " is none"));
    if (!offsets->emplace(offset.partition(), offset.next_offset()).second)
      return Unsound(absl::StrCat("it names partition index ", offset.partition(), " twice"));
  }
  return absl::OkStatus();
}

// The shards of partitions; what is asked for is asked for by whole shards.
template <typename List>
std::map<uint32_t, std::set<uint32_t>> ByShard(const List& targets) {
  std::map<uint32_t, std::set<uint32_t>> shards;
  for (const PartitionOffset& target : targets) shards[target.partition() % kShards].insert(target.partition());
  return shards;
}

// Checks that the positions are of some of these shards, each once and with all its partitions; adds their offsets. A shard
// may have partitions that were added since it was asked for.
template <typename List>
absl::Status CheckPositions(const List& positions, const std::map<uint32_t, std::set<uint32_t>>& asked, Offsets* offsets) {
  std::set<uint32_t> seen;
  for (const ShardPosition& position : positions) {
    const auto shard = asked.find(position.shard());
    if (shard == asked.end() || !seen.insert(position.shard()).second)
      return Unsound(absl::StrCat("it tells of shard ", position.shard(), shard == asked.end() ? "" : " twice"));
    Offsets of_shard;
    if (absl::Status read = ReadOffsets(position.offsets(), &of_shard); !read.ok()) return read;
    bool same = of_shard.size() >= shard->second.size();
    for (const uint32_t partition : shard->second) same &= of_shard.contains(partition);
    for (const auto& [partition, offset] : of_shard) same &= partition % kShards == position.shard();
    if (!same) return Unsound(absl::StrCat("its shard ", position.shard(), " has other partitions"));
    offsets->insert(of_shard.begin(), of_shard.end());
  }
  return absl::OkStatus();
}

absl::Status CheckCounters(const FoldReply& reply, const Offsets& composition) {
  if (static_cast<size_t>(reply.partitions_size()) != composition.size()) return Unsound("it does not count all partitions");
  std::set<uint32_t> seen;
  for (const PartitionState& partition : reply.partitions()) {
    if (partition.records() > uint64_t{kMaxNumber}) return Unsound("it counts too many records");
    if (!composition.contains(partition.partition()) || !seen.insert(partition.partition()).second)
      return Unsound(absl::StrCat("it counts partition index ", partition.partition()));
    if (partition.topic_id().size() > kMaxTopicIdBytes || partition.kafka_cluster().size() > kMaxClusterIdBytes)
      return Unsound("a topic's id is too long");
    uint64_t bad = 0;
    for (const BadCount& count : partition.bad()) {
      if (!BadReason_IsValid(count.reason()) || count.count() > partition.records() - std::min(bad, partition.records()))
        return Unsound(absl::StrCat("the counts of partition index ", partition.partition(), " do not fit together"));
      bad += count.count();
      if (count.subject().size() > kMaxSubjectBytes) return Unsound("what it names as bad is too long");
    }
    const uint64_t sound = partition.records() - bad;
    if (partition.filtered() > sound || partition.late() > sound - partition.filtered())
      return Unsound(absl::StrCat("the counts of partition index ", partition.partition(), " do not fit together"));
    if (partition.has_max_time_us() && (partition.max_time_us() < 0 || partition.max_time_us() >= kTimestampEnd))
      return Unsound("it has a record of a time that no record has");
    if (static_cast<size_t>(partition.samples_size()) > kMaxBadSamples)
      return Unsound(absl::StrCat("it has ", partition.samples_size(), " samples"));
    for (const BadSample& sample : partition.samples()) {
      if (sample.excerpt().size() > kMaxSampleBytes || sample.subject().size() > kMaxSubjectBytes)
        return Unsound("a sample is too long");
    }
  }
  return absl::OkStatus();
}

// Checks that ranges are ascending and disjoint.
template <typename Ranges>
absl::Status CheckWindows(const Ranges& windows) {
  constexpr int64_t kMostWindow = int64_t{1} << 46;
  // A worker tells of no more than can become final, and of the range behind them.
  if (static_cast<size_t>(windows.size()) > kMaxFinalWindows + 2) return Unsound("it tells of too many windows");
  int64_t before = -kMostWindow;
  for (const WindowRange& range : windows) {
    if (range.first() <= before || range.last() < range.first() || range.last() >= kMostWindow)
      return Unsound("its windows are in no order");
    before = range.last();
  }
  return absl::OkStatus();
}

// What the job's rows are.
struct EntryForm {
  const Ranking& ranking;
  size_t key_bytes;
};

// Checks entries that are added up, so that a key may come in parts.
template <typename Entries>
absl::Status CheckEntries(const Entries& entries, const EntryForm& form) {
  for (const Entry& entry : entries) {
    if (entry.key().size() > form.key_bytes) return Unsound(absl::StrCat("a key has ", entry.key().size(), " bytes"));
    if (static_cast<size_t>(entry.others_size()) + 1 != form.ranking.sums)
      return Unsound(absl::StrCat("an entry has ", entry.others_size() + 1, " sums; the job has ", form.ranking.sums));
  }
  return absl::OkStatus();
}

// The same for entries of which each has a key of its own.
template <typename Entries>
absl::Status CheckDistinct(const Entries& entries, const EntryForm& form) {
  if (absl::Status checked = CheckEntries(entries, form); !checked.ok()) return checked;
  std::vector<std::string_view> keys;
  for (const Entry& entry : entries) keys.push_back(entry.key());
  // Not by a hash table, for which keys could be made to collide.
  std::ranges::sort(keys);
  return std::ranges::adjacent_find(keys) == keys.end() ? absl::OkStatus() : Unsound("it sends a key twice");
}

// Checks that the entries come in the order of a result, and each key once.
absl::Status CheckHighest(const Highest& highest, const EntryForm& form) {
  if (absl::Status checked = CheckEntries(highest.entries(), form); !checked.ok()) return checked;
  const Entry* before = nullptr;
  for (const Entry& entry : highest.entries()) {
    if (before != nullptr) {
      const Units last = RankedSum(*before, form.ranking);
      const Units sum = RankedSum(entry, form.ranking);
      if (last < sum || (last == sum && before->key() >= entry.key())) return Unsound("its entries are in no order");
    }
    before = &entry;
  }
  return CheckDistinct(highest.entries(), form);
}

absl::Status CheckFailure(const Failure& failure) {
  return failure.reason().size() <= kMaxReasonBytes ? absl::OkStatus() : Unsound("its reason is too long");
}

absl::Status CheckWaiting(const Waiting& waiting) {
  return WaitingKind_IsValid(waiting.kind()) && waiting.ByteSizeLong() <= kMaxReasonBytes
             ? absl::OkStatus()
             : Unsound("it waits for nothing that is known");
}

}  // namespace

absl::Status CheckReply(const AssignRequest& request, const AssignReply& reply) {
  std::map<uint32_t, std::set<uint32_t>> asked;
  for (const auto* shards : {&request.owned(), &request.prepared()}) {
    for (const uint32_t shard : *shards) asked[shard];
  }
  for (uint32_t p = 0; p < static_cast<uint32_t>(request.partitions_size()); ++p) {
    if (const auto shard = asked.find(p % kShards); shard != asked.end()) shard->second.insert(p);
  }
  Offsets offsets;
  if (absl::Status read = CheckPositions(reply.shards(), asked, &offsets); !read.ok()) return read;
  // A worker refuses a lineage that is earlier than its own.
  if (reply.lineage().batch() > request.id().lineage().batch()) return Unsound("its lineage is later than the journal's");
  const bool all = static_cast<size_t>(reply.shards_size()) == asked.size();
  return all ? absl::OkStatus() : Unsound("it does not tell of all shards");
}

absl::Status CheckReply(const PrepareRequest& request, const PrepareReply& reply) {
  if (reply.has_failure()) return CheckFailure(reply.failure());
  if (reply.has_waiting()) {
    if (absl::Status waiting = CheckWaiting(reply.waiting()); !waiting.ok()) return waiting;
  }
  Offsets offsets;
  return CheckPositions(reply.shards(), ByShard(request.targets()), &offsets);
}

absl::Status CheckReply(const FoldRequest& request, const FoldReply& reply, const Ranking& ranking, size_t key_bytes) {
  const EntryForm form{.ranking = ranking, .key_bytes = key_bytes};
  if (reply.has_failure()) return CheckFailure(reply.failure());
  if (reply.has_waiting()) {
    if (absl::Status waiting = CheckWaiting(reply.waiting()); !waiting.ok()) return waiting;
  }
  if (reply.has_reader() && (!ReaderKind_IsValid(reply.reader().kind()) || reply.reader().reason().size() > kMaxReasonBytes))
    return Unsound("what reads its log is not known");
  Offsets composition;
  if (absl::Status read = ReadOffsets(reply.composition(), &composition); !read.ok()) return read;
  Offsets positions;
  if (absl::Status read = CheckPositions(reply.shards(), ByShard(request.targets()), &positions); !read.ok()) return read;
  if (positions != composition) return Unsound("its shards are not where its sums are");
  if (absl::Status counters = CheckCounters(reply, composition); !counters.ok()) return counters;
  if (absl::Status windows = CheckWindows(reply.windows()); !windows.ok()) return windows;
  for (const uint64_t number :
       {reply.changed_keys(), reply.keys(), reply.times().fold_us(), reply.times().persist_us(), reply.times().wait_us()}) {
    if (number > uint64_t{kMaxNumber}) return Unsound(absl::StrCat(number, " is too large a count, or time"));
  }
  if (reply.has_highest()) return CheckHighest(reply.highest(), form);
  if (reply.has_updates()) return CheckDistinct(reply.updates().entries(), form);
  return CheckEntries(reply.changes().added(), form);
}

absl::Status CheckReply(const LookUpRequest& request, const LookUpReply& reply, const Ranking& ranking, size_t key_bytes) {
  const EntryForm form{.ranking = ranking, .key_bytes = key_bytes};
  if (request.has_changes()) return CheckEntries(reply.entries(), form);
  if (!request.has_keys()) {
    const Units least = FromProto(request.range().at_or_above());
    const KeySlice slice = {request.range().slice(), std::max(1U, request.range().slices())};
    for (const Entry& entry : reply.entries()) {
      if (!slice.Has(entry.key())) return Unsound("a key is of another slice than what was asked for");
      if (RankedSum(entry, form.ranking) < least) return Unsound("an entry is below what was asked for");
    }
    return CheckEntries(reply.entries(), form);
  }
  std::vector<std::string_view> asked(request.keys().keys().begin(), request.keys().keys().end());
  std::ranges::sort(asked);
  for (const Entry& entry : reply.entries()) {
    if (!std::ranges::binary_search(asked, std::string_view(entry.key())))
      return Unsound("it sends a key that it was not asked for");
  }
  return CheckDistinct(reply.entries(), form);
}

}  // namespace tenfold
