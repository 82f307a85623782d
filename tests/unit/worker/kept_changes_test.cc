#include "worker/totals/kept_changes.h"

#include <map>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tenfold {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

// Of partitions 2 and 5.
KeptChanges::Composition At(int64_t two, int64_t five) {
  KeptChanges::Composition composition;
  composition.Add()->set_partition(5);
  composition[0].set_next_offset(five);
  composition.Add()->set_partition(2);
  composition[1].set_next_offset(two);
  return composition;
}

std::map<std::string, int> Told(const KeptChanges& kept, size_t part_bytes = 1 << 20) {
  std::map<std::string, int> told;
  uint64_t from = 0;
  do {
    Changes part;
    kept.Tell(from, part_bytes, &part);
    for (const Entry& entry : part.added()) {
      EXPECT_TRUE(told.emplace(entry.key(), static_cast<int>(FromProto(entry.sum()))).second) << "told twice";
    }
    from = part.next();
  } while (from != 0);
  return told;
}

void Add(KeptChanges* kept, std::vector<Delta> deltas) { kept->Add(deltas); }

TEST(KeptChangesTest, TellsWhatWasAddedSinceTheCompositionQuoted) {
  KeptChanges kept;
  kept.Quote(At(1, 7), At(1, 7));
  ASSERT_TRUE(kept.known());
  EXPECT_THAT(Told(kept), IsEmpty());
  Add(&kept, {{.key = "a", .count = 1, .sum = 3}, {.key = "b", .count = 2, .sum = -4}});
  Add(&kept, {{.key = "a", .count = 1, .sum = 2}});
  EXPECT_THAT(Told(kept), ElementsAre(Pair("a", 5), Pair("b", -4)));
}

TEST(KeptChangesTest, KeepsWhatTheDriverDidNotGet) {
  KeptChanges kept;
  kept.Quote(At(1, 7), At(1, 7));
  Add(&kept, {{.key = "a", .count = 1, .sum = 3}});
  kept.Quote(At(1, 7), At(2, 7));
  Add(&kept, {{.key = "a", .count = 1, .sum = 1}, {.key = "b", .count = 1, .sum = 1}});
  EXPECT_THAT(Told(kept), ElementsAre(Pair("a", 4), Pair("b", 1)));
}

TEST(KeptChangesTest, ForgetsWhatTheDriverHas) {
  KeptChanges kept;
  kept.Quote(At(1, 7), At(1, 7));
  Add(&kept, {{.key = "a", .count = 1, .sum = 3}});
  kept.Quote(At(2, 7), At(2, 7));
  ASSERT_TRUE(kept.known());
  Add(&kept, {{.key = "b", .count = 1, .sum = 1}});
  EXPECT_THAT(Told(kept), ElementsAre(Pair("b", 1)));
}

TEST(KeptChangesTest, SaysThatItDoesNotKnowAnyOtherComposition) {
  KeptChanges kept;
  kept.Quote(At(1, 7), At(2, 7));
  EXPECT_FALSE(kept.known()) << "started after it was there";
  kept.Quote({}, {});
  EXPECT_FALSE(kept.known()) << "nothing was quoted";
  kept.Quote(At(2, 7), At(2, 7));
  Add(&kept, {{.key = "a", .count = 1, .sum = 3}});
  kept.Quote(At(2, 6), At(3, 7));
  EXPECT_FALSE(kept.known());
  kept.Quote(At(2, 7), At(3, 7));
  EXPECT_FALSE(kept.known()) << "what it kept is gone";
}

TEST(KeptChangesTest, ForgetsWhenTheSumsChangeOtherwise) {
  KeptChanges kept;
  kept.Quote(At(1, 7), At(1, 7));
  kept.Forget();
  kept.Quote(At(1, 7), At(2, 7));
  EXPECT_FALSE(kept.known());
}

TEST(KeptChangesTest, TellsAKeyToWhichNothingWasAdded) {
  KeptChanges kept;
  kept.Quote(At(1, 7), At(1, 7));
  Add(&kept, {{.key = "new", .count = 1, .sum = 0}, {.key = "", .count = 1, .sum = 1}});
  EXPECT_THAT(Told(kept), ElementsAre(Pair("", 1), Pair("new", 0)));
}

TEST(KeptChangesTest, TellsInParts) {
  KeptChanges kept;
  kept.Quote(At(1, 7), At(1, 7));
  for (int i = 0; i < 100; ++i) Add(&kept, {{.key = std::to_string(i), .count = 1, .sum = i}});
  for (const size_t bytes : {1u, 50u, 1700u}) EXPECT_EQ(Told(kept, bytes).size(), 100u) << bytes;
}

TEST(KeptChangesTest, GivesUpBeyondItsLimitUntilThePresentIsQuoted) {
  KeptChanges kept(2);
  kept.Quote(At(1, 7), At(1, 7));
  Add(&kept, {{.key = "a", .count = 1, .sum = 1}, {.key = "b", .count = 1, .sum = 1}});
  EXPECT_TRUE(kept.known());
  Add(&kept, {{.key = "c", .count = 1, .sum = 1}});
  EXPECT_FALSE(kept.known());
  kept.Quote(At(2, 7), At(2, 7));
  Add(&kept, {{.key = "c", .count = 1, .sum = 1}});
  EXPECT_THAT(Told(kept), ElementsAre(Pair("c", 1)));
}

TEST(KeptChangesTest, GivesUpBeyondItsBytes) {
  KeptChanges kept;
  kept.SetLimit(1000);
  kept.Quote(At(1, 7), At(1, 7));
  Add(&kept, {{.key = std::string(500, 'a'), .count = 1, .sum = 1}});
  EXPECT_TRUE(kept.known());
  Add(&kept, {{.key = std::string(500, 'b'), .count = 1, .sum = 1}});
  EXPECT_FALSE(kept.known());
}

}  // namespace
}  // namespace tenfold
