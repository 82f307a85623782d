// A file system for RocksDB that can lose power: what was not synced is then gone, or there in part. kill -9 never finds a
// missing fsync; this does. Directory entries count as written by a sync of their directory; a file renamed over another,
// and deletions, at once. Thread-safe.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <utility>

#include "rocksdb/env.h"
#include "rocksdb/file_system.h"

namespace tenfold {

class PowerLossFileSystem : public rocksdb::FileSystemWrapper {
 public:
  explicit PowerLossFileSystem(uint64_t seed) : FileSystemWrapper(rocksdb::FileSystem::Default()), random_(seed) {}

  const char* Name() const override { return "PowerLossFileSystem"; }

  // From here on nothing can be written.
  void Cut() {
    const std::lock_guard lock(mutex_);
    cut_ = true;
  }

  // After a Cut, with all files closed: leaves of each file its synced bytes and a random part of the others, deletes
  // files without a synced directory entry, and lets write again.
  void LosePower() {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, size] : sizes_) {
      if (!std::filesystem::exists(name)) continue;
      const uint64_t unsynced = size.written - size.synced;
      if (unsynced > 0) std::filesystem::resize_file(name, size.synced + random_() % (unsynced + 1));
    }
    for (const std::string& name : unsynced_entries_) std::filesystem::remove(name);
    sizes_.clear();
    unsynced_entries_.clear();
    cut_ = false;
  }

  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* debug) override {
    if (Lost()) return NoPower();
    const rocksdb::IOStatus status = target()->NewWritableFile(name, options, file, debug);
    if (!status.ok()) return status;
    const std::lock_guard lock(mutex_);
    sizes_[name] = {};
    unsynced_entries_.insert(name);
    *file = std::make_unique<File>(std::move(*file), this, name);
    return status;
  }

  rocksdb::IOStatus NewDirectory(const std::string& name, const rocksdb::IOOptions& options,
                                 std::unique_ptr<rocksdb::FSDirectory>* directory, rocksdb::IODebugContext* debug) override {
    const rocksdb::IOStatus status = target()->NewDirectory(name, options, directory, debug);
    if (status.ok()) *directory = std::make_unique<Directory>(std::move(*directory), this, name);
    return status;
  }

  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override {
    if (Lost()) return NoPower();
    const bool replaces = std::filesystem::exists(to);
    const rocksdb::IOStatus status = target()->RenameFile(from, to, options, debug);
    if (!status.ok()) return status;
    const std::lock_guard lock(mutex_);
    if (const auto size = sizes_.find(from); size != sizes_.end()) {
      sizes_[to] = size->second;
      sizes_.erase(from);
    }
    unsynced_entries_.erase(from);
    if (!replaces) unsynced_entries_.insert(to);
    return status;
  }

  rocksdb::IOStatus DeleteFile(const std::string& name, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override {
    if (Lost()) return NoPower();
    const std::lock_guard lock(mutex_);
    sizes_.erase(name);
    unsynced_entries_.erase(name);
    return target()->DeleteFile(name, options, debug);
  }

 private:
  struct Size {
    uint64_t written = 0;
    uint64_t synced = 0;
  };

  class File : public rocksdb::FSWritableFileOwnerWrapper {
   public:
    File(std::unique_ptr<rocksdb::FSWritableFile> file, PowerLossFileSystem* owner, std::string name)
        : FSWritableFileOwnerWrapper(std::move(file)), owner_(owner), name_(std::move(name)) {}

    rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                             rocksdb::IODebugContext* debug) override {
      if (owner_->Lost()) return NoPower();
      const rocksdb::IOStatus status = target()->Append(data, options, debug);
      const std::lock_guard lock(owner_->mutex_);
      if (status.ok()) owner_->sizes_[name_].written += data.size();
      return status;
    }
    rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                             const rocksdb::DataVerificationInfo& /*info*/, rocksdb::IODebugContext* debug) override {
      return Append(data, options, debug);
    }
    rocksdb::IOStatus Truncate(uint64_t bytes, const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override {
      if (owner_->Lost()) return NoPower();
      const rocksdb::IOStatus status = target()->Truncate(bytes, options, debug);
      const std::lock_guard lock(owner_->mutex_);
      Size& size = owner_->sizes_[name_];
      size = {std::min(size.written, bytes), std::min(size.synced, bytes)};
      return status;
    }
    rocksdb::IOStatus Sync(const rocksdb::IOOptions& /*options*/, rocksdb::IODebugContext* /*debug*/) override {
      const std::lock_guard lock(owner_->mutex_);
      if (owner_->cut_) return NoPower();
      Size& size = owner_->sizes_[name_];
      size.synced = size.written;
      return rocksdb::IOStatus::OK();
    }
    rocksdb::IOStatus Fsync(const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override {
      return Sync(options, debug);
    }

   private:
    PowerLossFileSystem* const owner_;
    const std::string name_;
  };

  class Directory : public rocksdb::FSDirectoryWrapper {
   public:
    Directory(std::unique_ptr<rocksdb::FSDirectory> directory, PowerLossFileSystem* owner, std::string name)
        : FSDirectoryWrapper(std::move(directory)), owner_(owner), name_(std::move(name)) {}

    rocksdb::IOStatus Fsync(const rocksdb::IOOptions& /*options*/, rocksdb::IODebugContext* /*debug*/) override {
      const std::lock_guard lock(owner_->mutex_);
      if (owner_->cut_) return NoPower();
      std::erase_if(owner_->unsynced_entries_,
                    [&](const std::string& entry) { return std::filesystem::path(entry).parent_path() == name_; });
      return rocksdb::IOStatus::OK();
    }
    rocksdb::IOStatus FsyncWithDirOptions(const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug,
                                          const rocksdb::DirFsyncOptions& /*directory*/) override {
      return Fsync(options, debug);
    }

   private:
    PowerLossFileSystem* const owner_;
    const std::filesystem::path name_;
  };

  static rocksdb::IOStatus NoPower() { return rocksdb::IOStatus::IOError("no power"); }
  bool Lost() {
    const std::lock_guard lock(mutex_);
    return cut_;
  }

  std::mutex mutex_;
  // Guarded by mutex_.
  std::mt19937_64 random_;
  std::map<std::string, Size> sizes_;
  std::set<std::string> unsynced_entries_;
  bool cut_ = false;
};

}  // namespace tenfold
