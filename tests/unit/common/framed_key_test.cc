#include "common/text/framed_key.h"

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace tenfold {
namespace {

std::string Framed(const std::vector<std::string>& parts) {
  std::string frame;
  for (const std::string& part : parts) AppendKeyPart(part, &frame);
  return frame;
}

TEST(FramedKeyTest, PartsComeBackAndSortAsTheyAreWhateverBytesTheyHave) {
  std::mt19937_64 random(3);
  const auto draw = [&random] {
    std::vector<std::string> parts(1 + random() % 3);
    for (std::string& part : parts) {
      for (size_t length = random() % 4; length > 0; --length)
        part += std::string(
            "\0\1\xff"
            "ab",
            5)[random() % 5];
    }
    return parts;
  };
  const auto less = [](const std::string& a, const std::string& b) {
    return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
      return static_cast<unsigned char>(x) < static_cast<unsigned char>(y);
    });
  };
  for (int i = 0; i < 50'000; ++i) {
    const std::vector<std::string> a = draw();
    std::vector<std::string> b = draw();
    ASSERT_EQ(PartsOfKey(Framed(a)), a);
    ASSERT_EQ(FirstPartOf(Framed(a)), Framed({a[0]}));
    b.resize(a.size());
    ASSERT_EQ(Framed(a) == Framed(b), a == b);
    ASSERT_EQ(less(Framed(a), Framed(b)), std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(), less));
  }
}

TEST(FramedKeyTest, OtherBytesAreSomeTexts) {
  EXPECT_EQ(FirstPartOf("page"), "page");
  EXPECT_EQ(PartsOfKey("page"), std::vector<std::string>{"page"});
  EXPECT_EQ(PartsOfKey(""), std::vector<std::string>{""});
  EXPECT_EQ(FirstPartOf(""), "");
}

}  // namespace
}  // namespace tenfold
