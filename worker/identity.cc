#include "worker/identity.h"

#include <filesystem>
#include <fstream>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "common/files/durable_file.h"
#include "common/process/random_id.h"

namespace tenfold {
namespace {

std::string PathOf(const std::string& data_dir) { return absl::StrCat(data_dir, "/identity"); }

}  // namespace

absl::StatusOr<Identity> ReadOrMakeIdentity(const std::string& data_dir) {
  std::error_code error;
  const std::string path = PathOf(data_dir);
  Identity identity;
  if (!std::filesystem::exists(path, error)) {
    identity.worker_id = RandomId();
    if (absl::Status written = WriteIdentity(data_dir, identity); !written.ok()) return written;
    return identity;
  }
  std::ifstream file(path);
  std::string word;
  while (file >> word) {
    if (word == "worker") file >> identity.worker_id;
    if (word == "cluster") file >> identity.cluster_id;
    if (word == "epoch") file >> identity.epoch;
  }
  if (identity.worker_id.empty()) {
    return absl::DataLossError(
        absl::StrCat(path, " names no worker; move the directory ", data_dir, " away to start as a new worker"));
  }
  return identity;
}

absl::Status WriteIdentity(const std::string& data_dir, const Identity& identity) {
  const std::string cluster = identity.cluster_id.empty() ? "" : absl::StrCat("cluster ", identity.cluster_id, "\n");
  const std::string epoch = identity.epoch == 0 ? "" : absl::StrCat("epoch ", identity.epoch, "\n");
  return ReplaceFile(PathOf(data_dir), absl::StrCat("worker ", identity.worker_id, "\n", cluster, epoch));
}

}  // namespace tenfold
