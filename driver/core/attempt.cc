#include "driver/core/attempt.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "driver/core/waiting_for.h"
#include "google/protobuf/util/message_differencer.h"

namespace tenfold {

Waiting Attempt::Stuck(const JournalledJob& job) const {
  const std::vector<int64_t>& targets = replays ? job.next_offsets : plan.targets;
  for (const auto& [worker, reply] : replies) {
    if (!reply.has_waiting()) continue;
    // A worker whose partitions all reached their targets delays nothing, whatever it had to wait for meanwhile.
    const bool is_behind =
        std::any_of(reply.composition().begin(), reply.composition().end(), [&](const PartitionOffset& offset) {
          return offset.partition() < targets.size() && offset.next_offset() < targets[offset.partition()];
        });
    if (!is_behind) continue;
    Waiting waiting = reply.waiting();
    waiting.set_subject(job.brokers());
    // What a worker lacks is to be sought there.
    if (absl::StartsWith(waiting.detail(), "Kafka property"))
      waiting.set_detail(absl::StrCat("worker ", worker, ": ", waiting.detail()));
    return waiting;
  }
  return {};
}

Waiting Attempt::Unfit(const JournalledJob& job) const {
  std::vector<bool> seen(job.partitions.size(), false);
  for (const auto& [worker, reply] : replies) {
    for (const PartitionOffset& offset : reply.composition()) {
      const uint32_t p = offset.partition();
      if (p >= seen.size() || job.assignment[p % kShards].owner() != worker || seen[p]) {
        return WaitingForWorker(worker, absl::StrCat("it sums partition index ", p, ", which is not its to sum"));
      }
      if (offset.next_offset() < job.next_offsets[p]) {
        return WaitingForWorker(worker, absl::StrCat("it folds ", job.Name(p), " from offset ", offset.next_offset(), " to ",
                                                     job.next_offsets[p], " again"));
      }
      seen[p] = true;
    }
  }
  const auto missing = std::find(seen.begin(), seen.end(), false);
  if (missing == seen.end()) return {};
  return WaitingForPartition(WAITING_SUM, job.partitions[static_cast<size_t>(missing - seen.begin())]);
}

bool Attempt::Moved(const JournalledJob& job) const {
  return std::any_of(replies.begin(), replies.end(), [&](const auto& reply) {
    const auto& composition = reply.second.composition();
    return std::any_of(composition.begin(), composition.end(), [&](const PartitionOffset& offset) {
      return offset.next_offset() != job.next_offsets[offset.partition()];
    });
  });
}

std::vector<const PartitionState*> Attempt::Partitions() const {
  std::vector<const PartitionState*> partitions;
  for (const auto& [worker, reply] : replies) {
    for (const PartitionState& partition : reply.partitions()) partitions.push_back(&partition);
  }
  return partitions;
}

std::vector<WindowRange> Attempt::Windows() const {
  std::vector<WindowRange> windows;
  for (const auto& [worker, reply] : replies) windows.insert(windows.end(), reply.windows().begin(), reply.windows().end());
  return windows;
}

std::set<uint32_t> Attempt::NeedSchemas() const {
  std::set<uint32_t> partitions;
  for (const auto& [worker, reply] : replies) {
    for (const NeededSchema& need : reply.needs_schemas()) partitions.insert(need.partition());
  }
  return partitions;
}

std::optional<int64_t> Attempt::AskedWindow() const {
  return final_merge != nullptr ? std::optional(finals.windows[final_results.size()]) : window;
}

absl::Status Attempt::Take(const std::string& worker, FoldReply reply) {
  if (const auto before = replies.find(worker); window_settled && before != replies.end()) {
    const FoldReply& folded = before->second;
    const auto equals = google::protobuf::util::MessageDifferencer::Equals;
    if (!std::ranges::equal(folded.composition(), reply.composition(), equals))
      return absl::FailedPreconditionError("it is not where it was earlier in the attempt");
    // A worker tells with its first reply what it did in the attempt.
    *reply.mutable_times() = folded.times();
    *reply.mutable_reader() = folded.reader();
    *reply.mutable_needs_schemas() = folded.needs_schemas();
    reply.set_changed_keys(folded.changed_keys());
  }
  replies[worker] = std::move(reply);
  return absl::OkStatus();
}

bool Attempt::Awaits(const std::string& worker, uint64_t step) const {
  const auto it = awaited.find(worker);
  return it != awaited.end() && it->second == step;
}

size_t Attempt::PlaceOf(const std::string& owner) const {
  return static_cast<size_t>(std::lower_bound(owners.begin(), owners.end(), owner) - owners.begin());
}

}  // namespace tenfold
