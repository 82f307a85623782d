#include "common/text/shown_text.h"

#include <string>

#include "gtest/gtest.h"

namespace tenfold {
namespace {

TEST(ShownTextTest, ControlCharactersAndBytesThatAreNoUtf8AreEscaped) {
  EXPECT_EQ(Printable("a\n\x1b[2J\x7f"), "a\\x0a\\x1b[2J\\x7f");
  EXPECT_EQ(Printable("\xc2\x85 \xff\xc3"), "\\xc2\\x85 \\xff\\xc3");
}

TEST(ShownTextTest, WhatNobodySeesIsEscaped) {
  // A byte order mark, a no-break space, a zero-width space, an override of the direction.
  EXPECT_EQ(Printable("\xef\xbb\xbfpage\xc2\xa0"
                      "1\xe2\x80\x8b\xe2\x80\xae"),
            "\\ufeffpage\\u00a01\\u200b\\u202e");
}

TEST(ShownTextTest, LettersAndTheJoinersOfThemStay) {
  const std::string text =
      "Stra\xc3\x9f"
      "e \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x92\xbb";
  EXPECT_EQ(Printable(text), text);
}

TEST(ShownTextTest, ALongTextIsCutBetweenCharacters) {
  const std::string shown = Shown(std::string(119, 'x') +
                                  "\xc3\x9f"
                                  "y");
  EXPECT_EQ(shown, std::string(119, 'x') + "\xc3\x9f...");
  EXPECT_EQ(Quoted("a"), "'a'");
}

}  // namespace
}  // namespace tenfold
