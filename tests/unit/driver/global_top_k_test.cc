#include "driver/merge/global_top_k.h"

#include <algorithm>
#include <boost/multiprecision/cpp_int.hpp>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <map>
#include <random>

#include "fmt/format.h"
#include "glog/logging.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tenfold {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Thresholds = std::vector<std::optional<Units>>;

constexpr size_t kNoCut = std::numeric_limits<size_t>::max();

// Keys sorted by bytes, and of each worker its partials; unset where the worker does not have the key.
struct Sums {
  std::vector<std::string> keys;
  std::vector<std::vector<std::optional<Units>>> workers;

  Sums(std::vector<std::string> sorted_keys, size_t worker_count)
      : keys(std::move(sorted_keys)), workers(worker_count, std::vector<std::optional<Units>>(keys.size())) {}

  size_t IndexOf(const std::string& key) const {
    const auto it = std::lower_bound(keys.begin(), keys.end(), key);
    return static_cast<size_t>(it - keys.begin());
  }
  void Set(size_t worker, const std::string& key, Units sum) { workers[worker][IndexOf(key)] = sum; }
};

std::vector<std::string> NumberedKeys(size_t count) {
  std::vector<std::string> keys;
  for (size_t i = 0; i < count; ++i) keys.push_back(fmt::format("p{:06}", i));
  return keys;
}

// The answer to a fold as common/table/totals.h promises it: what a worker sends of its partials.
struct Reply {
  std::vector<GlobalTopK::Partial> entries;
  std::optional<Units> floor;
};

Reply Highest(const Sums& sums, size_t worker, size_t depth, std::optional<Units> threshold, size_t max_entries) {
  const auto& partials = sums.workers[worker];
  std::vector<size_t> present;
  size_t reached = 0;
  for (size_t i = 0; i < partials.size(); ++i) {
    if (!partials[i]) continue;
    present.push_back(i);
    if (threshold && *partials[i] >= *threshold) ++reached;
  }
  const size_t count = std::min(present.size(), std::min(std::max(depth, reached), std::max(depth, max_entries)));
  const auto higher = [&](size_t a, size_t b) { return *partials[a] != *partials[b] ? *partials[a] > *partials[b] : a < b; };
  const size_t sorted = std::min(present.size(), count + 1);
  std::partial_sort(present.begin(), present.begin() + static_cast<ptrdiff_t>(sorted), present.end(), higher);
  Reply reply;
  for (size_t i = 0; i < count; ++i) reply.entries.push_back({sums.keys[present[i]], *partials[present[i]]});
  if (count < present.size()) reply.floor = *partials[present[count]];
  return reply;
}

// The answer to a question, as LookUp and AtOrAbove give it.
void Answer(const Sums& sums, const GlobalTopK::Question& question, GlobalTopK* merge) {
  const auto& partials = sums.workers[question.worker];
  std::vector<GlobalTopK::Partial> found;
  std::vector<GlobalTopK::Partial> at_or_above;
  for (const std::string_view key : question.keys) {
    if (const auto& partial = partials[sums.IndexOf(std::string(key))]) found.push_back({std::string(key), *partial});
  }
  if (question.at_or_above) {
    for (size_t i = 0; i < partials.size(); ++i) {
      if (!question.slice.Has(sums.keys[i])) continue;
      if (partials[i] && *partials[i] >= *question.at_or_above) at_or_above.push_back({sums.keys[i], *partials[i]});
    }
  }
  // In two parts.
  std::vector<GlobalTopK::Partial> rest(at_or_above.begin() + static_cast<ptrdiff_t>(at_or_above.size() / 2),
                                        at_or_above.end());
  at_or_above.resize(at_or_above.size() / 2);
  merge->AddAnswer(question.worker, found, std::move(at_or_above), true);
  merge->AddAnswer(question.worker, {}, std::move(rest));
}

struct Ask {
  size_t k = 10;
  // 0: twice k.
  size_t depth = 0;
  Thresholds thresholds = {};
  size_t max_entries = kNoCut;
  // What the workers' floors are too high by, at most.
  Units slack = 0;
  size_t max_questions = GlobalTopK::kMaxQuestions;
  MergeMemory memory = {};
};

int slices_asked = 0;
GlobalTopK::Result Merge(const Sums& sums, const Ask& ask) {
  const auto memory = std::make_shared<MergeMemory>(ask.memory);
  GlobalTopK merge(ask.k, sums.workers.size(), memory, ask.max_questions);
  const size_t most = std::max({2 * ask.k * sums.workers.size(), ask.max_questions, sums.workers.size()});
  for (size_t w = 0; w < sums.workers.size(); ++w) {
    const size_t depth = ask.depth == 0 ? 2 * ask.k : ask.depth;
    Reply reply = Highest(sums, w, depth, ask.thresholds.empty() ? std::nullopt : ask.thresholds[w], ask.max_entries);
    if (reply.floor) *reply.floor += ask.slack;
    merge.AddReply(w, std::move(reply.entries), reply.floor);
  }
  for (std::vector<GlobalTopK::Question> questions = merge.Next(); !questions.empty(); questions = merge.Next()) {
    size_t keys = 0;
    for (const GlobalTopK::Question& question : questions) keys += question.keys.size();
    slices_asked += questions[0].slice.count > 1;
    EXPECT_LE(keys, most);
    for (const GlobalTopK::Question& question : questions) Answer(sums, question, &merge);
  }
  EXPECT_EQ(memory->used, 0u);
  EXPECT_LE(merge.result().rounds, 2u);
  EXPECT_GE(merge.result().rounds, 1u);
  EXPECT_EQ(merge.result().next_thresholds.size(), sums.workers.size());
  return merge.result();
}

std::vector<std::string> Lines(const std::vector<GlobalTopK::Partial>& top) {
  std::vector<std::string> lines;
  for (const GlobalTopK::Partial& entry : top) {
    lines.push_back(entry.key + " " + boost::multiprecision::int128_t(entry.sum).str());
  }
  return lines;
}

std::vector<std::string> BruteForce(const Sums& sums, size_t k) {
  std::vector<GlobalTopK::Partial> all;
  for (size_t i = 0; i < sums.keys.size(); ++i) {
    std::optional<Units> total;
    for (const auto& partials : sums.workers) {
      if (partials[i]) total = total.value_or(0) + *partials[i];
    }
    if (total) all.push_back({sums.keys[i], *total});
  }
  std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.sum > b.sum; });
  all.resize(std::min(k, all.size()));
  return Lines(all);
}

using Random = std::mt19937_64;

int64_t Between(Random& random, int64_t low, int64_t high) {
  return std::uniform_int_distribution<int64_t>(low, high)(random);
}

// In one of several shapes: ties and zeros, negatives alone, wide, huge, small, zeros alone, hot keys.
Units RandomDelta(Random& random, int64_t shape, size_t key) {
  switch (shape) {
    case 0:
      return Between(random, -1, 1);
    case 1:
      return Between(random, -5, 0);
    case 2:
      return Between(random, -1000, 1000);
    case 3:
      return Units{Between(random, -1'000'000, 1'000'000)} << 96;
    case 4:
      return Between(random, 0, 3);
    case 5:
      return 0;
    default:
      return Between(random, -20, 1000) / static_cast<int64_t>(key + 1);
  }
}

// Names the seed also where a failed CHECK ends the test.
uint64_t running_seed = 0;
void EndWithSeed() {
  std::fprintf(stderr, "seed %llu\n", static_cast<unsigned long long>(running_seed));
  std::abort();
}

TEST(GlobalTopKTest, EqualsBruteForceOnRandomSplitsWithCarriedThresholds) {
  google::InstallFailureFunction(&EndWithSeed);
  std::map<uint32_t, int> rounds;
  for (uint64_t seed = 0; seed < 4000; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    running_seed = seed;
    Random random(seed);
    Sums sums(NumberedKeys(static_cast<size_t>(Between(random, 0, 80))), static_cast<size_t>(Between(random, 1, 9)));
    const int64_t shape = Between(random, 0, 6);
    const int64_t percent_present = Between(random, 5, 100);
    Ask ask;
    ask.k = static_cast<size_t>(Between(random, 1, 12));
    if (Between(random, 0, 1) == 0) ask.depth = static_cast<size_t>(Between(random, 1, 30));
    if (Between(random, 0, 2) == 0) ask.max_entries = static_cast<size_t>(Between(random, 1, 20));
    if (Between(random, 0, 3) == 0) ask.slack = Between(random, 0, 50);
    if (Between(random, 0, 1) == 0) ask.max_questions = static_cast<size_t>(Between(random, 0, 40));
    if (Between(random, 0, 1) == 0) {
      ask.memory.limit = static_cast<uint64_t>(Between(random, 0, 10'000));
      ask.memory.least = static_cast<uint64_t>(Between(random, 500, 3'000));
    }
    for (int batch = 0; batch < 4; ++batch) {
      for (auto& partials : sums.workers) {
        for (size_t i = 0; i < partials.size(); ++i) {
          if (Between(random, 1, 100) <= percent_present) {
            partials[i] = partials[i].value_or(0) + RandomDelta(random, shape, i);
          }
        }
      }
      const GlobalTopK::Result result = Merge(sums, ask);
      ASSERT_EQ(Lines(result.top), BruteForce(sums, ask.k)) << "batch " << batch;
      ask.thresholds = result.next_thresholds;
      ++rounds[result.rounds];
    }
    if (HasFailure()) return;
  }
  // Both ways to end were taken often.
  EXPECT_GT(rounds[1], 1000);
  EXPECT_GT(rounds[2], 1000);
  EXPECT_GT(slices_asked, 1000);
}

TEST(GlobalTopKTest, EqualsBruteForceWhateverThresholdsAreSent) {
  google::InstallFailureFunction(&EndWithSeed);
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    running_seed = seed;
    Random random(seed);
    Sums sums(NumberedKeys(60), static_cast<size_t>(Between(random, 1, 6)));
    Ask ask{.k = 3, .depth = 3};
    for (auto& partials : sums.workers) {
      for (auto& partial : partials) {
        if (Between(random, 0, 2) > 0) partial = Between(random, -30, 60);
      }
      ask.thresholds.push_back(Between(random, 0, 3) == 0 ? std::nullopt : std::optional<Units>(Between(random, -40, 70)));
    }
    ASSERT_EQ(Lines(Merge(sums, ask).top), BruteForce(sums, ask.k));
  }
}

TEST(GlobalTopKTest, FindsWinnersInNoWorkersFirstSixtyPlaces) {
  std::vector<std::string> keys;
  for (char local = 'a'; local <= 'd'; ++local) {
    for (int i = 0; i < 60; ++i) keys.push_back(fmt::format("{}{:02}", local, i));
  }
  for (int i = 0; i < 10; ++i) keys.push_back(fmt::format("winner{}", i));
  Sums sums(keys, 4);
  for (size_t w = 0; w < 4; ++w) {
    for (int i = 0; i < 60; ++i) sums.Set(w, fmt::format("{}{:02}", static_cast<char>('a' + w), i), 100 + i);
    for (int i = 0; i < 10; ++i) sums.Set(w, fmt::format("winner{}", i), 90 - i);
  }
  const GlobalTopK::Result result = Merge(sums, {});
  EXPECT_EQ(result.rounds, 2u);
  EXPECT_EQ(result.top.front().key, "winner0");
  EXPECT_EQ(result.top.back().key, "winner9");
  EXPECT_EQ(Lines(result.top), BruteForce(sums, 10));
}

TEST(GlobalTopKTest, BreaksATieAcrossRankTenByKey) {
  // Behind nine leaders a, b, y and z have 10 each; the workers send only y and z, which lose the tie.
  Sums sums({"a", "b", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "y", "z"}, 2);
  sums.workers[0] = {5, 5, 50, 50, 50, 50, 50, 50, 50, 50, 50, 10, std::nullopt};
  sums.workers[1] = {5, 5, 50, 50, 50, 50, 50, 50, 50, 50, 50, std::nullopt, 10};
  const GlobalTopK::Result result = Merge(sums, {.k = 10, .depth = 10});
  ASSERT_EQ(result.top.size(), 10u);
  EXPECT_EQ(Lines(result.top).back(), "a 10");
  EXPECT_EQ(result.rounds, 2u) << "the bound equals the tenth total: not yet decided";
}

TEST(GlobalTopKTest, PutsAKeyOutThatAnotherWorkerPullsBelowZero) {
  Sums sums({"fallen", "second", "third"}, 2);
  sums.workers[0] = {1000, 20, 10};
  sums.workers[1] = {-1001, 1, 1};
  EXPECT_THAT(Lines(Merge(sums, {.k = 2, .depth = 1}).top), ElementsAre("second 21", "third 11"));
}

TEST(GlobalTopKTest, RanksZeroAndNegativeTotals) {
  Sums sums({"a", "b", "c", "d", "e"}, 2);
  sums.workers[0] = {-3, 0, 4, std::nullopt, std::nullopt};
  sums.workers[1] = {std::nullopt, std::nullopt, -4, -1, -1};
  EXPECT_THAT(Lines(Merge(sums, {.k = 4, .depth = 1}).top), ElementsAre("b 0", "c 0", "d -1", "e -1"));
}

TEST(GlobalTopKTest, DoesNotStopOnTheSumOfFloorsAlone) {
  // The floors, 8 and -10, sum to less than T = 5, but "hidden" is absent at the second worker.
  Sums sums({"best", "hidden", "low", "lower"}, 2);
  sums.workers[0] = {9, 8, std::nullopt, std::nullopt};
  sums.workers[1] = {-4, std::nullopt, -5, -10};
  EXPECT_THAT(Lines(Merge(sums, {.k = 1, .depth = 1}).top), ElementsAre("hidden 8"));
}

TEST(GlobalTopKTest, AsksForEverythingWithFewerThanKCandidates) {
  GlobalTopK merge(3, 2);
  merge.AddReply(0, {{"a", 7}}, -2);
  merge.AddReply(1, {}, std::nullopt);
  const std::vector<GlobalTopK::Question> questions = merge.Next();
  ASSERT_EQ(questions.size(), 1u);
  EXPECT_EQ(questions[0].worker, 0u);
  EXPECT_THAT(questions[0].keys, IsEmpty());
  EXPECT_EQ(questions[0].at_or_above, std::numeric_limits<Units>::min());
  merge.AddAnswer(0, {}, {{"a", 7}, {"b", -2}});
  EXPECT_THAT(merge.Next(), IsEmpty());
  EXPECT_THAT(Lines(merge.result().top), ElementsAre("a 7", "b -2"));
  EXPECT_EQ(merge.result().kth_total, std::nullopt);
  EXPECT_EQ(merge.result().unseen_bound, std::nullopt);
  EXPECT_EQ(merge.result().entries, 3u);
}

TEST(GlobalTopKTest, IsDoneAtOnceWithoutAnyKey) {
  GlobalTopK merge(10, 3);
  for (size_t w = 0; w < 3; ++w) merge.AddReply(w, {}, std::nullopt);
  EXPECT_THAT(merge.Next(), IsEmpty());
  EXPECT_THAT(merge.result().top, IsEmpty());
  EXPECT_EQ(merge.result().rounds, 1u);
}

TEST(GlobalTopKTest, LooksUpOnlyWhatIsNotKnownTheBestFirst) {
  GlobalTopK merge(1, 3);
  merge.AddReply(0, {{"a", 9}, {"b", 8}}, 3);
  merge.AddReply(1, {{"c", 6}}, 3);
  merge.AddReply(2, {{"c", 1}}, std::nullopt);
  std::vector<GlobalTopK::Question> questions = merge.Next();
  ASSERT_EQ(questions.size(), 1u) << "the third worker sent all it has";
  EXPECT_EQ(questions[0].worker, 1u);
  EXPECT_THAT(questions[0].keys, ElementsAre("a", "b"));
  merge.AddAnswer(1, {{"b", 2}}, {});
  questions = merge.Next();
  ASSERT_EQ(questions.size(), 1u) << "c may have 10, as b has";
  EXPECT_EQ(questions[0].worker, 0u);
  EXPECT_THAT(questions[0].keys, ElementsAre("c"));
  merge.AddAnswer(0, {{"c", 3}}, {});
  EXPECT_THAT(merge.Next(), IsEmpty());
  EXPECT_THAT(Lines(merge.result().top), ElementsAre("b 10"));
  EXPECT_EQ(merge.result().kth_total, 10);
  EXPECT_EQ(merge.result().unseen_bound, 6);
  EXPECT_EQ(merge.result().entries, 6u);
  EXPECT_EQ(merge.result().look_ups, 3u);
}

TEST(GlobalTopKTest, DoesNotLookUpWhatCannotComeIntoTheResult) {
  GlobalTopK merge(1, 3);
  merge.AddReply(0, {{"a", 9}, {"b", 8}}, 3);
  merge.AddReply(1, {{"b", 5}, {"c", 4}}, 3);
  merge.AddReply(2, {{"c", 1}}, std::nullopt);
  EXPECT_THAT(merge.Next(), IsEmpty()) << "b has 13; a has at most 12, c 8";
  EXPECT_THAT(Lines(merge.result().top), ElementsAre("b 13"));
  EXPECT_EQ(merge.result().look_ups, 0u);
}

TEST(GlobalTopKTest, AWorkerWithoutPositiveFloorMayStillTakeFromACandidate) {
  GlobalTopK merge(1, 2);
  merge.AddReply(0, {{"a", 9}, {"b", 8}}, 1);
  merge.AddReply(1, {{"c", 2}}, -1);
  const std::vector<GlobalTopK::Question> questions = merge.Next();
  ASSERT_EQ(questions.size(), 1u);
  EXPECT_THAT(questions[0].keys, ElementsAre("a", "b"));
  merge.AddAnswer(1, {{"a", -5}}, {});
  EXPECT_THAT(merge.Next(), IsEmpty());
  EXPECT_THAT(Lines(merge.result().top), ElementsAre("b 8"));
}

TEST(GlobalTopKTest, LooksUpNewCandidatesOfTheSecondRoundWhereTheyAreUnknown) {
  GlobalTopK merge(1, 3);
  merge.AddReply(0, {{"a", 9}}, 8);
  merge.AddReply(1, {{"a", 1}}, 4);
  merge.AddReply(2, {{"a", 0}}, -1);
  std::vector<GlobalTopK::Question> questions = merge.Next();
  // T = 10, U = 12: 1 + floor(6*8/12) and 1 + floor(6*4/12); the third worker has nothing at or above 1.
  ASSERT_EQ(questions.size(), 2u);
  EXPECT_EQ(questions[0].at_or_above, 5);
  EXPECT_EQ(questions[1].at_or_above, 3);
  merge.AddAnswer(0, {}, {{"a", 9}, {"b", 8}}, true);
  merge.AddAnswer(0, {}, {{"d", 7}});
  merge.AddAnswer(1, {}, {{"b", 3}, {"c", 4}});
  questions = merge.Next();
  ASSERT_EQ(questions.size(), 1u) << "c has at most 8, d 9";
  EXPECT_EQ(questions[0].worker, 2u);
  EXPECT_THAT(questions[0].keys, ElementsAre("b"));
  merge.AddAnswer(2, {{"b", -2}}, {});
  EXPECT_THAT(merge.Next(), IsEmpty());
  EXPECT_THAT(Lines(merge.result().top), ElementsAre("a 10"));
  EXPECT_EQ(merge.result().rounds, 2u);
  EXPECT_EQ(merge.result().unseen_bound, 6);
}

TEST(GlobalTopKTest, ACandidateThatWasNotLookedUpIsCountedOnceWhereTheSecondRoundBringsItAgain) {
  // The best two by what was sent are x and y; c waits until the second round, which sends it again.
  GlobalTopK merge(1, 2);
  merge.AddReply(0, {{"x", 20}, {"y", 15}, {"c", 14}}, 14);
  merge.AddReply(1, {{"d", 12}}, 12);
  std::vector<GlobalTopK::Question> questions = merge.Next();
  ASSERT_EQ(questions.size(), 1u);
  EXPECT_THAT(questions[0].keys, ElementsAre("x", "y"));
  merge.AddAnswer(1, {}, {});
  questions = merge.Next();
  ASSERT_EQ(questions.size(), 2u) << "26 is no less than 20";
  merge.AddAnswer(0, {}, {{"x", 20}, {"y", 15}, {"c", 14}, {"e", 14}});
  merge.AddAnswer(1, {}, {{"d", 12}, {"c", 5}});
  while (!(questions = merge.Next()).empty()) {
    for (const GlobalTopK::Question& question : questions) merge.AddAnswer(question.worker, {}, {});
  }
  EXPECT_THAT(Lines(merge.result().top), ElementsAre("x 20"));
}

TEST(GlobalTopKTest, PutsABoundedNumberOfQuestionsAtATime) {
  // Every key has the same total, so that none can be left out, and no worker sends more than a few of them.
  Sums sums(NumberedKeys(500), 4);
  for (auto& partials : sums.workers) {
    for (auto& partial : partials) partial = 5;
  }
  Ask ask{.k = 1, .max_questions = 40};
  ask.thresholds.assign(4, 5);
  ask.max_entries = 300;
  const GlobalTopK::Result result = Merge(sums, ask);
  EXPECT_EQ(Lines(result.top), BruteForce(sums, 1));
}

TEST(GlobalTopKTest, KeepsToItsMemoryWhereVeryManyKeysAreEquallyHot) {
  Sums sums(NumberedKeys(20'000), 4);
  for (size_t i = 0; i < 80'000; ++i) sums.workers[i % 4][i / 4] = static_cast<Units>(100 + i * 7 % 10);
  const auto memory = std::make_shared<MergeMemory>(MergeMemory{.limit = 200'000, .least = 100'000});
  GlobalTopK merge(10, 4, memory);
  for (size_t w = 0; w < 4; ++w) merge.AddReply(w, Highest(sums, w, 20, {}, kNoCut).entries, 109);
  for (std::vector<GlobalTopK::Question> questions = merge.Next(); !questions.empty(); questions = merge.Next()) {
    for (const GlobalTopK::Question& question : questions) {
      Answer(sums, question, &merge);
      ASSERT_LE(memory->used, 300'000u) << "all candidates would take ten times that";
    }
  }
  EXPECT_EQ(Lines(merge.result().top), BruteForce(sums, 10));
}

TEST(GlobalTopKTest, SplitsTheThresholdExactlyBeyond128Bits) {
  using Big = boost::multiprecision::cpp_int;
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    running_seed = seed;
    Random random(seed);
    const auto draw = [&random] {
      const Units value = static_cast<Units>((Uint128{random()} << 64 | random()) >> 3);  // below 2^125
      return value >> Between(random, 0, 124);
    };
    const Units floors[2] = {draw(), draw()};
    const Units sum = floors[0] + floors[1];
    const Units total = std::max<Units>(sum >> Between(random, 0, 3), 1);
    GlobalTopK merge(1, 3);
    merge.AddReply(0, {{"a", total}}, floors[0]);
    merge.AddReply(1, {{"a", 0}}, floors[1]);
    merge.AddReply(2, {}, std::nullopt);
    for (const GlobalTopK::Question& question : merge.Next()) {
      const Big product = Big((total - 1) / 4 * 3) * Big(floors[question.worker]);
      EXPECT_EQ(Big(*question.at_or_above), sum == 0 ? Big(1) : 1 + product / Big(sum));
    }
    if (HasFailure()) return;
  }
}

TEST(GlobalTopKTest, StaysExactWithFloorsThatAreTooHighToSum) {
  Sums sums(NumberedKeys(30), 8);
  for (size_t w = 0; w < 8; ++w) {
    for (size_t i = 0; i < 30; ++i) sums.workers[w][i] = static_cast<int64_t>((i * 7 + w * 3) % 30);
  }
  const Ask ask{.k = 2, .depth = 2, .slack = Units{1} << 125};
  EXPECT_EQ(Lines(Merge(sums, ask).top), BruteForce(sums, 2));
}

// A key's total is scale / rank^1.1, split at random over the workers; keys are shuffled against ranks.
Sums ZipfSums(size_t keys, size_t workers, double scale, uint64_t seed) {
  Random random(seed);
  Sums sums(NumberedKeys(keys), workers);
  std::vector<size_t> order(keys);
  for (size_t i = 0; i < keys; ++i) order[i] = i;
  std::shuffle(order.begin(), order.end(), random);
  std::uniform_real_distribution<double> share(0.5, 1.5);
  for (size_t rank = 1; rank <= keys; ++rank) {
    const double mean = scale / std::pow(static_cast<double>(rank), 1.1) / static_cast<double>(workers);
    for (size_t w = 0; w < workers; ++w) {
      sums.workers[w][order[rank - 1]] = static_cast<Units>(mean * share(random));
    }
  }
  return sums;
}

TEST(GlobalTopKTest, SendsFewOfAMillionZipfKeys) {
  const Sums sums = ZipfSums(1'000'000, 4, 1e18, 7);
  Ask ask;
  for (int batch = 0; batch < 2; ++batch) {
    const GlobalTopK::Result result = Merge(sums, ask);
    EXPECT_EQ(Lines(result.top), BruteForce(sums, 10));
    EXPECT_EQ(result.rounds, 1u);
    EXPECT_LT(result.entries, 4 * 60u) << "batch " << batch;
    ask.thresholds = result.next_thresholds;
  }
}

TEST(GlobalTopKTest, EndsInOneRoundOnSkewedKeysOverFourToAHundredWorkers) {
  for (const size_t workers : {4u, 10u, 30u, 100u}) {
    const GlobalTopK::Result result = Merge(ZipfSums(5000, workers, 1e15, workers), {});
    EXPECT_EQ(result.rounds, 1u) << workers << " workers";
    EXPECT_LT(result.entries, workers * 60) << workers << " workers";
  }
}

// Keys so alike that the depth does not decide: only a carried threshold saves the second round.
Sums AlikeSums(size_t workers, uint64_t seed) {
  Random random(seed);
  Sums sums(NumberedKeys(2000), workers);
  std::normal_distribution<double> heat(1e9, 1e8);
  std::normal_distribution<double> noise(1.0, 0.1);
  for (size_t i = 0; i < sums.keys.size(); ++i) {
    const double mean = heat(random);
    for (size_t w = 0; w < workers; ++w) {
      sums.workers[w][i] = static_cast<Units>(mean * static_cast<double>(w + 1) * noise(random));
    }
  }
  return sums;
}

TEST(GlobalTopKTest, CarriedThresholdsSaveTheSecondRound) {
  Sums sums = AlikeSums(8, 11);
  Ask ask;
  GlobalTopK::Result result = Merge(sums, ask);
  ASSERT_EQ(result.rounds, 2u);
  const uint64_t entries = result.entries;
  for (int batch = 2; batch <= 20; ++batch) {
    SCOPED_TRACE(fmt::format("batch {}", batch));
    Random random(static_cast<uint64_t>(batch));
    for (auto& partials : sums.workers) {
      for (auto& partial : partials) *partial += *partial * Between(random, -5, 30) / 1000;
    }
    ask.thresholds = result.next_thresholds;
    result = Merge(sums, ask);
    EXPECT_EQ(Lines(result.top), BruteForce(sums, 10));
    EXPECT_EQ(result.rounds, 1u);
    EXPECT_LT(result.entries, 2 * entries);
  }
}

TEST(GlobalTopKTest, CarriedThresholdsGrowWithTheScores) {
  Sums sums = AlikeSums(4, 12);
  Ask ask;
  const uint64_t entries = Merge(sums, ask).entries;
  for (int batch = 0; batch < 60; ++batch) {
    const GlobalTopK::Result result = Merge(sums, ask);
    EXPECT_LT(result.entries, 3 * entries) << "batch " << batch;
    ask.thresholds = result.next_thresholds;
    for (auto& partials : sums.workers) {
      for (auto& partial : partials) *partial += *partial / 20;
    }
  }
}

TEST(GlobalTopKTest, AWorkerThatHasLittleYetDoesNotSendAllOnceItGrows) {
  Sums sums = AlikeSums(3, 13);
  for (auto& partial : sums.workers[2]) partial = 0;
  const GlobalTopK::Result before = Merge(sums, {});
  ASSERT_NE(before.next_thresholds[2], std::nullopt);
  for (size_t i = 0; i < sums.keys.size(); ++i) sums.workers[2][i] = *sums.workers[0][i] / 50;
  const Reply reply = Highest(sums, 2, 20, before.next_thresholds[2], kNoCut);
  EXPECT_EQ(reply.entries.size(), 20u);
}

TEST(GlobalTopKTest, CarriesNothingWhereTheDepthDecides) {
  EXPECT_THAT(Merge(ZipfSums(5000, 4, 1e15, 3), {}).next_thresholds,
              ElementsAre(std::nullopt, std::nullopt, std::nullopt, std::nullopt));
}

TEST(GlobalTopKDeathTest, RefusesBrokenAnswers) {
  const auto merge = [] {
    GlobalTopK started(1, 2);
    started.AddReply(0, {{"a", 9}}, 1);
    started.AddReply(1, {{"b", 9}}, 1);
    return started;
  };
  EXPECT_DEATH(merge().AddReply(0, {}, std::nullopt), "answers twice");
  EXPECT_DEATH({ GlobalTopK(1, 2).AddReply(0, {{"a", 1}, {"a", 1}}, 1); }, "a key twice");
  EXPECT_DEATH({ GlobalTopK(1, 2).Next(); }, "yet to answer");
  EXPECT_DEATH(
      {
        GlobalTopK asked = merge();
        asked.Next();
        asked.AddAnswer(0, {{"a", 9}}, {});
      },
      "not asked for");
  EXPECT_DEATH(
      {
        GlobalTopK asked = merge();
        asked.Next();
        asked.AddAnswer(0, {{"c", 9}}, {});
      },
      "not asked for");
  EXPECT_DEATH(merge().result(), "no result yet");
}

}  // namespace
}  // namespace tenfold
