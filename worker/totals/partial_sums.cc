#include "worker/totals/partial_sums.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "common/table/key_slice.h"
#include "worker/totals/entry_writer.h"

namespace tenfold {
namespace {

// A slice of the keys is looked for in at most so many parts of all before it is answered, so that it is in time.
constexpr int kPartsOfSlice = 16;
// About how many bytes each of several sums takes in an entry.
constexpr size_t kBytesPerSum = 24;

// The most entries of a reply beyond the depth asked for; the floor bounds those left out.
size_t MaxReplyEntries(const Ranking& ranking) {
  return kMaxMessageBytes / 2 / (kMaxKeyBytes + (ranking.sums - 1) * kBytesPerSum);
}

void AddTotal(const TotalEntry& entry, const Ranking& ranking, google::protobuf::RepeatedPtrField<Entry>* entries) {
  if (entry.sums.empty()) return AddEntry(entry.key, ranking.Turned(entry.sum), {}, entries);
  AddEntry(entry.key, entry.sums[0], entry.sums.subspan(1), entries);
}

const PartialSums::Composition& SinceOf(const FoldRequest& request) {
  return request.has_updates() ? request.updates().since() : request.changes().since();
}

}  // namespace

void PartialSums::SetLimit(size_t bytes) {
  totals_.SetLimit(bytes == 0 ? BoundedTotals::kNoLimit : bytes);
  // Changes get a sixteenth, out of the eighth that neither candidates nor bounds take.
  if (bytes != 0) kept_changes_.SetLimit(bytes / 16);
}

void PartialSums::SetRanking(const Ranking& ranking) {
  if (ranking == totals_.ranking()) return;
  totals_.SetRanking(ranking);
  kept_changes_.SetRanking(ranking);
}

void PartialSums::Clear() {
  totals_.Clear();
  kept_changes_.Forget();
}

void PartialSums::Quote(const FoldRequest& request, const Composition& present) {
  if (kept_changes_.Quote(SinceOf(request), present)) drops_at_base_ = totals_.drops();
}

absl::Status PartialSums::Add(std::span<const std::span<const Delta>> shards) {
  // The changes are kept first: the composition has these deltas even if adding them to the totals fails.
  for (const std::span<const Delta> deltas : shards) kept_changes_.Add(deltas);
  return totals_.Add(shards);
}

absl::Status PartialSums::Answer(const FoldRequest& request, FoldReply* reply) {
  switch (request.wanted_case()) {
    case FoldRequest::kUpdates:
      if (AnswerUpdates(FromProto(request.updates().at_or_above()), reply->mutable_updates())) return absl::OkStatus();
      return AnswerHighest(request.updates().otherwise(), reply->mutable_highest());
    case FoldRequest::kChanges:
      if (!request.changes().since().empty() && kept_changes_.known())
        kept_changes_.Tell(0, part_bytes_ / 4, reply->mutable_changes());
      return absl::OkStatus();
    default:
      return AnswerHighest(request.highest(), reply->mutable_highest());
  }
}

absl::Status PartialSums::AnswerHighest(const WantHighest& wanted, Highest* highest) {
  std::optional<Units> threshold;
  if (wanted.has_threshold()) threshold = FromProto(wanted.threshold());
  const absl::StatusOr<Totals::Top> top = totals_.Highest(wanted.depth(), threshold, MaxReplyEntries(totals_.ranking()));
  if (!top.ok()) return top.status();
  for (const TotalEntry& entry : top->entries) AddTotal(entry, totals_.ranking(), highest->mutable_entries());
  if (top->floor) *highest->mutable_floor() = ToProto(*top->floor);
  return absl::OkStatus();
}

bool PartialSums::MayHaveBeen(Units at_or_above, Units sum, Units added) const {
  if (!ranking().IsByHeight()) return sum - added >= at_or_above;
  // A height only rises. One that is what was added may have been any lower one, which comes before where the lowest does.
  return ranking().ascending && added == sum;
}

bool PartialSums::AnswerUpdates(Units at_or_above, Updates* updates) {
  if (!kept_changes_.known() || totals_.drops() != drops_at_base_ || !totals_.HoldsFrom(at_or_above)) return false;
  bool fits = true;
  kept_changes_.ForEach([&](std::string_view key, Units added) {
    const std::optional<TotalEntry> entry = totals_.FindHeld(key);
    // A key that is not in memory was not there at the base either: then as now it is below all that the driver has.
    if (!entry || (entry->sum < at_or_above && !MayHaveBeen(at_or_above, entry->sum, added))) return;
    fits &= static_cast<size_t>(updates->entries_size()) < MaxReplyEntries(totals_.ranking());
    if (fits) AddTotal(*entry, totals_.ranking(), updates->mutable_entries());
  });
  return fits;
}

absl::StatusOr<LookUpReply> PartialSums::LookUp(const LookUpRequest& request) {
  LookUpReply reply;
  absl::Status found;
  switch (request.wanted_case()) {
    case LookUpRequest::kKeys:
      found = FindKeys(request.keys(), &reply);
      break;
    case LookUpRequest::kRange:
      found = FindRange(request.range(), &reply);
      break;
    case LookUpRequest::kChanges: {
      if (!kept_changes_.known()) return absl::FailedPreconditionError("the worker no longer keeps the changes");
      Changes changes;
      kept_changes_.Tell(request.changes().from(), part_bytes_, &changes);
      reply.mutable_entries()->Swap(changes.mutable_added());
      reply.set_next(changes.next());
      break;
    }
    case LookUpRequest::WANTED_NOT_SET:
      found = absl::InvalidArgumentError("the look-up asks for nothing");
      break;
  }
  if (!found.ok()) return found;
  return reply;
}

absl::Status PartialSums::FindKeys(const Keys& wanted, LookUpReply* reply) {
  const std::vector<std::string_view> keys(wanted.keys().begin(), wanted.keys().end());
  const absl::StatusOr<std::vector<std::optional<ShardStore::RowSum>>> found = totals_.Find(keys);
  if (!found.ok()) return found.status();
  for (size_t i = 0; i < keys.size(); ++i) {
    if (const auto& row = (*found)[i]) AddEntry(keys[i], row->sum, row->others, reply->mutable_entries());
  }
  return absl::OkStatus();
}

absl::Status PartialSums::FindRange(const EntryRange& range, LookUpReply* reply) {
  const KeySlice slice{range.slice(), std::max(1u, range.slices())};
  reply->set_next(range.from());
  size_t bytes = 0;
  // What is read from the store takes longer, and is a part by itself.
  const int most = totals_.complete() ? kPartsOfSlice : 1;
  for (int part = 0; part < most && bytes < part_bytes_; ++part) {
    std::vector<TotalEntry> entries;
    const absl::StatusOr<uint64_t> next =
        totals_.AtOrAbove(FromProto(range.at_or_above()), reply->next(), part_bytes_, &entries);
    if (!next.ok()) return next.status();
    for (const TotalEntry& entry : entries) {
      if (!slice.Has(entry.key)) continue;
      AddTotal(entry, totals_.ranking(), reply->mutable_entries());
      bytes += entry.key.size() + (1 + entry.sums.size()) * sizeof(Units);
    }
    reply->set_next(*next);
    if (*next == 0) break;
  }
  return absl::OkStatus();
}

}  // namespace tenfold
