#include "jobs/feed/sample_producer.h"

#include <charconv>
#include <cstdlib>
#include <map>
#include <regex>
#include <set>
#include <string>

#include "gtest/gtest.h"

namespace tenfold {
namespace {

struct Event {
  std::string page, clicks, minutes, like;
};

// Fails the test if the event does not have its form.
Event Split(const std::string& text) {
  static const std::regex kForm(R"((page\d+)\|(\d)\|(\d\.\d+(?:E-\d)?)\|(-1|0|1))");
  std::smatch parts;
  if (!std::regex_match(text, parts, kForm)) {
    ADD_FAILURE() << text;
    return {};
  }
  return {parts[1], parts[2], parts[3], parts[4]};
}

TEST(SampleEventsTest, CoverEveryPageClickAndLike) {
  SampleEvents events(SampleKind::kDelimited, 1, 100);
  std::set<std::string> pages, clicks;
  std::map<std::string, int> likes;
  for (int i = 0; i < 30'000; ++i) {
    const Event event = Split(events.Next(0));
    pages.insert(event.page);
    clicks.insert(event.clicks);
    ++likes[event.like];
  }
  EXPECT_EQ(pages.size(), 100u);
  EXPECT_TRUE(pages.contains("page1") && pages.contains("page100"));
  EXPECT_EQ(clicks.size(), 10u);
  ASSERT_EQ(likes.size(), 3u);
  for (const auto& [like, count] : likes) EXPECT_NEAR(count, 10'000, 500) << like;
}

TEST(SampleEventsTest, WriteMinutesAsAJvmPrintsAFloat) {
  SampleEvents events(SampleKind::kDelimited, 2, 1);
  bool small_seen = false;
  double sum = 0;
  constexpr int kEvents = 100'000;
  for (int i = 0; i < kEvents; ++i) {
    const std::string text = Split(events.Next(0)).minutes;
    const float value = std::strtof(text.c_str(), nullptr);
    ASSERT_TRUE(value >= 0 && value < 10) << text;
    const bool exponent = text.find('E') != std::string::npos;
    ASSERT_EQ(exponent, value != 0 && value < 1e-3f) << text;
    small_seen |= exponent;
    // No shorter digits read back the same: one digit less gives another number.
    const std::string digits = text.substr(0, text.find('E'));
    if (digits.size() > 3) {
      const std::string shorter = digits.substr(0, digits.size() - 1) + text.substr(digits.size());
      ASSERT_NE(std::strtof(shorter.c_str(), nullptr), value) << text;
    }
    sum += value;
  }
  EXPECT_TRUE(small_seen);
  EXPECT_NEAR(sum / kEvents, 5, 0.05);
}

TEST(SampleEventsTest, AreEqualForEqualSeeds) {
  constexpr SampleKind kKind = SampleKind::kDelimited;
  SampleEvents one(kKind, 7, 100), same(kKind, 7, 100), other(kKind, 8, 100);
  std::string first, second, third;
  for (int i = 0; i < 20; ++i) {
    first += one.Next(0) + "\n";
    second += same.Next(0) + "\n";
    third += other.Next(0) + "\n";
  }
  EXPECT_EQ(first, second);
  EXPECT_NE(first, third);
}

TEST(SampleEventsTest, AreTheSameOnEveryMachine) {
  SampleEvents events(SampleKind::kDelimited, 1, 100);
  EXPECT_EQ(events.Next(0), "page14|1|4.5121484|-1");
}

TEST(SampleEventsTest, OfJsonAreOfTheLastSeconds) {
  SampleEvents events(SampleKind::kJson, 1, 100);
  EXPECT_EQ(events.Next(1'795'876'257'000), R"({"page":"page14","clicks":1,"at":1795876252488})");
}

TEST(SampleEventsTest, MakeBurstsFromLowToHigh) {
  SampleEvents events(SampleKind::kDelimited, 3, 1);
  std::map<uint32_t, int> bursts;
  for (int i = 0; i < 6000; ++i) ++bursts[events.Burst(2, 7)];
  ASSERT_EQ(bursts.size(), 6u);
  EXPECT_EQ(bursts.begin()->first, 2u);
  EXPECT_EQ(bursts.rbegin()->first, 7u);
  for (const auto& [burst, count] : bursts) EXPECT_NEAR(count, 1000, 200) << burst;
  EXPECT_EQ(events.Burst(5, 5), 5u);
}

}  // namespace
}  // namespace tenfold
