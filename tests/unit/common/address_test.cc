#include "common/text/address.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tenfold {
namespace {

using ::testing::HasSubstr;

TEST(AddressTest, SoundAddressesPass) {
  for (const char* address :
       {"localhost:7070", "127.0.0.1:0", "[::1]:65535", "0.0.0.0:1", "[fe80::1%eth0]:1", "a_b-c.d:9"}) {
    EXPECT_EQ(CheckAddress(address), "");
  }
}

TEST(AddressTest, WrongAddressesAreExplained) {
  EXPECT_EQ(CheckAddress("7070"), "'7070' has no port; write HOST:PORT");
  EXPECT_EQ(CheckAddress("[::1]"), "'[::1]' has no port; write HOST:PORT");
  EXPECT_EQ(CheckAddress("kafka://host:9092"), "'kafka://host:9092' is a URL; write HOST:PORT alone");
  EXPECT_EQ(CheckAddress(":7070"), "':7070' has no host; write HOST:PORT");
  EXPECT_EQ(CheckAddress("::1:7070"), "'::1:7070' has an IPv6 host without brackets; write [HOST]:PORT");
  EXPECT_EQ(CheckAddress("a b:1"), "'a b:1' has no valid host; write HOST:PORT");
  for (const char* address : {"a:", "a:65536", "a:-1", "a:+1", "a:1x", "a: 1", "a:99999999999"}) {
    EXPECT_THAT(CheckAddress(address), HasSubstr("has no valid port")) << address;
  }
}

TEST(AddressTest, WildcardsAreKnown) {
  for (const char* address : {"0.0.0.0:1", "[::]:1", "0:1"}) EXPECT_TRUE(ParseAddress(address)->IsWildcard()) << address;
  for (const char* address : {"127.0.0.1:1", "[::1]:1", "10.0.0.0:1", "host:1"})
    EXPECT_FALSE(ParseAddress(address)->IsWildcard()) << address;
}

TEST(AddressTest, IsWrittenAsItIsRead) {
  for (const char* address : {"localhost:7070", "127.0.0.1:0", "[::1]:65535", "[fe80::1%eth0]:1"})
    EXPECT_EQ(ParseAddress(address)->ToString(), address);
}

}  // namespace
}  // namespace tenfold
