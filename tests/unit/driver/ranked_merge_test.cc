// The result of jobs with several sums, by what ranks, in either order and with a condition: real partial sums of workers,
// merged by the driver, against brute force.
#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "driver/core/merge_options.h"
#include "driver/merge/batch_merge.h"
#include "gtest/gtest.h"
#include "jobs/plan/measures.h"
#include "jobs/spec/job_spec.h"
#include "worker/totals/partial_sums.h"

namespace tenfold {
namespace {

constexpr Units kOne = kUnitsPerOne;
constexpr size_t kSums = 13;

// The sums of a row are those of `score`, of `liked`, of how often `liked` is not null, of `events`, of `rate` that and
// five, divided by `events` and three, of `mean` of `liked`; then the height of `most`, the sum of the same numbers, how
// many there were, and of `least` its height and the sum. A height is 2^63 units more than the number, or than its negative.
using Sums = std::vector<Units>;

constexpr Units kHalf = Units{1} << 63;
bool IsHighest(size_t m) { return m == 8 || m == 11; }

struct Condition {
  const char* text;
  std::function<bool(const Sums&)> holds;
};

const std::vector<Condition>& Conditions() {
  static const auto* const conditions = new std::vector<Condition>{
      {"", [](const Sums&) { return true; }},
      {"events >= 3", [](const Sums& s) { return s[3] >= 3 * kOne; }},
      {"score > 5.5", [](const Sums& s) { return s[0] > 5 * kOne + kOne / 2; }},
      {"score >= -3 and 20 > score", [](const Sums& s) { return s[0] >= -3 * kOne && s[0] < 20 * kOne; }},
      {"liked < 4", [](const Sums& s) { return s[2] != 0 && s[1] < 4 * kOne; }},
      {"liked is null", [](const Sums& s) { return s[2] == 0; }},
      {"score / liked > 0", [](const Sums& s) { return s[2] != 0 && s[1] != 0 && (s[0] > 0) == (s[1] > 0) && s[0] != 0; }},
      {"rate >= 1.25", [](const Sums& s) { return (s[4] + 5 * kOne) * 4 >= (s[5] + 3 * kOne) * 5; }},
      {"mean > 0 or mean is null", [](const Sums& s) { return s[7] == 0 || s[6] > 0; }},
      {"most >= 1", [](const Sums& s) { return s[10] != 0 && s[8] - kHalf >= kOne; }},
      {"least < -0.5 and events >= 2", [](const Sums& s) { return kHalf - s[11] < -kOne / 2 && s[3] >= 2 * kOne; }},
      {"events > 1000", [](const Sums&) { return false; }}};
  return *conditions;
}

class RankedMerge {
 public:
  explicit RankedMerge(uint64_t seed) : random_(seed) {
    condition_ = &Conditions()[Draw(Conditions().size())];
    by_ = std::vector<std::string>{"score", "liked", "events", "rate", "mean", "most", "least"}[Draw(7)];
    groups_ = Draw(4) == 0 ? 1 + Draw(4) : 0;
    const std::string yaml = std::string(
                                 "name: j\nsource:\n  kafka: {topics: [t]}\n  format: {json: {}}\n"
                                 "  fields: {p: {text: p}, n: {decimal: n}, l: {decimal: l, nullable: true}}\n"
                                 "key: p\nmeasures: {score: sum(n), liked: sum(l), events: count(), "
                                 "rate: (sum(n) + 5) / (count() + 3), mean: avg(l), most: max(l), least: min(n)}\n") +
                             (groups_ > 0 ? "group: left(p, 2)\ngroups: " + std::to_string(groups_) + "\n" : "") +
                             "rank: " + by_ + "\norder: " + (Draw(2) == 0 ? "descending" : "ascending") + "\n" +
                             (*condition_->text == '\0' ? "" : "having: " + std::string(condition_->text) + "\n");
    const std::vector<SpecError> errors = ReadJobSpec(yaml, &spec_);
    EXPECT_TRUE(errors.empty()) << FormatSpecError("spec", errors[0]);
    spec_.set_top(static_cast<uint32_t>(1 + Draw(8)));
    // With hardly any memory all entries are asked for in slices, where nothing else will do.
    const auto memory = std::make_shared<MergeMemory>();
    if (Draw(3) == 0) *memory = {.limit = 2'000, .least = 2'000};
    merge_ = std::make_unique<BatchMerge>(MergeOptionsOf(spec_, Draw(2) * 8, memory));
    workers_.resize(1 + Draw(4));
    for (Worker& worker : workers_) {
      worker.sums = std::make_unique<PartialSums>(PartialSums::Options{.part_bytes = 200});
      worker.sums->SetRanking(MeasuresOf(spec_).ranking.OfPartials());
    }
    keys_ = 1 + Draw(60);
  }

  // Makes a batch, and compares its result. False if it is wrong.
  void MakeBatch() {
    while (!TryBatch()) ++given_up_;
    Compare();
  }

  bool by_changes() const { return merge_->by_changes(); }
  bool needs_all() const { return groups_ > 0 || by_ == "rate" || by_ == "mean"; }
  int given_up() const { return given_up_; }

 private:
  // False if there is no memory for a merge by changes.
  bool TryBatch() {
    std::vector<MergeSource> sources;
    for (size_t w = 0; w < workers_.size(); ++w) sources.push_back({std::to_string(w), 1, 1});
    merge_->Begin(sources);
    std::vector<FoldReply> replies(workers_.size());
    for (size_t w = 0; w < workers_.size(); ++w) Fold(w, &replies[w]);
    std::vector<const FoldReply*> taken;
    for (const FoldReply& reply : replies) taken.push_back(&reply);
    if (!merge_->Take(taken).ok()) return false;
    for (auto questions = merge_->Next(); !merge_->done(); questions = merge_->Next()) {
      if (questions.empty()) ADD_FAILURE() << "it asks nothing, and has no result";
      if (questions.empty()) return true;
      for (BatchMerge::Question& question : questions) {
        const auto reply = workers_[question.worker].sums->LookUp(question.request);
        EXPECT_TRUE(reply.ok()) << reply.status();
        if (!merge_->Answer(question.worker, *reply).ok()) return false;
      }
    }
    return true;
  }

  struct Worker {
    std::unique_ptr<PartialSums> sums;
    PartialSums::Composition composition;
  };

  uint64_t Draw(uint64_t below) { return random_() % below; }

  void Fold(size_t w, FoldReply* reply) {
    Worker& worker = workers_[w];
    FoldRequest request;
    merge_->Quote(w, &request);
    worker.sums->Quote(request, worker.composition);
    if (worker.composition.empty()) worker.composition.Add()->set_partition(static_cast<uint32_t>(w));
    std::map<std::string, std::pair<uint64_t, Sums>> added;
    for (uint64_t events = Draw(30); events > 0; --events) {
      std::string key = "k" + std::to_string(Draw(keys_));
      // A group, framed, and the key, as a row has both.
      if (groups_ > 0) key = key.substr(0, 2) + std::string("\0\1", 2) + key + std::string("\0\1", 2);
      const Units liked = Units{static_cast<int64_t>(Draw(5))} - 2;
      const bool null = Draw(3) == 0;
      const Units scored = (Units{static_cast<int64_t>(Draw(9))} - 3) * kOne / 2;
      const Units not_null = null ? 0 : kOne;
      const Sums event = {scored,
                          liked * not_null,
                          not_null,
                          kOne,
                          scored,
                          kOne,
                          liked * not_null,
                          not_null,
                          null ? 0 : kHalf + liked * kOne,
                          liked * not_null,
                          not_null,
                          kHalf - scored,
                          scored};
      auto& [count, sums] = added[key];
      ++count;
      sums.resize(kSums);
      totals_[key].resize(kSums);
      for (size_t m = 0; m < kSums; ++m) {
        for (Units* sum : {&sums[m], &totals_[key][m]}) *sum = IsHighest(m) ? std::max(*sum, event[m]) : *sum + event[m];
      }
    }
    std::vector<Delta> deltas;
    for (const auto& [key, row] : added) {
      const auto& [count, sums] = row;
      deltas.push_back({.key = key, .count = count, .sum = sums[0], .others = std::span(sums).subspan(1)});
    }
    worker.composition[0].set_next_offset(worker.composition[0].next_offset() + 1);
    const std::span<const Delta> shard = deltas;
    ASSERT_TRUE(worker.sums->Add({&shard, 1}).ok());
    *reply->mutable_composition() = worker.composition;
    reply->set_changed_keys(deltas.size());
    reply->set_keys(worker.sums->KeyCount());
    ASSERT_TRUE(worker.sums->Answer(request, reply).ok());
    ASSERT_TRUE(merge_->CheckReply(w, *reply).ok());
  }

  void Compare() const {
    const GlobalTopK::Result& result = merge_->result();
    if (groups_ == 0) return CompareTop(result.top, totals_);
    std::map<std::string, std::map<std::string, Sums>> groups;
    for (const auto& [key, sums] : totals_) groups[key.substr(0, 4)][key] = sums;
    ASSERT_EQ(result.groups_cut, groups.size() > groups_);
    ASSERT_EQ(result.groups.size(), std::min<size_t>(groups.size(), groups_));
    auto expected = groups.begin();
    for (const BestOfGroup& group : result.groups) {
      ASSERT_EQ(group.group, expected->first) << "a group is there with its first key, whatever having says";
      ASSERT_NO_FATAL_FAILURE(CompareTop(group.top, expected++->second));
    }
  }

  // Dividend and divisor of what ranks.
  std::pair<Units, Units> RankedOf(const Sums& sums) const {
    if (by_ == "rate") return {sums[4] + 5 * kOne, sums[5] + 3 * kOne};
    if (by_ == "mean") return {sums[6], sums[7]};
    if (by_ == "most") return {sums[8] - kHalf, sums[10] == 0 ? 0 : 1};
    if (by_ == "least") return {kHalf - sums[11], 1};
    return {sums[by_ == "score" ? 0 : by_ == "liked" ? 1 : 3], by_ == "liked" && sums[2] == 0 ? 0 : 1};
  }

  void CompareTop(const std::vector<Partial>& top, const std::map<std::string, Sums>& totals) const {
    std::vector<std::pair<std::string, Sums>> expected;
    for (const auto& [key, sums] : totals) {
      if (RankedOf(sums).second != 0 && condition_->holds(sums)) expected.emplace_back(key, sums);
    }
    std::ranges::stable_sort(expected, [&](const auto& a, const auto& b) {
      const auto [a_dividend, a_divisor] = RankedOf(a.second);
      const auto [b_dividend, b_divisor] = RankedOf(b.second);
      const Units left = a_dividend * b_divisor;
      const Units right = b_dividend * a_divisor;
      return spec_.order() == ORDER_ASCENDING ? left < right : left > right;
    });
    if (expected.size() > spec_.top()) expected.resize(spec_.top());
    ASSERT_EQ(top.size(), expected.size()) << spec_.ShortDebugString();
    for (size_t i = 0; i < top.size(); ++i) {
      ASSERT_EQ(top[i].key, expected[i].first) << "rank " << i + 1 << " of " << spec_.ShortDebugString();
      ASSERT_TRUE(top[i].sums == expected[i].second) << top[i].key;
    }
  }

  std::mt19937_64 random_;
  JobSpec spec_;
  const Condition* condition_ = nullptr;
  std::string by_;
  uint64_t keys_ = 0;
  uint64_t groups_ = 0;
  int given_up_ = 0;
  std::unique_ptr<BatchMerge> merge_;
  std::vector<Worker> workers_;
  std::map<std::string, Sums> totals_;
};

TEST(RankedMergeTest, EqualsBruteForceWhateverRanksAndWhateverMustHold) {
  int by_changes = 0;
  int batches = 0;
  int needs_all = 0;
  int given_up = 0;
  for (uint64_t seed = 1; seed <= 2500; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RankedMerge merge(seed);
    for (int batch = 0; batch < 12; ++batch) {
      by_changes += merge.by_changes() && !merge.needs_all();
      batches += !merge.needs_all();
      needs_all += merge.needs_all();
      ASSERT_NO_FATAL_FAILURE(merge.MakeBatch());
    }
    given_up += merge.given_up();
  }
  EXPECT_GT(needs_all, batches / 2);
  EXPECT_GT(given_up, 100) << "merges without memory for all totals";
  EXPECT_GT(by_changes, batches / 50);
  EXPECT_LT(by_changes, batches / 10 * 9);
}

}  // namespace
}  // namespace tenfold
