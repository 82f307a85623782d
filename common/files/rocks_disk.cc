#include "common/files/rocks_disk.h"

#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/thread/mutex.h"
#include "glog/logging.h"
#include "rocksdb/env.h"
#include "rocksdb/file_system.h"

namespace tenfold {
namespace {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

// How often a write is tried again that waits.
constexpr absl::Duration kRetry = absl::Milliseconds(200);

// A failed call's reason, if it is one that may pass: what the call lacked, and the system's words for that.
struct Want {
  std::string what;
  std::string error;
};
// Returns whether the call failed since the disk fails for good.
bool IsBroken(const IOStatus& status) {
  const std::string text = status.ToString();
  return !status.ok() && (absl::StrContains(text, "Input/output error") || absl::StrContains(text, "Read-only file system"));
}

std::optional<Want> WantOf(const IOStatus& status) {
  if (status.ok()) return std::nullopt;
  const std::string text = status.ToString();
  for (const char* error : {"No space left on device", "Disk quota exceeded"}) {
    if (absl::StrContains(text, error)) return Want{"room on the disk", error};
  }
  const char* const files = "Too many open files";
  if (absl::StrContains(text, files)) return Want{"open files", files};
  return std::nullopt;
}

// RocksDB's own messages, in our log: its log file would be the first to fail on a full disk, and it asserts that it does
// not.
class GlogLogger : public rocksdb::Logger {
 public:
  void Logv(const char* format, va_list arguments) override { VLOG(1) << "RocksDB: " << Text(format, arguments); }
  void Logv(const rocksdb::InfoLogLevel level, const char* format, va_list arguments) override {
    const bool told = level >= rocksdb::InfoLogLevel::WARN_LEVEL && level <= rocksdb::InfoLogLevel::FATAL_LEVEL;
    if (!told) return Logv(format, arguments);
    LOG(WARNING) << "RocksDB: " << Text(format, arguments);
  }

 private:
  static std::string Text(const char* format, va_list arguments) {
    char text[512];
    std::vsnprintf(text, sizeof(text), format, arguments);
    return text;
  }
};

}  // namespace

// Shared by all files: it repeats the calls that have to wait, and knows how many wait, and for what.
class RocksDisk::Room {
 public:
  explicit Room(Options options) : options_(std::move(options)) {}

  // Repeats the call while it fails for want of something that may come. Returns OK, or an error of another kind. `file` is
  // its file.
  IOStatus Patiently(const std::string& file, const std::function<IOStatus()>& call) {
    IOStatus status = call();
    std::optional<Want> want = WantOf(status);
    if (!want) return status;
    {
      MutexLock lock(&mutex_);
      if (++waiting_ == 1) wait_.since = absl::Now();
    }
    while (want) {
      Await({want->what, absl::StrCat(file, ": ", want->error), absl::Now()});
      status = call();
      want = WantOf(status);
    }
    MutexLock lock(&mutex_);
    if (--waiting_ == 0) {
      told_ = false;
      LOG(WARNING) << "this process has what it waited for, and goes on after " << absl::Now() - wait_.since;
    }
    return status;
  }

  // The same for a call that writes: it does not return where the disk fails for good.
  IOStatus PatientlyWrite(const std::string& file, const std::function<IOStatus()>& call) {
    IOStatus status = Patiently(file, call);
    return IsBroken(status) ? Checked(std::move(status)) : status;
  }

  // Passes a success on; any error ends the process.
  IOStatus Checked(IOStatus status) const {
    if (!status.ok()) options_.fail(absl::StrCat("its disk fails: ", status.ToString()));
    return status;
  }

  std::optional<Wait> Waiting() const {
    MutexLock lock(&mutex_);
    if (waiting_ == 0) return std::nullopt;
    return wait_;
  }

 private:
  // Waits for a moment.
  void Await(Wait wait) {
    if (options_.is_ending && options_.is_ending())
      options_.fail(absl::StrCat("it waited for ", wait.what, ": ", wait.reason));
    {
      MutexLock lock(&mutex_);
      wait.since = wait_.since;
      wait_ = std::move(wait);
      if (!std::exchange(told_, true)) LOG(ERROR) << "this process waits for " << wait_.what << ": " << wait_.reason;
    }
    absl::SleepFor(kRetry);
  }

  const Options options_;

  mutable Mutex mutex_;
  // How many calls wait, for what as a whole, and whether that was logged.
  int waiting_ ABSL_GUARDED_BY(mutex_) = 0;
  Wait wait_ ABSL_GUARDED_BY(mutex_);
  bool told_ ABSL_GUARDED_BY(mutex_) = false;
};

// Appends at offsets of its own, since a write that failed may have been done in part.
class RocksDisk::PatientFile : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  PatientFile(std::unique_ptr<rocksdb::FSWritableFile>&& file, std::string name, uint64_t size, std::shared_ptr<Room> room)
      : FSWritableFileOwnerWrapper(std::move(file)), name_(std::move(name)), size_(size), room_(std::move(room)) {}

  IOStatus Append(const rocksdb::Slice& data, const IOOptions& options, IODebugContext* debug) override {
    IOStatus done = room_->Patiently(name_, [&] { return target()->PositionedAppend(data, size_, options, debug); });
    size_ += data.size();
    return room_->Checked(std::move(done));
  }
  IOStatus Append(const rocksdb::Slice& data, const IOOptions& options, const rocksdb::DataVerificationInfo&,
                  IODebugContext* debug) override {
    return Append(data, options, debug);
  }
  IOStatus Truncate(uint64_t size, const IOOptions& options, IODebugContext* debug) override {
    size_ = size;
    return room_->Checked(room_->Patiently(name_, [&] { return target()->Truncate(size, options, debug); }));
  }
  // A sync that failed is not tried again, since nobody knows what it has written.
  IOStatus Sync(const IOOptions& options, IODebugContext* debug) override {
    return room_->Checked(target()->Sync(options, debug));
  }
  IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override {
    return room_->Checked(target()->Fsync(options, debug));
  }
  IOStatus RangeSync(uint64_t offset, uint64_t size, const IOOptions& options, IODebugContext* debug) override {
    return room_->Checked(target()->RangeSync(offset, size, options, debug));
  }
  IOStatus Close(const IOOptions& options, IODebugContext* debug) override {
    return room_->Checked(target()->Close(options, debug));
  }

 private:
  const std::string name_;
  // RocksDB appends to a file one at a time, on any thread.
  std::atomic<uint64_t> size_;
  const std::shared_ptr<Room> room_;
};

// A directory whose sync waits for nothing, and ends the process if it fails. Several of them share one that is opened.
class RocksDisk::CheckedDirectory : public rocksdb::FSDirectoryWrapper {
 public:
  CheckedDirectory(std::shared_ptr<rocksdb::FSDirectory> shared, std::shared_ptr<Room> room)
      : FSDirectoryWrapper(shared.get()), shared_(std::move(shared)), room_(std::move(room)) {}

  IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override {
    return room_->Checked(FSDirectoryWrapper::Fsync(options, debug));
  }
  IOStatus FsyncWithDirOptions(const IOOptions& options, IODebugContext* debug,
                               const rocksdb::DirFsyncOptions& directory) override {
    return room_->Checked(FSDirectoryWrapper::FsyncWithDirOptions(options, debug, directory));
  }
  // The last that shares the directory closes it by letting go of it.
  IOStatus Close(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }

 private:
  const std::shared_ptr<rocksdb::FSDirectory> shared_;
  const std::shared_ptr<Room> room_;
};

class RocksDisk::PatientFiles : public rocksdb::FileSystemWrapper {
 public:
  PatientFiles(std::shared_ptr<rocksdb::FileSystem> files, std::shared_ptr<Room> room)
      : FileSystemWrapper(std::move(files)), room_(std::move(room)) {}
  const char* Name() const override { return "tenfold.PatientFiles"; }

  IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                           std::unique_ptr<rocksdb::FSWritableFile>* file, IODebugContext* debug) override {
    IOStatus made = room_->PatientlyWrite(name, [&] { return target()->NewWritableFile(name, options, file, debug); });
    if (made.ok()) Wrap(name, 0, file);
    return made;
  }
  IOStatus ReopenWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                              std::unique_ptr<rocksdb::FSWritableFile>* file, IODebugContext* debug) override {
    IOStatus made = room_->PatientlyWrite(name, [&] { return target()->ReopenWritableFile(name, options, file, debug); });
    if (made.ok()) Wrap(name, (*file)->GetFileSize(options.io_options, debug), file);
    return made;
  }
  IOStatus NewSequentialFile(const std::string& name, const rocksdb::FileOptions& options,
                             std::unique_ptr<rocksdb::FSSequentialFile>* file, IODebugContext* debug) override {
    return room_->Patiently(name, [&] { return target()->NewSequentialFile(name, options, file, debug); });
  }
  IOStatus NewRandomAccessFile(const std::string& name, const rocksdb::FileOptions& options,
                               std::unique_ptr<rocksdb::FSRandomAccessFile>* file, IODebugContext* debug) override {
    return room_->Patiently(name, [&] { return target()->NewRandomAccessFile(name, options, file, debug); });
  }
  IOStatus NewDirectory(const std::string& name, const IOOptions& options, std::unique_ptr<rocksdb::FSDirectory>* directory,
                        IODebugContext* debug) override {
    std::shared_ptr<rocksdb::FSDirectory> shared = OpenDirectory(name);
    if (shared == nullptr) {
      std::unique_ptr<rocksdb::FSDirectory> opened;
      IOStatus made = room_->PatientlyWrite(name, [&] { return target()->NewDirectory(name, options, &opened, debug); });
      if (!made.ok()) return made;
      shared = std::move(opened);
      MutexLock lock(&mutex_);
      directories_[name] = shared;
    }
    *directory = std::make_unique<CheckedDirectory>(std::move(shared), room_);
    return IOStatus::OK();
  }
  IOStatus GetChildren(const std::string& name, const IOOptions& options, std::vector<std::string>* children,
                       IODebugContext* debug) override {
    return room_->Patiently(name, [&] { return target()->GetChildren(name, options, children, debug); });
  }
  IOStatus CreateDir(const std::string& name, const IOOptions& options, IODebugContext* debug) override {
    return room_->PatientlyWrite(name, [&] { return target()->CreateDir(name, options, debug); });
  }
  IOStatus CreateDirIfMissing(const std::string& name, const IOOptions& options, IODebugContext* debug) override {
    return room_->PatientlyWrite(name, [&] { return target()->CreateDirIfMissing(name, options, debug); });
  }
  IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions& options,
                      IODebugContext* debug) override {
    return room_->PatientlyWrite(to, [&] { return target()->RenameFile(from, to, options, debug); });
  }
  IOStatus NewLogger(const std::string&, const IOOptions&, std::shared_ptr<rocksdb::Logger>* logger,
                     IODebugContext*) override {
    *logger = std::make_shared<GlogLogger>();
    return IOStatus::OK();
  }
  IOStatus LockFile(const std::string& name, const IOOptions& options, rocksdb::FileLock** lock,
                    IODebugContext* debug) override {
    return room_->Patiently(name, [&] { return target()->LockFile(name, options, lock, debug); });
  }

 private:
  void Wrap(const std::string& name, uint64_t size, std::unique_ptr<rocksdb::FSWritableFile>* file) {
    *file = std::make_unique<PatientFile>(std::move(*file), name, size, room_);
  }

  // Null if none has the directory open.
  std::shared_ptr<rocksdb::FSDirectory> OpenDirectory(const std::string& name) {
    MutexLock lock(&mutex_);
    const auto found = directories_.find(name);
    return found == directories_.end() ? nullptr : found->second.lock();
  }

  const std::shared_ptr<Room> room_;

  Mutex mutex_;
  // By path. RocksDB opens a database's directory once for each column family; one descriptor serves them all.
  absl::flat_hash_map<std::string, std::weak_ptr<rocksdb::FSDirectory>> directories_ ABSL_GUARDED_BY(mutex_);
};

RocksDisk::RocksDisk(Options options) {
  std::shared_ptr<rocksdb::FileSystem> files = options.files != nullptr ? options.files : rocksdb::FileSystem::Default();
  room_ = std::make_shared<Room>(std::move(options));
  env_ = rocksdb::NewCompositeEnv(std::make_shared<PatientFiles>(std::move(files), room_));
}

RocksDisk::~RocksDisk() = default;

rocksdb::Env* RocksDisk::env() { return env_.get(); }

std::optional<RocksDisk::Wait> RocksDisk::Waiting() const { return room_->Waiting(); }

}  // namespace tenfold
