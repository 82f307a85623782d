#include "common/kafka/wire_security.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "gtest/gtest.h"

namespace tenfold {
namespace {

// As `openssl rehash` leaves a directory as it is if a certificate of the same name has come.
TEST(WireSecurityTest, ACertificateThatChangesWithinADirectoryIsReadAgain) {
  const std::filesystem::path dir = std::filesystem::path(testing::TempDir()) / "wire_security_test";
  std::filesystem::remove_all(dir);
  std::filesystem::create_directories(dir);
  std::ofstream(dir / "ca.pem") << "old";
  LogConfig config;
  config.properties = {{"security.protocol", "ssl"}, {"ssl.ca.location", dir.string()}};
  WireSecurity security(config);

  const absl::StatusOr<WireSession> first = security.ForConnection();
  ASSERT_TRUE(first.ok()) << first.status();
  const absl::StatusOr<WireSession> same = security.ForConnection();
  ASSERT_TRUE(same.ok()) << same.status();
  EXPECT_EQ(same->tls, first->tls);

  const auto changed = std::filesystem::last_write_time(dir);
  std::ofstream(dir / "ca.pem") << "renewed";
  std::filesystem::last_write_time(dir, changed);
  const absl::StatusOr<WireSession> renewed = security.ForConnection();
  ASSERT_TRUE(renewed.ok()) << renewed.status();
  EXPECT_NE(renewed->tls, first->tls);
  std::filesystem::remove_all(dir);
}

}  // namespace
}  // namespace tenfold
