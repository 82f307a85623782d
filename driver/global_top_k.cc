#include "driver/global_top_k.h"

#include <algorithm>
#include <limits>
#include <span>
#include <utility>

#include "glog/logging.h"

namespace tenfold {
namespace {

constexpr Units kMinUnits = std::numeric_limits<Units>::min();
constexpr Units kMaxUnits = std::numeric_limits<Units>::max();

// floor(a * b / c) for 0 <= a, 0 <= b <= c, 0 < c, by a 256-bit product.
Units MultiplyDivide(Units a, Units b, Units c) {
  const uint64_t a_low = static_cast<uint64_t>(a);
  const uint64_t a_high = static_cast<uint64_t>(a >> 64);
  const uint64_t b_low = static_cast<uint64_t>(b);
  const uint64_t b_high = static_cast<uint64_t>(b >> 64);
  const Uint128 low_low = Uint128{a_low} * b_low;
  const Uint128 low_high = Uint128{a_low} * b_high;
  const Uint128 high_low = Uint128{a_high} * b_low;
  const Uint128 middle = (low_low >> 64) + static_cast<uint64_t>(low_high) + static_cast<uint64_t>(high_low);
  const Uint128 low = (middle << 64) | static_cast<uint64_t>(low_low);
  const Uint128 high = Uint128{a_high} * b_high + (low_high >> 64) + (high_low >> 64) + (middle >> 64);

  // The upper half is below c, as b <= c and a < 2^128: it is the first remainder of a long division by bits.
  const Uint128 divisor = static_cast<Uint128>(c);
  Uint128 remainder = high;
  Uint128 quotient = 0;
  for (int bit = 127; bit >= 0; --bit) {
    remainder = (remainder << 1) | ((low >> bit) & 1);
    quotient <<= 1;
    if (remainder >= divisor) {
      remainder -= divisor;
      quotient |= 1;
    }
  }
  return static_cast<Units>(quotient);
}

// The sum of numbers that are not negative, at most kMaxUnits: a bound need not be exact.
Units BoundedSum(std::span<const Units> values) {
  Units sum = 0;
  for (const Units value : values) {
    if (__builtin_add_overflow(sum, value, &sum)) return kMaxUnits;
  }
  return sum;
}

// Splits `total` >= 1 into thresholds in proportion to the weights: a key below each of them has a total below `total`.
std::vector<Units> SplitThreshold(Units total, std::span<const Units> weights) {
  const Units sum = BoundedSum(weights);
  std::vector<Units> thresholds(weights.size(), 1);
  // A bounded sum that is not exact would make the shares too large; 1 is always safe.
  if (sum == 0 || sum == kMaxUnits) return thresholds;
  for (size_t w = 0; w < weights.size(); ++w) thresholds[w] += MultiplyDivide(total - 1, weights[w], sum);
  return thresholds;
}

// What a candidate takes beside its key: itself, its place in the map, and in the lists of ids.
constexpr size_t kCandidateBytes = 144;
// How many entries are taken in between looks at the memory.
constexpr size_t kEntriesBetweenLooks = 256;
// A slice is divided into at most so many, and there are at most so many in all.
constexpr uint32_t kMaxParts = 64;
constexpr uint32_t kMaxSlices = 1u << 30;

// What the floors are to sum to where T is `total` >= 1: the lower, the more entries are sent, and the fewer candidates
// have to be looked up, at all other workers. Measured with tests/bench/merge.cc; anything up to `total` is right.
Units FloorTarget(Units total) { return 1 + (total - 1) / 4 * 3; }

Units PositivePart(const std::optional<Units>& floor) { return std::max<Units>(floor.value_or(0), 0); }

}  // namespace

GlobalTopK::GlobalTopK(size_t k, size_t workers, std::shared_ptr<MergeMemory> memory, size_t max_questions)
    : k_(k), max_questions_(max_questions), workers_(workers), unanswered_(workers), memory_(std::move(memory)) {
  CHECK_GT(k, 0u);
  CHECK_GT(workers, 0u);
}

bool GlobalTopK::Precedes(Units a_total, std::string_view a_key, Units b_total, std::string_view b_key) {
  return a_total != b_total ? a_total > b_total : a_key < b_key;
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

uint32_t GlobalTopK::IdOf(std::string key) {
  if (const auto known = ids_.find(key); known != ids_.end()) return known->second;
  const auto id = static_cast<uint32_t>(candidates_.size());
  key_bytes_ += key.size();
  candidates_.push_back({.key = std::move(key)});
  ids_.emplace(candidates_.back().key, id);
  open_.push_back(id);
  return id;
}

void GlobalTopK::AddEntries(size_t worker, std::vector<Partial> entries) {
  const uint64_t came_before = std::exchange(came_, came_ + entries.size());
  if (room_for_) return;
  // The second round's entries include the first's.
  Mark(workers_[worker].sent);
  for (size_t i = 0; i < entries.size(); ++i) {
    // The first round's are limited by the workers, and are all that the best are found among.
    if (i % kEntriesBetweenLooks == 0 && !HasRoom() && result_.rounds > 0) {
      room_for_ = std::max<uint64_t>(1, came_before + i);
      return;
    }
    Partial& entry = entries[i];
    if (known_.contains(entry.key)) continue;
    const uint32_t id = IdOf(std::move(entry.key));
    Candidate& candidate = candidates_[id];
    if (candidate.settled) continue;
    if (candidate.pass == pass_) {
      CHECK(result_.rounds > 0) << "a worker sends a key twice";
      continue;
    }
    candidate.pass = pass_;
    CHECK(!__builtin_add_overflow(candidate.total, entry.sum, &candidate.total)) << "a total beyond 128 bits";
    senders_.push_back({static_cast<uint32_t>(worker), candidate.sender});
    candidate.sender = static_cast<uint32_t>(senders_.size()) - 1;
    if (result_.rounds == 0) workers_[worker].sent.push_back(id);
  }
}

bool GlobalTopK::HasRoom() {
  memory_.Set(candidates_.size() * kCandidateBytes + key_bytes_ + senders_.size() * sizeof(Sender));
  return memory_.Fits() || memory_.IsLeast() || (!slices_.empty() && slices_.back().count == kMaxSlices);
}

void GlobalTopK::AddFound(size_t worker, const std::vector<Partial>& found) {
  result_.entries += found.size();
  Mark(workers_[worker].looked_up);
  for (const Partial& entry : found) {
    const auto known = ids_.find(entry.key);
    CHECK(known != ids_.end() && candidates_[known->second].pass == pass_)
        << "a worker answers for a key it was not asked for, or twice";
    Candidate& candidate = candidates_[known->second];
    candidate.pass = 0;
    CHECK(!__builtin_add_overflow(candidate.total, entry.sum, &candidate.total)) << "a total beyond 128 bits";
  }
}

void GlobalTopK::Mark(const std::vector<uint32_t>& ids) {
  ++pass_;
  for (const uint32_t id : ids) candidates_[id].pass = pass_;
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
    std::vector<Question> questions = LookUpBest();
    if (!questions.empty()) return questions;
  }
  if (step_ == Step::kBest) {
    SettleAsked();
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

// Of those open; what every worker with a floor has sent is exact.
void GlobalTopK::BoundCandidates() {
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
    for (uint32_t s = candidate.sender; s != kNone; s = senders_[s].next) {
      sent += workers_[senders_[s].worker].floor.has_value();
      // A bounded sum that is not exact says nothing of its parts.
      if (all != kMaxUnits) missing -= floors[senders_[s].worker];
    }
    if (sent == with_floor) missing = 0;
    if (__builtin_add_overflow(candidate.total, missing, &candidate.bound)) candidate.bound = kMaxUnits;
    if (sent == with_floor) Settle(id);
  }
  std::erase_if(open_, [&](uint32_t id) { return candidates_[id].settled; });
}

void GlobalTopK::Settle(uint32_t id) {
  Candidate& candidate = candidates_[id];
  candidate.settled = true;
  if (best_.size() == k_) {
    if (!Precedes(candidate.total, candidate.key, best_.front().sum, best_.front().key)) return;
    std::pop_heap(best_.begin(), best_.end(), IsBetter);
    best_.pop_back();
  }
  best_.push_back({candidate.key, candidate.total});
  std::push_heap(best_.begin(), best_.end(), IsBetter);
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
  const size_t count = std::min(2 * k_, ids.size());
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
    for (uint32_t s = candidate.sender; s != kNone; s = senders_[s].next) sent_by[senders_[s].worker] = &candidate;
    for (size_t w = 0; w < workers_.size(); ++w) {
      // A key that a worker does not have is 0 there, and one without a floor has sent all it has.
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
  std::vector<Units> thresholds(workers_.size(), kMinUnits);
  const std::optional<Units> least = LeastKthTotal();
  if (least && *least >= 1) {
    std::vector<Units> weights;
    for (const Worker& worker : workers_) weights.push_back(PositivePart(worker.floor));
    thresholds = SplitThreshold(FloorTarget(*least), weights);
  } else if (least) {
    thresholds.assign(workers_.size(), *least);
  }

  std::vector<Question> questions;
  for (size_t w = 0; w < workers_.size(); ++w) {
    std::optional<Units>& floor = workers_[w].floor;
    // Below its threshold already: it would send nothing new.
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

// Into as many as the entries need that came after there was no room, twice that to be sure.
void GlobalTopK::Divide() {
  const KeySlice whole = slices_.empty() ? KeySlice() : slices_.back();
  if (slices_.empty()) {
    // The second round has come to its end: its slices belong to it.
    ++result_.rounds;
    for (const Partial& entry : best_) known_.insert(entry.key);
  } else {
    slices_.pop_back();
  }
  uint32_t parts = 2;
  while (parts < std::min(kMaxParts, kMaxSlices / whole.count) && parts / 2 * *room_for_ < came_) parts *= 2;
  for (uint32_t part = 0; part < parts; ++part) {
    slices_.push_back({whole.index + part * whole.count, whole.count * parts});
  }
}

// Every entry above its worker's floor. What the first round brought is asked for again with it.
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
  ids_.clear();
  candidates_.clear();
  key_bytes_ = 0;
  std::vector<Sender>().swap(senders_);
  std::vector<uint32_t>().swap(open_);
  asked_.clear();
  memory_.Set(0);
}

void GlobalTopK::Finish() {
  result_.kth_total = LeastKthTotal();
  std::sort_heap(best_.begin(), best_.end(), IsBetter);
  result_.top = std::move(best_);
  result_.unseen_bound = UnseenBound();
  result_.next_thresholds = NextThresholds();
}

// R7, with what T is at least: that it comes to be more is not waited for.
bool GlobalTopK::IsDecided() const {
  const std::optional<Units> unseen = UnseenBound();
  const std::optional<Units> least = LeastKthTotal();
  return !unseen || (least && *unseen < *least);
}

std::optional<Units> GlobalTopK::LeastKthTotal() const {
  if (best_.size() < k_) return std::nullopt;
  return best_.front().sum;
}

std::optional<Units> GlobalTopK::UnseenBound() const {
  // An unseen key is present at a worker with a floor; everywhere else it may be absent, which counts 0. So R7's maximum
  // is reached where the floor is highest: its negative part is all that the sum of the positive parts lacks.
  std::optional<Units> highest;
  std::vector<Units> positive;
  for (const Worker& worker : workers_) {
    if (!worker.floor) continue;
    highest = std::max(highest.value_or(kMinUnits), *worker.floor);
    positive.push_back(PositivePart(worker.floor));
  }
  if (!highest) return std::nullopt;
  return *highest < 0 ? *highest : BoundedSum(positive);
}

// Where the depth alone would leave the floors too high, the target is split in proportion to what each worker has at its
// depth. Each batch takes them from its own sums, so they grow with the scores and ask for more than the depth only where
// that is needed; a worker that has little yet counts as an eighth of the average, as a threshold near 0 would bring all it
// has once it grows.
std::vector<std::optional<Units>> GlobalTopK::NextThresholds() const {
  std::vector<std::optional<Units>> thresholds(workers_.size());
  if (!result_.kth_total || *result_.kth_total < 1) return thresholds;
  const Units target = FloorTarget(*result_.kth_total);
  std::vector<Units> weights;
  for (const Worker& worker : workers_) weights.push_back(worker.depth_bound);
  const Units sum = BoundedSum(weights);
  if (sum < target || sum == kMaxUnits) return thresholds;

  const Units least = sum / (8 * static_cast<Units>(workers_.size()));
  for (Units& weight : weights) weight = std::max(weight, least);
  const std::vector<Units> split = SplitThreshold(target, weights);
  thresholds.assign(split.begin(), split.end());
  return thresholds;
}

const GlobalTopK::Result& GlobalTopK::result() const {
  CHECK(step_ == Step::kDone) << "there is no result yet";
  return result_;
}

}  // namespace tenfold
