// The system's files on a disk that is full, has no more open files, or fails, as a test wants.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "rocksdb/file_system.h"

namespace tenfold {

class SickFiles : public rocksdb::FileSystemWrapper {
 public:
  SickFiles() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}
  const char* Name() const override { return "tests.SickFiles"; }

  std::atomic<bool> full = false;
  std::atomic<bool> out_of_files = false;
  std::atomic<bool> writes_fail = false;
  std::atomic<bool> syncs_fail = false;

  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* debug) override {
    if (out_of_files) return rocksdb::IOStatus::IOError("While open a file for appending: " + name, "Too many open files");
    rocksdb::IOStatus made = target()->NewWritableFile(name, options, file, debug);
    if (made.ok()) *file = std::make_unique<File>(std::move(*file), this);
    return made;
  }

 private:
  class File : public rocksdb::FSWritableFileOwnerWrapper {
   public:
    File(std::unique_ptr<rocksdb::FSWritableFile>&& file, SickFiles* disk)
        : FSWritableFileOwnerWrapper(std::move(file)), disk_(disk) {}

    rocksdb::IOStatus PositionedAppend(const rocksdb::Slice& data, uint64_t offset, const rocksdb::IOOptions& options,
                                       rocksdb::IODebugContext* debug) override {
      if (disk_->writes_fail) return rocksdb::IOStatus::IOError("While pwrite to file", "Input/output error");
      if (!disk_->full) return target()->PositionedAppend(data, offset, options, debug);
      // A part of it fits.
      target()->PositionedAppend({data.data(), data.size() / 2}, offset, options, debug).PermitUncheckedError();
      return rocksdb::IOStatus::NoSpace("While pwrite to file", "No space left on device");
    }
    rocksdb::IOStatus Sync(const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override {
      if (disk_->syncs_fail) return rocksdb::IOStatus::IOError("While fdatasync", "Input/output error");
      return target()->Sync(options, debug);
    }

   private:
    SickFiles* const disk_;
  };
};

}  // namespace tenfold
