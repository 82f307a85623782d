// The files of a RocksDB on a disk that may be full. Debian's RocksDB (7.8.3) has its assertions on, and some of them fail
// after a write has failed, the next time that the database is opened too. So no failed write ever reaches RocksDB: a write
// waits for room as long as it takes, and a disk that fails in another way ends the process, which leaves what a kill
// leaves. Thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/time/time.h"

namespace rocksdb {
class Env;
class FileSystem;
}  // namespace rocksdb

namespace tenfold {

class RocksDisk {
 public:
  struct Options {
    // Ends the process with the sentence, which says what failed; does not return.
    std::function<void(const std::string& sentence)> fail;
    // Whether the process is to end: then what waits fails. Null for never.
    std::function<bool()> is_ending;
    // For tests; null for the system's files.
    std::shared_ptr<rocksdb::FileSystem> files;
  };
  explicit RocksDisk(Options options);
  ~RocksDisk();
  RocksDisk(const RocksDisk&) = delete;
  RocksDisk& operator=(const RocksDisk&) = delete;

  // What the database is to be opened with; owned by the object, which outlives the database.
  rocksdb::Env* env();

  // What a call waits for.
  struct Wait {
    // "room on the disk", or "open files".
    std::string what;
    // "FILE: No space left on device".
    std::string reason;
    absl::Time since;
  };
  // Nullopt if none waits.
  std::optional<Wait> Waiting() const;

 private:
  class Room;
  class PatientFile;
  class CheckedDirectory;
  class PatientFiles;

  std::shared_ptr<Room> room_;
  std::unique_ptr<rocksdb::Env> env_;
};

}  // namespace tenfold
