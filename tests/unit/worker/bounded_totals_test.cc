#include "worker/totals/bounded_totals.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <limits>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "worker/totals/upper_bounds.h"

namespace tenfold {
namespace {

// Of each load. Sanitizers look for other faults than wrong sums, and take ten times as long.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr uint64_t kSeeds = 3;
#else
constexpr uint64_t kSeeds = 12;
#endif

constexpr Units kLowest = std::numeric_limits<Units>::min();

// Shards in memory, which may refuse to be read.
class MapStore : public ShardStore {
 public:
  absl::Status Create(std::span<const NewShard>) override { return absl::OkStatus(); }
  absl::Status Drop(std::span<const ShardKey>) override { return absl::OkStatus(); }
  absl::Status Commit(std::span<const Update>, WalMode) override { return absl::OkStatus(); }

  absl::StatusOr<std::unique_ptr<RowCursor>> Rows(const ShardKey& shard, std::string_view, std::string_view) const override {
    if (!failure.ok()) return failure;
    return std::make_unique<Cursor>(&shards.at(shard.second));
  }
  absl::Status AddRows(const ShardKey& shard, std::span<const std::string_view> keys,
                       std::span<RowSum> sums) const override {
    EXPECT_TRUE(std::is_sorted(keys.begin(), keys.end()));
    EXPECT_TRUE(std::adjacent_find(keys.begin(), keys.end()) == keys.end());
    if (!failure.ok()) return failure;
    for (size_t i = 0; i < keys.size(); ++i) {
      const auto row = shards.at(shard.second).find(std::string(keys[i]));
      if (row == shards.at(shard.second).end()) continue;
      sums[i].Add(row->second.RowOf(""));
    }
    return absl::OkStatus();
  }
  uint64_t EstimateRows(const ShardKey& shard) const override { return shards.at(shard.second).size(); }

  std::map<uint32_t, std::map<std::string, RowSum>> shards;
  absl::Status failure;

 private:
  class Cursor : public RowCursor {
   public:
    explicit Cursor(const std::map<std::string, RowSum>* rows) : rows_(rows), next_(rows->begin()) {}
    bool Next() override {
      if (next_ == rows_->end()) return false;
      row_ = next_->second.RowOf(next_->first);
      ++next_;
      return true;
    }
    absl::Status status() const override { return absl::OkStatus(); }

   private:
    const std::map<std::string, RowSum>* rows_;
    std::map<std::string, RowSum>::const_iterator next_;
  };
};

// What tests vary: how many keys, how their changes are drawn, and where a key's records go.
struct Load {
  const char* name;
  int keys;
  // A change is drawn from [low, high], times `scale`.
  int low;
  int high;
  Units scale = 1;
  // Keys are drawn by a power of this: 1 for all alike.
  double skew = 1;
  // Rows have a second sum, by which they are ranked, the lowest first.
  bool second = false;
  // Rows have a height, by which they are ranked, and the sum of the same numbers. The highest comes first, or the lowest.
  bool height = false;
  bool lowest = false;

  Ranking ranking() const {
    if (second) return {.sums = 2, .by = 1, .ascending = true};
    if (!height) return {};
    return {.sums = 2, .by = 0, .ascending = lowest, .heights = HeightSet(1)};
  }
};

// Totals within a limit far below what they need, beside sums by brute force.
class Fixture {
 public:
  Fixture(const Load& load, uint64_t seed, size_t limit)
      : load_(load), random_(seed), totals_(&store_, [] { return false; }) {
    totals_.SetRanking(load_.ranking());
    totals_.SetLimit(limit);
  }

  int Draw(int below) { return static_cast<int>(random_() % static_cast<uint64_t>(below)); }

  // As a worker does it: what joins or leaves is scanned, then all is settled.
  void Assign(const std::vector<uint32_t>& owned) {
    totals_.EndScan();
    const auto scan = [&](uint32_t shard, int sign) {
      for (const auto& [key, row] : store_.shards[shard]) {
        std::vector<Units> others;
        for (const Units other : row.others) others.push_back(sign * other);
        totals_.AddRow({.key = key,
                        .count = sign < 0 ? 0 - row.count : row.count,
                        .heights = row.heights,
                        .sum = sign * row.sum,
                        .others = others});
      }
    };
    const auto has = [](const std::vector<uint32_t>& shards, uint32_t shard) {
      return std::find(shards.begin(), shards.end(), shard) != shards.end();
    };
    for (const uint32_t shard : owned_) {
      if (!has(owned, shard) && load_.height) totals_.ReadAnew();
      if (!has(owned, shard) && !load_.height) scan(shard, -1);
    }
    for (const uint32_t shard : owned) {
      if (!has(owned_, shard)) scan(shard, 1);
    }
    owned_ = owned;
    std::vector<ShardKey> keys;
    for (const uint32_t shard : owned) keys.emplace_back("job", shard);
    ASSERT_TRUE(totals_.SetShards(keys).ok());
  }

  void Commit(int changes) {
    std::vector<std::map<std::string, Delta>> deltas(owned_.size());
    for (int i = 0; i < changes && !owned_.empty(); ++i) {
      const double place = std::pow(static_cast<double>(Draw(1 << 20)) / (1 << 20), load_.skew);
      const std::string key = "key" + std::to_string(static_cast<int>(place * load_.keys));
      const auto shard = static_cast<size_t>(Draw(static_cast<int>(owned_.size())));
      Delta& delta = deltas[shard][key];
      delta.count += 1;
      const Units added = (load_.low + Draw(load_.high - load_.low + 1)) * load_.scale;
      if (load_.height) {
        delta.heights = HeightSet(1);
        delta.sum = std::max(delta.sum, HeightOf(static_cast<int64_t>(added)));
      } else {
        delta.sum += added;
      }
    }
    std::vector<std::vector<Delta>> sorted;
    std::deque<Units> others;
    for (size_t i = 0; i < owned_.size(); ++i) {
      std::vector<Delta>& of_shard = sorted.emplace_back();
      for (auto& [key, delta] : deltas[i]) {
        delta.key = key;
        if (load_.second) {
          // What ranks is the negative of the second sum.
          delta.others = {&others.emplace_back(-delta.sum), 1};
          delta.sum = 7 * delta.sum;
        }
        if (load_.height) delta.others = {&others.emplace_back(1), 1};
        of_shard.push_back(delta);
        store_.shards[owned_[i]][key].Add(delta);
      }
    }
    const std::vector<std::span<const Delta>> spans(sorted.begin(), sorted.end());
    const absl::Status added = totals_.Add(spans);
    ASSERT_TRUE(added.ok() == store_.failure.ok()) << added;
  }

  std::map<std::string, Units> Exact() const {
    std::map<std::string, Units> exact;
    for (const uint32_t shard : owned_) {
      const auto rows = store_.shards.find(shard);
      if (rows == store_.shards.end()) continue;
      for (const auto& [key, row] : rows->second) {
        if (load_.height) {
          exact[key] = std::max(exact[key], row.sum);
        } else {
          exact[key] += load_.second ? -row.others[0] : row.sum;
        }
      }
    }
    for (auto& [key, sum] : exact) sum = load_.lowest ? -sum : sum;
    return exact;
  }

  void CheckAll() {
    const std::map<std::string, Units> exact = Exact();
    ASSERT_NO_FATAL_FAILURE(CheckHighest(exact, static_cast<size_t>(Draw(8)), std::nullopt));
    if (totals_.complete()) {
      EXPECT_EQ(totals_.Keys(), exact.size());
    } else {
      EXPECT_GE(totals_.Keys(), exact.size());
    }
    std::vector<Units> sums;
    for (const auto& [key, sum] : exact) sums.push_back(sum);
    const Units some = sums.empty() ? 0 : sums[static_cast<size_t>(Draw(static_cast<int>(sums.size())))];
    ASSERT_NO_FATAL_FAILURE(CheckHighest(exact, 8, some));
    ASSERT_NO_FATAL_FAILURE(CheckFind(exact));
    ASSERT_NO_FATAL_FAILURE(CheckAtOrAbove(exact, some));
    ASSERT_NO_FATAL_FAILURE(CheckAtOrAbove(exact, kLowest));
  }

  void CheckHighest(const std::map<std::string, Units>& exact, size_t depth, std::optional<Units> threshold) {
    const absl::StatusOr<Totals::Top> top = totals_.Highest(depth, threshold, 1000);
    ASSERT_TRUE(top.ok()) << top.status();
    std::vector<Units> sums;
    for (const auto& [key, sum] : exact) sums.push_back(sum);
    std::sort(sums.begin(), sums.end(), std::greater<>());
    ASSERT_GE(top->entries.size(), std::min(depth, exact.size()));
    std::map<std::string, Units> left_out = exact;
    for (size_t i = 0; i < top->entries.size(); ++i) {
      const TotalEntry& entry = top->entries[i];
      ASSERT_EQ(left_out.count(std::string(entry.key)), 1u) << entry.key;
      ASSERT_TRUE(left_out.at(std::string(entry.key)) == entry.sum) << entry.key;
      ASSERT_TRUE(HasSums(entry)) << entry.key;
      left_out.erase(std::string(entry.key));
      if (i < depth) {
        ASSERT_TRUE(entry.sum == sums[i]) << i;
      }
    }
    ASSERT_TRUE(top->floor || left_out.empty());
    for (const auto& [key, sum] : left_out) ASSERT_TRUE(sum <= *top->floor) << key;
  }

  void CheckFind(const std::map<std::string, Units>& exact) {
    std::vector<std::string> names{"none", "key0", "key0"};
    for (const auto& [key, sum] : exact) {
      if (Draw(3) == 0) names.push_back(key);
    }
    std::shuffle(names.begin(), names.end(), random_);
    const std::vector<std::string_view> keys(names.begin(), names.end());
    const auto found = totals_.Find(keys);
    ASSERT_TRUE(found.ok());
    for (size_t i = 0; i < names.size(); ++i) {
      const auto row = exact.find(names[i]);
      ASSERT_EQ((*found)[i].has_value(), row != exact.end()) << names[i];
      if (row == exact.end()) continue;
      ASSERT_TRUE((*found)[i]->sum == (load_.second ? 7 : load_.lowest ? -1 : 1) * row->second) << names[i];
      ASSERT_TRUE(!load_.second || (*found)[i]->others[0] == -row->second) << names[i];
    }
  }

  // In parts, the first of which may have to be asked for again.
  void CheckAtOrAbove(const std::map<std::string, Units>& exact, Units threshold) {
    std::map<std::string, Units> answered;
    uint64_t from = 0;
    do {
      std::vector<TotalEntry> entries;
      const auto next = totals_.AtOrAbove(threshold, from, 200, &entries);
      ASSERT_TRUE(next.ok());
      for (const TotalEntry& entry : entries) {
        ASSERT_TRUE(answered.emplace(entry.key, entry.sum).second) << entry.key;
        ASSERT_TRUE(HasSums(entry)) << entry.key;
      }
      if (Draw(5) == 0) {
        // A reply got lost, or another question came between.
        std::vector<TotalEntry> again;
        ASSERT_TRUE(totals_.AtOrAbove(threshold, from, 200, &again).value() == *next);
        ASSERT_EQ(again.size(), entries.size());
      }
      from = *next;
    } while (from != 0);
    std::map<std::string, Units> expected;
    for (const auto& [key, sum] : exact) {
      if (sum >= threshold) expected.emplace(key, sum);
    }
    ASSERT_TRUE(answered == expected);
  }

  bool HasSums(const TotalEntry& entry) const {
    if (load_.height) return entry.sums.size() == 2 && load_.ranking().Turned(entry.sums[0]) == entry.sum;
    if (!load_.second) return entry.sums.empty();
    return entry.sums.size() == 2 && entry.sums[0] == 7 * entry.sum && entry.sums[1] == -entry.sum;
  }

  const Load load_;
  std::mt19937_64 random_;
  MapStore store_;
  BoundedTotals totals_;
  std::vector<uint32_t> owned_;
};

class BoundedTotalsTest : public testing::TestWithParam<Load> {};

TEST_P(BoundedTotalsTest, EveryAnswerIsTrueWhateverTheSequence) {
  bool was_incomplete = false;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    // Half of the seeds have bounds in so few cells that keys share them.
    Fixture fixture(GetParam(), seed, seed % 2 == 0 ? 4 << 10 : 300 << 10);
    fixture.Assign({0, 1});
    for (int step = 0; step < 25; ++step) {
      switch (fixture.Draw(8)) {
        case 0:
          fixture.Assign({static_cast<uint32_t>(fixture.Draw(2)), 2});
          break;
        case 1:
          fixture.Assign({0, 1, 2, 3});
          break;
        default:
          fixture.Commit(1 + fixture.Draw(GetParam().keys));
      }
      if (fixture.Draw(2) == 0) {
        ASSERT_NO_FATAL_FAILURE(fixture.CheckAll()) << "step " << step;
      }
      if (fixture.Draw(10) == 0) fixture.totals_.SetLimit(static_cast<size_t>(2 + fixture.Draw(300)) << 10);
      was_incomplete = was_incomplete || !fixture.totals_.complete();
    }
    ASSERT_NO_FATAL_FAILURE(fixture.CheckAll());
  }
  EXPECT_TRUE(was_incomplete || GetParam().keys < 100);
}

INSTANTIATE_TEST_SUITE_P(Loads, BoundedTotalsTest,
                         testing::Values(Load{"FewKeys", 5, -3, 3}, Load{"Ties", 1000, 0, 1}, Load{"Zeros", 1000, 0, 0},
                                         Load{"Signs", 1000, -5, 5}, Load{"Negatives", 1000, -9, -1},
                                         Load{"Positives", 1000, 1, 1000}, Load{"Skewed", 3000, 1, 100, 1'000'000'000, 4},
                                         Load{"Sinking", 1000, -100, 10}, Load{"SecondSums", 1000, -50, 1000, 1, 2, true},
                                         Load{"Large", 1000, -3, 50, Units{1} << 100},
                                         Load{"Highest", 1000, -500, 500, 1, 1, false, true},
                                         Load{"Lowest", 1000, -500, 500, 1, 1, false, true, true}),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(BoundedTotalsTest, WithoutALimitNothingIsReadFromTheStore) {
  Fixture fixture({"", 20'000, 1, 100}, 1, BoundedTotals::kNoLimit);
  fixture.Assign({0});
  for (int i = 0; i < 10; ++i) fixture.Commit(20'000);
  EXPECT_TRUE(fixture.totals_.complete());
  ASSERT_NO_FATAL_FAILURE(fixture.CheckAll());
  EXPECT_EQ(fixture.totals_.rebuilds(), 0u);
}

TEST(BoundedTotalsTest, MemoryStaysWithinTheLimit) {
  constexpr size_t kLimit = 4 << 20;
  Fixture fixture({"", 400'000, 1, 1000}, 1, kLimit);
  fixture.Assign({0, 1});
  for (int i = 0; i < 30; ++i) {
    fixture.Commit(20'000);
    EXPECT_LE(fixture.totals_.bytes(), kLimit) << "batch " << i;
  }
  EXPECT_FALSE(fixture.totals_.complete());
  fixture.Assign({1});
  fixture.Assign({0, 1});
  EXPECT_LE(fixture.totals_.bytes(), kLimit);
  ASSERT_NO_FATAL_FAILURE(fixture.CheckHighest(fixture.Exact(), 8, std::nullopt));
}

// As where other jobs have come, and this one has nothing to add.
TEST(BoundedTotalsTest, ShrinksToALowerLimitAtOnce) {
  constexpr size_t kLimit = 16 << 20;
  for (const size_t limit : {kLimit / 8, kLimit / 64}) {
    Fixture fixture({"", 400'000, 1, 1000}, 1, kLimit);
    fixture.Assign({0, 1});
    for (int i = 0; i < 20; ++i) fixture.Commit(20'000);
    ASSERT_GT(fixture.totals_.bytes(), limit);
    fixture.totals_.SetLimit(limit);
    fixture.totals_.Shrink();
    EXPECT_LE(fixture.totals_.bytes(), limit);
    ASSERT_NO_FATAL_FAILURE(fixture.CheckHighest(fixture.Exact(), 8, std::nullopt));
  }
}

TEST(BoundedTotalsTest, ChangedKeysFarBelowTheFloorAreNotRead) {
  Fixture fixture({"", 100'000, 1, 1000, 1'000'000, 3}, 1, 2 << 20);
  fixture.Assign({0});
  for (int i = 0; i < 30; ++i) fixture.Commit(20'000);
  ASSERT_FALSE(fixture.totals_.complete());
  // Of 600,000 changes.
  EXPECT_LT(fixture.totals_.keys_read(), 60'000u);
  EXPECT_EQ(fixture.totals_.rebuilds(), 0u);
}

TEST(BoundedTotalsTest, FallingCandidatesAreReplacedByThoseOutside) {
  Fixture fixture({"", 1000, 1, 100}, 1, 8 << 10);
  fixture.Assign({0});
  for (int i = 0; i < 10; ++i) fixture.Commit(1000);
  ASSERT_FALSE(fixture.totals_.complete());
  // What is highest sinks below all others, again and again.
  for (int round = 0; round < 20; ++round) {
    std::vector<Delta> deltas;
    const auto top = fixture.totals_.Highest(30, std::nullopt, 1000);
    ASSERT_TRUE(top.ok());
    std::map<std::string, Units> fall;
    for (const TotalEntry& entry : top->entries) fall.emplace(entry.key, -2 * entry.sum);
    for (const auto& [key, sum] : fall) {
      deltas.push_back({.key = key, .count = 1, .sum = sum});
      fixture.store_.shards[0][key].count += 1;
      fixture.store_.shards[0][key].sum += sum;
    }
    const std::vector<std::span<const Delta>> shards{deltas};
    ASSERT_TRUE(fixture.totals_.Add(shards).ok());
    ASSERT_NO_FATAL_FAILURE(fixture.CheckHighest(fixture.Exact(), 8, std::nullopt)) << round;
  }
  EXPECT_GT(fixture.totals_.rebuilds(), 0u);
}

TEST(BoundedTotalsTest, AFailedReadIsToldAndLeavesNothingWrong) {
  Fixture fixture({"", 1000, 1, 100}, 1, 8 << 10);
  fixture.Assign({0});
  for (int i = 0; i < 5; ++i) fixture.Commit(1000);
  ASSERT_FALSE(fixture.totals_.complete());
  fixture.store_.failure = absl::DataLossError("a block is damaged");
  fixture.Commit(1000);
  EXPECT_FALSE(fixture.totals_.Highest(8, std::nullopt, 1000).ok());
  fixture.store_.failure = absl::OkStatus();
  ASSERT_NO_FATAL_FAILURE(fixture.CheckAll());
}

TEST(BoundedTotalsTest, ARowOfAnotherNumberOfSumsIsTold) {
  Fixture fixture({"", 1000, 1, 100, 1, 1, true}, 1, 8 << 10);
  fixture.Assign({0, 1});
  for (int i = 0; i < 5; ++i) fixture.Commit(1000);
  ASSERT_FALSE(fixture.totals_.complete());
  ASSERT_NO_FATAL_FAILURE(fixture.CheckAll());
  const std::string key = fixture.store_.shards[0].begin()->first;
  fixture.store_.shards[0][key].others.clear();
  const std::vector<std::string_view> keys{key};
  EXPECT_TRUE(absl::IsDataLoss(fixture.totals_.Find(keys).status()));
  std::vector<TotalEntry> entries;
  EXPECT_TRUE(absl::IsDataLoss(fixture.totals_.AtOrAbove(kLowest, 0, 1 << 20, &entries).status()));
}

TEST(UpperBoundsTest, BoundsAreAboveTotalsAndNearWhereThereIsRoom) {
  UpperBounds bounds(1 << 20);
  bounds.RaiseCeiling(1'000'000);
  std::map<std::string, Units> totals;
  std::mt19937_64 random(1);
  Units excess = 0;
  for (int i = 0; i < 200'000; ++i) {
    const std::string key = std::to_string(random() % 50'000);
    const Units delta = static_cast<int>(random() % 1000);
    const UpperBounds::Place place = bounds.Find(key);
    bounds.Raise(place, bounds.Bound(place) + delta);
    totals[key] += delta;
    if (i == 100'000) bounds.RaiseCeiling(Units{1} << 40);
    if (i == 150'000) bounds.Halve();
    ASSERT_GE(bounds.Bound(bounds.Find(key)), totals[key]);
  }
  for (const auto& [key, total] : totals) ASSERT_GE(bounds.Bound(bounds.Find(key)), total) << key;
  UpperBounds roomy(1 << 20);
  roomy.RaiseCeiling(60'000);
  for (const auto& [key, total] : totals) roomy.Raise(roomy.Find(key), std::min<Units>(total, 59'999));
  for (const auto& [key, total] : totals) excess += roomy.Bound(roomy.Find(key)) - std::min<Units>(total, 59'999);
  EXPECT_LT(excess / static_cast<Units>(totals.size()), 20);
}

}  // namespace
}  // namespace tenfold
