#include "driver/merge/known_entries.h"

#include <algorithm>
#include <utility>

#include "glog/logging.h"

namespace tenfold {
namespace {

constexpr Units kMinUnits = std::numeric_limits<Units>::min();
constexpr Units kMaxUnits = std::numeric_limits<Units>::max();

// The memory of an entry besides its key, in bytes.
constexpr uint64_t kEntryBytes = 124;
// Known entries of a worker may become this many in any case before all of them are asked for again.
constexpr size_t kFewEntries = 64;

}  // namespace

uint64_t KnownEntries::BytesOf(const std::string& key) const {
  return kEntryBytes + key.size() + (ranking_.sums > 1 ? ranking_.sums * sizeof(Units) : 0);
}

void KnownEntries::Begin(size_t workers) {
  if (workers == workers_.size()) return;
  Clear();
  workers_.resize(workers);
}

void KnownEntries::Clear() {
  for (Worker& worker : workers_) Forget(&worker);
}

bool KnownEntries::Quote(size_t worker, WantUpdates* wanted) const {
  const Worker& of = workers_.at(worker);
  if (!of.composition) return false;
  *wanted->mutable_since() = *of.composition;
  *wanted->mutable_at_or_above() = ToProto(of.least);
  return true;
}

void KnownEntries::Learn(size_t worker, const FoldReply& reply) {
  Worker& of = workers_.at(worker);
  Forget(&of);
  of.least = kMinUnits;
  const Highest& highest = reply.highest();
  if (highest.has_floor()) {
    const Units floor = FromProto(highest.floor());
    if (floor == kMaxUnits) return;
    of.least = floor + 1;
  }
  if (highest.entries_size() > kMaxEntries) return;
  // Entries that tie with the floor are left out, since some of them may be missing.
  for (const Entry& entry : highest.entries()) {
    if (RankedSum(entry, ranking_) >= of.least) Put(&of, entry);
  }
  const bool are_most = 2 * of.entries.size() >= static_cast<size_t>(highest.entries_size());
  of.most = std::max(2 * of.entries.size(), kFewEntries);
  of.composition = reply.composition();
  memory_.Set(bytes_);
  if (!are_most || !IsWorthIt(of, reply.changed_keys())) Forget(&of);
}

std::vector<GlobalTopK::Partial> KnownEntries::Update(size_t worker, const FoldReply& reply) {
  Worker& of = workers_.at(worker);
  CHECK(of.composition) << "nothing is known of worker " << worker;
  for (const Entry& entry : reply.updates().entries()) {
    if (RankedSum(entry, ranking_) >= of.least) {
      Put(&of, entry);
    } else if (of.entries.erase(entry.key()) > 0) {
      bytes_ -= BytesOf(entry.key());
    }
  }
  of.composition = reply.composition();
  memory_.Set(bytes_);
  std::vector<GlobalTopK::Partial> entries;
  entries.reserve(of.entries.size());
  for (const auto& [key, sums] : of.entries) entries.push_back({key, sums.sum, sums.sums});
  if (!IsWorthIt(of, reply.changed_keys())) Forget(&of);
  return entries;
}

std::optional<Units> KnownEntries::Floor(size_t worker) const {
  const Units least = workers_.at(worker).least;
  return least == kMinUnits ? std::nullopt : std::optional(least - 1);
}

void KnownEntries::Put(Worker* worker, const Entry& entry) {
  Partial partial = ToPartial(entry, ranking_);
  const auto [place, is_new] =
      worker->entries.insert_or_assign(std::move(partial.key), Sums{partial.sum, std::move(partial.sums)});
  if (is_new) bytes_ += BytesOf(entry.key());
}

bool KnownEntries::IsWorthIt(const Worker& worker, uint64_t changed_keys) const {
  return worker.entries.size() <= worker.most && changed_keys <= kMaxChangedKeys && memory_.IsPlenty();
}

void KnownEntries::Forget(Worker* worker) {
  for (const auto& [key, sums] : worker->entries) bytes_ -= BytesOf(key);
  worker->composition.reset();
  worker->entries = {};
  memory_.Set(bytes_);
}

}  // namespace tenfold
