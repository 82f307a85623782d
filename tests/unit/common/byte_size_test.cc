#include "common/text/byte_size.h"

#include <string>

#include "gtest/gtest.h"

namespace tenfold {
namespace {

TEST(ByteSizeTest, ReadsNumberAndUnit) {
  EXPECT_EQ(*ParseByteSize("0KiB"), 0u);
  EXPECT_EQ(*ParseByteSize("7KiB"), 7u << 10);
  EXPECT_EQ(*ParseByteSize("256MiB"), 256u << 20);
  EXPECT_EQ(*ParseByteSize("999999GiB"), size_t{999'999} << 30);
}

TEST(ByteSizeTest, RefusesEverythingElse) {
  for (const char* text : {"", "MiB", "1", "1024", "1MB", "1mib", "1 MiB", " 1MiB", "1MiB ", "-1MiB", "+1MiB", "1.5GiB",
                           "0x1MiB", "1000000MiB", "1TiB", "1M"}) {
    const auto size = ParseByteSize(text);
    ASSERT_FALSE(size.ok()) << text;
    EXPECT_NE(size.status().message().find("'" + std::string(text) + "' is no size"), std::string::npos) << size.status();
  }
}

}  // namespace
}  // namespace tenfold
