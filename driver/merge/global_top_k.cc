#include "driver/merge/global_top_k.h"

#include <algorithm>
#include <limits>
#include <span>
#include <utility>

#include "driver/merge/thresholds.h"
#include "glog/logging.h"

namespace tenfold {
namespace {

constexpr Units kMinUnits = std::numeric_limits<Units>::min();
constexpr Units kMaxUnits = std::numeric_limits<Units>::max();

// How many entries are taken between two checks of the memory limit.
constexpr size_t kEntriesBetweenLooks = 256;
// A slice is divided into at most kMaxParts parts, and there are at most kMaxSlices slices in all.
constexpr uint32_t kMaxParts = 64;
constexpr uint32_t kMaxSlices = 1u << 30;

// The order of partial sums and of candidates.
bool Precedes(Units a_total, std::string_view a_key, Units b_total, std::string_view b_key) {
  return a_total != b_total ? a_total > b_total : a_key < b_key;
}

}  // namespace

GlobalTopK::GlobalTopK(size_t k, size_t workers, std::shared_ptr<MergeMemory> memory, size_t max_questions,
                       ResultRules rules)
    : k_(k),
      max_questions_(max_questions),
      rules_(std::make_shared<const ResultRules>(std::move(rules))),
      workers_(workers),
      unanswered_(workers),
      candidates_(std::move(memory), rules_->ranking),
      best_(k, rules_) {
  CHECK_GT(k, 0u);
  CHECK_GT(workers, 0u);
}

// ---- what comes in ----

void GlobalTopK::AddReply(size_t worker, std::vector<Partial> entries, std::optional<Units> floor,
                          std::optional<uint64_t> read) {
  CHECK(step_ == Step::kEntries && result_.rounds == 0) << "a reply after the first round, of worker " << worker;
  TakeAnswer(worker);
  Worker& from = workers_[worker];
  from.floor = floor;
  from.depth_bound = PositivePart(floor);
  const size_t depth = 2 * k_;
  if (entries.size() >= depth) {
    std::vector<Units> sums;
    sums.reserve(entries.size());
    for (const Partial& entry : entries) sums.push_back(entry.sum);
    const auto last = sums.begin() + static_cast<ptrdiff_t>(depth) - 1;
    std::nth_element(sums.begin(), last, sums.end(), std::greater<>());
    from.depth_bound = std::max(from.depth_bound, *last);
  }
  result_.entries += read.value_or(entries.size());
  AddEntries(worker, std::move(entries));
}

void GlobalTopK::AddAnswer(size_t worker, const std::vector<Partial>& found, std::vector<Partial> at_or_above, bool more) {
  CHECK(result_.rounds > 0) << "an answer before the first question, of worker " << worker;
  if (more) {
    CHECK_LT(worker, workers_.size());
    CHECK(workers_[worker].asked) << "worker " << worker << " answers twice or unasked";
  } else {
    TakeAnswer(worker);
  }
  if (step_ == Step::kEntries) {
    CHECK(found.empty()) << "worker " << worker << " was not asked for keys";
    result_.entries += at_or_above.size();
    AddEntries(worker, std::move(at_or_above));
  } else {
    CHECK(at_or_above.empty()) << "worker " << worker << " was not asked for a range";
    AddFound(worker, found);
  }
}

void GlobalTopK::TakeAnswer(size_t worker) {
  CHECK_LT(worker, workers_.size());
  CHECK(workers_[worker].asked) << "worker " << worker << " answers twice or unasked";
  workers_[worker].asked = false;
  --unanswered_;
}

void GlobalTopK::AddEntries(size_t worker, std::vector<Partial> entries) {
  const uint64_t came_before = std::exchange(came_, came_ + entries.size());
  if (room_for_) return;
  // A slice that cannot be divided further is taken regardless of its memory.
  const bool is_smallest = !slices_.empty() && slices_.back().count == kMaxSlices;
  // The entries of the second round include those of the first.
  candidates_.MarkOnly(workers_[worker].sent);
  for (size_t i = 0; i < entries.size(); ++i) {
    // The entries of the first round are all taken: workers limit them, and the best are found among them.
    if (i % kEntriesBetweenLooks == 0 && !candidates_.HasRoom() && !is_smallest && result_.rounds > 0) {
      room_for_ = std::max<uint64_t>(1, came_before + i);
      return;
    }
    Partial& entry = entries[i];
    if (known_.contains(entry.key)) continue;
    bool is_new = false;
    const uint32_t id = candidates_.FindOrAdd(std::move(entry.key), &is_new);
    if (is_new) open_.push_back(id);
    if (candidates_[id].settled) continue;
    if (candidates_.IsMarked(id)) {
      CHECK(result_.rounds > 0) << "a worker sends a key twice";
      continue;
    }
    candidates_.Mark(id);
    candidates_.AddSent(id, static_cast<uint32_t>(worker), entry);
    if (result_.rounds == 0) workers_[worker].sent.push_back(id);
  }
}

void GlobalTopK::AddFound(size_t worker, const std::vector<Partial>& found) {
  result_.entries += found.size();
  candidates_.MarkOnly(workers_[worker].looked_up);
  for (const Partial& entry : found) {
    const uint32_t id = candidates_.Find(entry.key);
    CHECK(id != Candidates::kNone && candidates_.IsMarked(id))
        << "a worker answers for a key it was not asked for, or twice";
    candidates_.Unmark(id);
    candidates_.AddTo(id, entry);
  }
}

// ---- what to ask ----

std::vector<GlobalTopK::Question> GlobalTopK::Next() {
  CHECK_EQ(unanswered_, 0u) << "workers have yet to answer";
  if (step_ == Step::kEntries) {
    if (room_for_) {
      Divide();
      return NextSlice();
    }
    if (slices_.empty()) ++result_.rounds;
    BoundCandidates();
    step_ = Step::kBest;
    best_size_ = 2 * k_;
    std::vector<Question> questions;
    if (!rules_->NeedsAll()) questions = LookUpBest();
    if (!questions.empty()) return questions;
  }
  if (step_ == Step::kBest) {
    SettleAsked();
    // The best by what ranks may not be those that may be in the result.
    const bool may_pass = rules_->condition != nullptr && !best_.is_full() && !rules_->NeedsAll();
    if (may_pass && !open_.empty() && !IsDecided()) return LookUpBest();
    if (!IsDecided()) {
      CHECK(result_.rounds == 1 && slices_.empty()) << "the second round did not decide";
      step_ = Step::kEntries;
      came_ = 0;
      return Asked(SecondRound());
    }
    step_ = Step::kRest;
    std::sort(open_.begin(), open_.end(),
              [&](uint32_t a, uint32_t b) { return candidates_[a].bound < candidates_[b].bound; });
  }
  if (step_ == Step::kRest) {
    SettleAsked();
    std::vector<Question> questions = LookUpRest();
    if (!questions.empty()) return questions;
    if (!slices_.empty()) slices_.pop_back();
    if (!slices_.empty()) return NextSlice();
    Finish();
    ForgetCandidates();
    step_ = Step::kDone;
  }
  return {};
}

std::vector<GlobalTopK::Question> GlobalTopK::Asked(std::vector<Question> questions) {
  for (const Question& question : questions) workers_[question.worker].asked = true;
  unanswered_ = questions.size();
  return questions;
}

// Computes the upper bound of every open candidate. One that every worker with a floor has sent is exact.
void GlobalTopK::BoundCandidates() {
  if (rules_->ranking.IsByHeight()) return BoundHeights();
  std::vector<Units> floors;
  size_t with_floor = 0;
  for (const Worker& worker : workers_) {
    floors.push_back(PositivePart(worker.floor));
    with_floor += worker.floor.has_value();
  }
  const Units all = BoundedSum(floors);
  for (const uint32_t id : open_) {
    Candidate& candidate = candidates_[id];
    Units missing = all;
    size_t sent = 0;
    candidates_.ForEachSender(id, [&](uint32_t worker) {
      sent += workers_[worker].floor.has_value();
      // A saturated sum cannot be reduced by its parts.
      if (all != kMaxUnits) missing -= floors[worker];
    });
    if (sent == with_floor) missing = 0;
    if (__builtin_add_overflow(candidate.total, missing, &candidate.bound)) candidate.bound = kMaxUnits;
    if (sent == with_floor) Settle(id);
  }
  std::erase_if(open_, [&](uint32_t id) { return candidates_[id].settled; });
}

void GlobalTopK::BoundHeights() {
  std::vector<bool> has_sent;
  for (const uint32_t id : open_) {
    Candidate& candidate = candidates_[id];
    has_sent.assign(workers_.size(), false);
    candidates_.ForEachSender(id, [&](uint32_t worker) { has_sent[worker] = true; });
    candidate.bound = candidate.total;
    bool is_exact = true;
    for (size_t w = 0; w < workers_.size(); ++w) {
      const std::optional<Units>& floor = workers_[w].floor;
      if (has_sent[w] || !floor) continue;
      is_exact = false;
      // Where the lowest height comes first, what others have can only take the total further back.
      if (!rules_->ranking.ascending) candidate.bound = std::max(candidate.bound, *floor);
    }
    if (is_exact) Settle(id);
  }
  std::erase_if(open_, [&](uint32_t id) { return candidates_[id].settled; });
}

void GlobalTopK::Settle(uint32_t id) {
  Candidate& candidate = candidates_[id];
  candidate.settled = true;
  best_.Take({.key = candidate.key, .sum = candidate.total, .sums = candidate.sums});
}

void GlobalTopK::SettleAsked() {
  for (const uint32_t id : asked_) Settle(id);
  asked_.clear();
  const std::optional<Units> least = LeastKthTotal();
  std::erase_if(open_, [&](uint32_t id) {
    candidates_[id].settled |= least && candidates_[id].bound < *least;
    return candidates_[id].settled;
  });
}

std::vector<GlobalTopK::Question> GlobalTopK::LookUpBest() {
  SettleAsked();
  std::vector<uint32_t> ids = open_;
  const size_t count = std::min(best_size_, ids.size());
  best_size_ = std::min(2 * best_size_, std::max(best_size_, max_questions_ / workers_.size()));
  std::partial_sort(ids.begin(), ids.begin() + static_cast<ptrdiff_t>(count), ids.end(), [&](uint32_t a, uint32_t b) {
    return Precedes(candidates_[a].total, candidates_[a].key, candidates_[b].total, candidates_[b].key);
  });
  ids.resize(count);
  return LookUp(std::move(ids));
}

std::vector<GlobalTopK::Question> GlobalTopK::LookUpRest() {
  const size_t count = std::min(open_.size(), std::max<size_t>(1, max_questions_ / workers_.size()));
  return LookUp({open_.end() - static_cast<ptrdiff_t>(count), open_.end()});
}

std::vector<GlobalTopK::Question> GlobalTopK::LookUp(std::vector<uint32_t> ids) {
  for (Worker& worker : workers_) worker.looked_up.clear();
  std::vector<const Candidate*> sent_by(workers_.size());
  for (const uint32_t id : ids) {
    const Candidate& candidate = candidates_[id];
    candidates_.ForEachSender(id, [&](uint32_t worker) { sent_by[worker] = &candidate; });
    for (size_t w = 0; w < workers_.size(); ++w) {
      // A worker without a floor has sent all its keys, so a key that it did not send is 0 there.
      if (workers_[w].floor && sent_by[w] != &candidate) workers_[w].looked_up.push_back(id);
    }
  }
  std::vector<Question> questions;
  for (size_t w = 0; w < workers_.size(); ++w) {
    if (workers_[w].looked_up.empty()) continue;
    Question& question = questions.emplace_back();
    question.worker = w;
    question.keys.reserve(workers_[w].looked_up.size());
    for (const uint32_t id : workers_[w].looked_up) question.keys.push_back(candidates_[id].key);
    result_.look_ups += question.keys.size();
  }
  asked_ = std::move(ids);
  return Asked(std::move(questions));
}

std::vector<GlobalTopK::Question> GlobalTopK::SecondRound() {
  const std::optional<Units> least = LeastKthTotal();
  const std::vector<Units> thresholds = rules_->ranking.IsByHeight()
                                            ? std::vector<Units>(workers_.size(), least.value_or(kMinUnits))
                                            : SecondRoundThresholds(least, Floors());
  std::vector<Question> questions;
  for (size_t w = 0; w < workers_.size(); ++w) {
    std::optional<Units>& floor = workers_[w].floor;
    // A worker whose floor is below its threshold would send nothing new.
    if (!floor || *floor < thresholds[w]) continue;
    questions.push_back({w, {}, thresholds[w], {}});
    if (thresholds[w] == kMinUnits) {
      floor.reset();
    } else {
      floor = thresholds[w] - 1;
    }
  }
  return questions;
}

// Splits the slice into about twice as many parts as the entries received so far suggest.
void GlobalTopK::Divide() {
  const KeySlice whole = slices_.empty() ? KeySlice() : slices_.back();
  if (slices_.empty()) {
    // The second round has come to its end: its slices belong to it.
    ++result_.rounds;
    best_.ForEach([this](const Partial& entry) { known_.insert(entry.key); });
  } else {
    slices_.pop_back();
  }
  uint32_t parts = 2;
  while (parts < std::min(kMaxParts, kMaxSlices / whole.count) && parts / 2 * *room_for_ < came_) parts *= 2;
  for (uint32_t part = 0; part < parts; ++part) {
    slices_.push_back({whole.index + part * whole.count, whole.count * parts});
  }
}

// Asks for every entry of the next slice above the workers' floors, those of the first round included.
std::vector<GlobalTopK::Question> GlobalTopK::NextSlice() {
  ForgetCandidates();
  came_ = 0;
  room_for_.reset();
  step_ = Step::kEntries;
  std::vector<Question> questions;
  for (size_t w = 0; w < workers_.size(); ++w) {
    const std::optional<Units>& floor = workers_[w].floor;
    questions.push_back({w, {}, floor ? std::min(*floor, kMaxUnits - 1) + 1 : kMinUnits, slices_.back()});
  }
  return Asked(std::move(questions));
}

void GlobalTopK::ForgetCandidates() {
  for (Worker& worker : workers_) {
    std::vector<uint32_t>().swap(worker.sent);
    std::vector<uint32_t>().swap(worker.looked_up);
  }
  candidates_.Clear();
  std::vector<uint32_t>().swap(open_);
  asked_.clear();
}

void GlobalTopK::Finish() {
  if (best_.is_full() && !rules_->NeedsAll()) result_.kth_total = best_.lowest();
  const std::optional<Units> least = LeastKthTotal();
  result_.SetBest(best_.TakeAll(), best_.is_cut(), *rules_);
  result_.unseen_bound = UnseenBound();
  if (rules_->ranking.IsByHeight()) {
    result_.next_thresholds.assign(workers_.size(), least);
    return;
  }
  std::vector<Units> depth_bounds;
  for (const Worker& worker : workers_) depth_bounds.push_back(worker.depth_bound);
  result_.next_thresholds = NextThresholds(least, std::move(depth_bounds));
}

// Checks the stop rule of R7 with a lower bound of T, which is safe, as a higher T would stop as well.
bool GlobalTopK::IsDecided() const {
  const std::optional<Units> unseen = UnseenBound();
  const std::optional<Units> least = LeastKthTotal();
  return !unseen || (least && *unseen < *least);
}

std::optional<Units> GlobalTopK::UnseenBound() const {
  return rules_->ranking.IsByHeight() ? HighestFloor(Floors()) : tenfold::UnseenBound(Floors());
}

std::optional<Units> GlobalTopK::LeastKthTotal() const {
  if (rules_->NeedsAll()) return std::nullopt;
  if (!best_.is_full()) return rules_->least;
  return rules_->least ? std::max(*rules_->least, best_.lowest()) : best_.lowest();
}

std::vector<std::optional<Units>> GlobalTopK::Floors() const {
  std::vector<std::optional<Units>> floors;
  for (const Worker& worker : workers_) floors.push_back(worker.floor);
  return floors;
}

const GlobalTopK::Result& GlobalTopK::result() const {
  CHECK(step_ == Step::kDone) << "there is no result yet";
  return result_;
}

}  // namespace tenfold
