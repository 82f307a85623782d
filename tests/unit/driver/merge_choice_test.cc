#include "driver/merge/merge_choice.h"

#include "gtest/gtest.h"

namespace tenfold {
namespace {

TEST(MergeChoiceTest, BeginsWithThresholdsAndKeepsThemWhereTheyReadLittle) {
  MergeChoice choice;
  for (int batch = 0; batch < 1000; ++batch) choice.NoteThresholds(90, 100, 1, 1000);
  EXPECT_FALSE(choice.by_changes());
}

TEST(MergeChoiceTest, KeepsThresholdsWhereMoreKeysChangeThanTheyRead) {
  MergeChoice choice;
  for (int batch = 0; batch < 1000; ++batch) choice.NoteThresholds(500, 100, 600, 1000);
  EXPECT_FALSE(choice.by_changes());
}

TEST(MergeChoiceTest, TakesChangesOnceTheyWouldHaveSavedHalfOfAllKeys) {
  MergeChoice choice;
  choice.NoteThresholds(300, 0, 50, 1000);
  choice.NoteThresholds(300, 0, 50, 1000);
  EXPECT_FALSE(choice.by_changes());
  choice.NoteThresholds(300, 0, 50, 1000);
  EXPECT_TRUE(choice.by_changes());
}

TEST(MergeChoiceTest, LeavesChangesThatCostMoreThanTheThresholdsBeforeThem) {
  MergeChoice choice;
  choice.NoteThresholds(1000, 0, 10, 1000);
  ASSERT_TRUE(choice.by_changes());
  choice.NoteChanges(1000, 1000);
  EXPECT_TRUE(choice.by_changes()) << "every key once, to begin with";
  for (int batch = 0; batch < 100; ++batch) choice.NoteChanges(900, 1000);
  EXPECT_TRUE(choice.by_changes());
  choice.NoteChanges(2500, 3000);
  EXPECT_TRUE(choice.by_changes()) << "one batch of many changes, such as a backlog's";
  choice.NoteChanges(2500, 3000);
  EXPECT_FALSE(choice.by_changes());
}

TEST(MergeChoiceTest, ARefusalDoublesWhatHasToBeSavedFirst) {
  MergeChoice choice;
  const auto batches = [&choice] {
    int count = 0;
    for (; !choice.by_changes(); ++count) choice.NoteThresholds(100, 0, 0, 1000);
    choice.Refuse();
    return count;
  };
  EXPECT_EQ(batches(), 6);
  EXPECT_EQ(batches(), 11);
  EXPECT_EQ(batches(), 21);
}

}  // namespace
}  // namespace tenfold
