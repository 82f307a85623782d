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

Units PositivePart(const std::optional<Units>& floor) { return std::max<Units>(floor.value_or(0), 0); }

}  // namespace

GlobalTopK::GlobalTopK(size_t k, size_t workers) : k_(k), workers_(workers), unanswered_(workers) {
  CHECK_GT(k, 0u);
  CHECK_GT(workers, 0u);
}

bool GlobalTopK::Precedes(const Candidate* a, const Candidate* b) {
  return a->total != b->total ? a->total > b->total : a->key < b->key;
}

void GlobalTopK::AddReply(size_t worker, std::vector<Partial> entries, std::optional<Units> floor) {
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
  AddEntries(&from, std::move(entries));
}

void GlobalTopK::AddAnswer(size_t worker, std::vector<Partial> found, std::vector<Partial> at_or_above) {
  CHECK(result_.rounds > 0) << "an answer before the first question, of worker " << worker;
  TakeAnswer(worker);
  if (step_ == Step::kLookUps) {
    CHECK(at_or_above.empty()) << "worker " << worker << " was not asked for a range";
    AddFound(workers_[worker], found);
  } else {
    CHECK(found.empty()) << "worker " << worker << " was not asked for keys";
    AddEntries(&workers_[worker], std::move(at_or_above));
  }
}

void GlobalTopK::TakeAnswer(size_t worker) {
  CHECK_LT(worker, workers_.size());
  CHECK(workers_[worker].asked) << "worker " << worker << " answers twice or unasked";
  workers_[worker].asked = false;
  --unanswered_;
}

void GlobalTopK::AddEntries(Worker* worker, std::vector<Partial> entries) {
  result_.entries += entries.size();
  ++pass_;
  for (Partial& entry : entries) {
    uint32_t id;
    if (const auto known = ids_.find(entry.key); known != ids_.end()) {
      id = known->second;
    } else {
      id = static_cast<uint32_t>(candidates_.size());
      candidates_.push_back({.key = std::move(entry.key)});
      ids_.emplace(candidates_.back().key, id);
    }
    Candidate& candidate = candidates_[id];
    CHECK_NE(candidate.pass, pass_) << "a worker sends a key twice";
    candidate.pass = pass_;
    if (id < round_begin_) continue;
    CHECK(!__builtin_add_overflow(candidate.total, entry.sum, &candidate.total)) << "a total beyond 128 bits";
    worker->sent.push_back(id);
  }
}

void GlobalTopK::AddFound(const Worker& worker, const std::vector<Partial>& found) {
  result_.entries += found.size();
  MarkSent(worker);
  for (const Partial& entry : found) {
    const auto known = ids_.find(entry.key);
    CHECK(known != ids_.end() && known->second >= round_begin_) << "a worker answers for a key it was not asked for";
    Candidate& candidate = candidates_[known->second];
    CHECK_NE(candidate.pass, pass_) << "a worker answers twice for a key, or for one it had sent";
    candidate.pass = pass_;
    CHECK(!__builtin_add_overflow(candidate.total, entry.sum, &candidate.total)) << "a total beyond 128 bits";
  }
}

void GlobalTopK::MarkSent(const Worker& worker) {
  ++pass_;
  for (const uint32_t id : worker.sent) candidates_[id].pass = pass_;
}

std::vector<GlobalTopK::Question> GlobalTopK::Next() {
  CHECK_EQ(unanswered_, 0u) << "workers have yet to answer";
  if (step_ == Step::kEntries) {
    ++result_.rounds;
    step_ = Step::kLookUps;
    std::vector<Question> questions = Asked(LookUps());
    if (!questions.empty()) return questions;
  }
  if (step_ == Step::kDone) return {};

  round_begin_ = static_cast<uint32_t>(candidates_.size());
  for (Worker& worker : workers_) worker.sent.clear();
  const std::vector<const Candidate*> best = Best(k_ + k_ / 2);
  result_.kth_total.reset();
  if (best.size() >= k_) result_.kth_total = best[k_ - 1]->total;
  result_.unseen_bound = UnseenBound();
  if (result_.unseen_bound && !(result_.kth_total && *result_.unseen_bound < *result_.kth_total)) {
    CHECK_EQ(result_.rounds, 1u) << "the second round did not decide";
    step_ = Step::kEntries;
    return Asked(SecondRound());
  }

  step_ = Step::kDone;
  for (size_t i = 0; i < std::min(k_, best.size()); ++i) result_.top.push_back({best[i]->key, best[i]->total});
  result_.next_thresholds = NextThresholds(best);
  return {};
}

std::vector<GlobalTopK::Question> GlobalTopK::Asked(std::vector<Question> questions) {
  for (const Question& question : questions) workers_[question.worker].asked = true;
  unanswered_ = questions.size();
  return questions;
}

std::vector<GlobalTopK::Question> GlobalTopK::LookUps() {
  std::vector<Question> questions;
  for (size_t w = 0; w < workers_.size(); ++w) {
    // A key that a worker does not have is 0 there, and one without a floor has sent all it has.
    if (!workers_[w].floor) continue;
    MarkSent(workers_[w]);
    Question question;
    question.worker = w;
    question.keys.reserve(candidates_.size() - round_begin_ - workers_[w].sent.size());
    for (size_t id = round_begin_; id < candidates_.size(); ++id) {
      if (candidates_[id].pass != pass_) question.keys.push_back(candidates_[id].key);
    }
    if (!question.keys.empty()) questions.push_back(std::move(question));
  }
  return questions;
}

std::vector<GlobalTopK::Question> GlobalTopK::SecondRound() {
  std::vector<Units> thresholds(workers_.size(), kMinUnits);
  if (result_.kth_total && *result_.kth_total >= 1) {
    std::vector<Units> weights;
    for (const Worker& worker : workers_) weights.push_back(PositivePart(worker.floor));
    thresholds = SplitThreshold(*result_.kth_total, weights);
  } else if (result_.kth_total) {
    thresholds.assign(workers_.size(), *result_.kth_total);
  }

  std::vector<Question> questions;
  for (size_t w = 0; w < workers_.size(); ++w) {
    std::optional<Units>& floor = workers_[w].floor;
    // Below its threshold already: it would send nothing new.
    if (!floor || *floor < thresholds[w]) continue;
    questions.push_back({w, {}, thresholds[w]});
    if (thresholds[w] == kMinUnits) {
      floor.reset();
    } else {
      floor = thresholds[w] - 1;
    }
  }
  return questions;
}

std::vector<const GlobalTopK::Candidate*> GlobalTopK::Best(size_t count) const {
  std::vector<const Candidate*> best;
  best.reserve(candidates_.size());
  for (const Candidate& candidate : candidates_) best.push_back(&candidate);
  count = std::min(count, best.size());
  std::partial_sort(best.begin(), best.begin() + static_cast<ptrdiff_t>(count), best.end(), Precedes);
  best.resize(count);
  return best;
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

// Where the depth alone would not have decided, the total half of k places below T, which T falls below only if many
// leaders fall at once, is split in proportion to what each worker has at its depth, so that while T stays above it the
// floors sum to less than T and one round does. Each batch takes them from its own sums, so they grow with the scores and
// ask for more than the depth only where that is needed; a worker that has little yet counts as an eighth of the average,
// as a threshold near 0 would bring all it has once it grows.
std::vector<std::optional<Units>> GlobalTopK::NextThresholds(const std::vector<const Candidate*>& best) const {
  std::vector<std::optional<Units>> thresholds(workers_.size());
  if (best.size() < k_ || best[k_ - 1]->total < 1) return thresholds;
  const Units target = best.back()->total >= 1 ? best.back()->total : best[k_ - 1]->total;
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
