#include "worker/identity.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "common/process/random_id.h"

namespace tenfold {
namespace {

std::string PathOf(const std::string& data_dir) { return absl::StrCat(data_dir, "/identity"); }

absl::Status ErrnoStatus(const std::string& what) {
  return absl::UnavailableError(absl::StrCat(what, ": ", std::strerror(errno)));
}

absl::Status SyncPath(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus(absl::StrCat("cannot open ", path));
  const int synced = fsync(fd);
  close(fd);
  return synced == 0 ? absl::OkStatus() : ErrnoStatus(absl::StrCat("cannot sync ", path));
}

}  // namespace

absl::StatusOr<Identity> ReadOrMakeIdentity(const std::string& data_dir) {
  std::error_code error;
  std::filesystem::create_directories(data_dir, error);
  if (error) return absl::UnavailableError(absl::StrCat("cannot make the data directory ", data_dir, ": ", error.message()));
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
  }
  if (identity.worker_id.empty()) {
    return absl::DataLossError(
        absl::StrCat(path, " names no worker; move the directory ", data_dir, " away to start as a new worker"));
  }
  return identity;
}

absl::Status WriteIdentity(const std::string& data_dir, const Identity& identity) {
  const std::string path = PathOf(data_dir);
  const std::string made = absl::StrCat(path, ".new");
  {
    std::ofstream file(made, std::ios::trunc);
    file << "worker " << identity.worker_id << "\n";
    if (!identity.cluster_id.empty()) file << "cluster " << identity.cluster_id << "\n";
    file.flush();
    if (!file) return ErrnoStatus(absl::StrCat("cannot write ", made));
  }
  if (absl::Status synced = SyncPath(made); !synced.ok()) return synced;
  if (rename(made.c_str(), path.c_str()) != 0) return ErrnoStatus(absl::StrCat("cannot rename ", made));
  return SyncPath(data_dir);
}

}  // namespace tenfold
