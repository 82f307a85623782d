// The file of a file sink, which has one line for each batch, in order and exactly once. The last line says which batches it
// has, so it needs no other memory: what is written is synced before it counts, a torn last line is cut off, and a line that
// could not be synced is taken back. Used by one thread at a time; other sinks are kept out by a lock on the file.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "driver/sinks/sink_target.h"

namespace tenfold {

// Where file sinks may write.
struct SinkPlaces {
  // The driver's data directory. Relative paths are resolved under DATA_DIR/sinks/JOB.JOB_ID.
  std::string data_dir;
  // Directories that an absolute path may lie in.
  std::vector<std::string> allowed;
};

class FileTarget : public SinkTarget {
 public:
  struct Options {
    // The job's name, without a dot, and id.
    std::string job;
    std::string job_id;
    // The path as the spec has it.
    std::string path;
    // Outlives the object.
    const SinkPlaces* places = nullptr;
  };

  // Returns "" if the path may be used, else what is wrong with it.
  static std::string CheckPath(const std::string& path, const SinkPlaces& places);

  explicit FileTarget(const Options& options) : options_(options) {}
  ~FileTarget() override { Close(); }
  FileTarget(const FileTarget&) = delete;
  FileTarget& operator=(const FileTarget&) = delete;

  // Opens the file, making it and its directories, unless it is open and still in its place. Returns the batch its last line
  // holds when that was just read and is this job's, else 0.
  absl::StatusOr<Last> Prepare() override;
  // Appends the line and its newline in one write and syncs it; all or nothing. After a Prepare without error.
  absl::Status Append(const std::string& line, const std::stop_token& stop) override;

 private:
  absl::Status Open();
  absl::StatusOr<std::string> MakeDirectory() const;
  bool InPlace() const;
  absl::StatusOr<Last> Repair();
  absl::Status TakeBack();
  void Close();

  const Options options_;
  // The path of the file without symbolic links, as it was opened.
  std::string file_;
  int fd_ = -1;
  // If set, the length to which the file must be truncated.
  std::optional<off_t> cut_at_;
};

}  // namespace tenfold
