#include "driver/journal/journal_layout.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "fmt/format.h"
#include "journal.pb.h"
#include "xxhash.h"

namespace tenfold {
namespace {

absl::string_view Absl(std::string_view text) { return {text.data(), text.size()}; }

std::string AppendedLine(uint64_t appended) {
  const std::string number = fmt::format("{:020d}", appended);
  return fmt::format("{} {:016x}\n", number, XXH3_64bits(number.data(), number.size()));
}

// Reads all keys in one pass, in their order: batches, first kept batches, the count, records, sinks.
class ContentsReader {
 public:
  explicit ContentsReader(const std::string& dir) : dir_(dir) {}

  absl::Status Add(std::string_view key, std::string_view value) {
    switch (key[0]) {
      case 'b':
        return AddBatch(key, value);
      case 'f':
        return AddFirstKept(key, value);
      case 'n':
        if (key != kAppendedKey || !DecodeNumber(value, &contents_.appended)) return BadKey(key);
        has_appended_ = true;
        return absl::OkStatus();
      case 'r':
        return AddRecord(key, value);
      case 's':
      case 't': {
        uint64_t number = 0;
        return DecodeNumber(value, &number) ? absl::OkStatus() : BadKey(key);
      }
      default:
        return BadKey(key);
    }
  }

  absl::StatusOr<JournalContents> Finish() {
    if (!has_appended_) return JournalDamaged(dir_, "its count of records is missing");
    uint64_t present = contents_.last_sequence;
    for (const auto& [job_id, batches] : contents_.batches) {
      const auto first_kept = first_kept_.find(job_id);
      const uint64_t expected = first_kept == first_kept_.end() ? 1 : first_kept->second;
      if (batches.first_kept != expected) {
        return JournalDamaged(dir_, absl::StrCat("batch ", expected, " of job ", job_id, " is missing"));
      }
      first_kept_.erase(job_id);
      present += batches.last;
    }
    if (!first_kept_.empty()) {
      return JournalDamaged(dir_, absl::StrCat("all batches of job ", first_kept_.begin()->first, " are missing"));
    }
    if (present != contents_.appended) {
      return JournalDamaged(dir_,
                            absl::StrCat("of ", contents_.appended, " appended records and batches it knows ", present));
    }
    return std::move(contents_);
  }

 private:
  absl::Status BadKey(std::string_view key) const {
    return JournalDamaged(dir_, absl::StrCat("the entry with key ", absl::CHexEscape(Absl(key)), " is none of a journal"));
  }

  absl::Status AddRecord(std::string_view key, std::string_view value) {
    const uint64_t sequence = contents_.last_sequence + 1;
    if (key != RecordKey(sequence)) return JournalDamaged(dir_, absl::StrCat("record ", sequence, " is missing"));
    JournalRecord record;
    if (!record.ParseFromArray(value.data(), static_cast<int>(value.size())) || record.sequence() != sequence ||
        record.kind_case() == JournalRecord::KIND_NOT_SET || record.has_batch_committed()) {
      return JournalDamaged(dir_, absl::StrCat("record ", sequence, " does not parse"));
    }
    contents_.last_sequence = sequence;
    return absl::OkStatus();
  }

  absl::Status AddBatch(std::string_view key, std::string_view value) {
    uint64_t batch = 0;
    if (key.size() < 11 || key[key.size() - 9] != '/' || !DecodeNumber(key.substr(key.size() - 8), &batch)) {
      return BadKey(key);
    }
    const std::string job_id(key.substr(1, key.size() - 10));
    auto [it, is_first] = contents_.batches.try_emplace(job_id, JournalContents::Batches{batch, batch});
    if (!is_first && batch != ++it->second.last) {
      return JournalDamaged(dir_, absl::StrCat("batch ", it->second.last, " of job ", job_id, " is missing"));
    }
    JournalRecord record;
    if (!record.ParseFromArray(value.data(), static_cast<int>(value.size())) ||
        record.batch_committed().job_id() != job_id || record.batch_committed().batch() != batch) {
      return JournalDamaged(dir_, absl::StrCat("batch ", batch, " of job ", job_id, " does not parse"));
    }
    return absl::OkStatus();
  }

  absl::Status AddFirstKept(std::string_view key, std::string_view value) {
    return DecodeNumber(value, &first_kept_[std::string(key.substr(1))]) ? absl::OkStatus() : BadKey(key);
  }

  const std::string& dir_;
  JournalContents contents_;
  std::map<std::string, uint64_t> first_kept_;
  bool has_appended_ = false;
};

}  // namespace

std::string EncodeNumber(uint64_t number) {
  std::string bytes(8, '\0');
  for (int i = 7; i >= 0; --i, number >>= 8) bytes[static_cast<size_t>(i)] = static_cast<char>(number & 0xff);
  return bytes;
}

bool DecodeNumber(std::string_view bytes, uint64_t* number) {
  if (bytes.size() != 8) return false;
  *number = 0;
  for (char byte : bytes) *number = *number << 8 | static_cast<unsigned char>(byte);
  return true;
}

std::string RecordKey(uint64_t sequence) { return absl::StrCat("r", EncodeNumber(sequence)); }

std::string BatchKey(const std::string& job_id, uint64_t batch) {
  return absl::StrCat("b", job_id, "/", EncodeNumber(batch));
}

std::string PublishedAtKey(const std::string& job_id, uint64_t batch) {
  return absl::StrCat("t", job_id, "/", EncodeNumber(batch));
}

std::string FirstKeptKey(const std::string& job_id) { return absl::StrCat("f", job_id); }

std::string DeliveredKey(const std::string& job_id, const std::string& sink) { return absl::StrCat("s", job_id, "/", sink); }

absl::Status JournalDamaged(const std::string& dir, std::string_view what) {
  return absl::DataLossError(absl::StrCat("the journal in ", dir, " is damaged: ", Absl(what),
                                          "; restore this directory from a backup and start the driver with --restored, or "
                                          "move it away to start a new cluster"));
}

absl::StatusOr<JournalContents> ReadContents(rocksdb::DB* db, const std::string& dir) {
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  ContentsReader reader(dir);
  std::unique_ptr<rocksdb::Iterator> it(db->NewIterator(options));
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    const rocksdb::Slice key = it->key();
    const rocksdb::Slice value = it->value();
    if (key.empty()) return JournalDamaged(dir, "it has an entry without a key");
    absl::Status status = reader.Add({key.data(), key.size()}, {value.data(), value.size()});
    if (!status.ok()) return status;
  }
  if (!it->status().ok()) return JournalDamaged(dir, it->status().ToString());
  return reader.Finish();
}

AppendedMark::~AppendedMark() {
  if (fd_ >= 0) close(fd_);
}

absl::Status AppendedMark::Open(const std::string& dir, uint64_t appended) {
  path_ = absl::StrCat(dir, "/APPENDED");
  fd_ = open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd_ < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path_));
  std::array<char, 64> buffer;
  const ssize_t size = pread(fd_, buffer.data(), buffer.size(), 0);
  if (size < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path_));
  if (size > 0) {
    const std::string_view text(buffer.data(), static_cast<size_t>(size));
    uint64_t marked = 0;
    if (!absl::SimpleAtoi(Absl(text.substr(0, 20)), &marked) || text != AppendedLine(marked)) {
      return absl::DataLossError(absl::StrCat(path_, " is damaged: restore ", dir,
                                              " from a backup, or delete this one file to go on "
                                              "without knowing whether the end of the journal is missing"));
    }
    if (marked > appended) {
      return JournalDamaged(dir, absl::StrCat("its end is missing, it has ", appended, " of the ", marked,
                                              " records and batches that were appended"));
    }
  }
  absl::Status status = Write(appended);
  if (!status.ok()) return status;
  if (fsync(fd_) != 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot sync ", path_));
  return absl::OkStatus();
}

absl::Status AppendedMark::Write(uint64_t appended) {
  const std::string line = AppendedLine(appended);
  const ssize_t written = pwrite(fd_, line.data(), line.size(), 0);
  if (written == static_cast<ssize_t>(line.size())) return absl::OkStatus();
  return absl::ErrnoToStatus(written < 0 ? errno : ENOSPC, absl::StrCat("cannot write ", path_));
}

}  // namespace tenfold
