#include "driver/journal_writer.h"

#include <unistd.h>

#include <optional>
#include <utility>

#include "common/process.h"
#include "glog/logging.h"

namespace tenfold {

JournalWriter::JournalWriter(Journal* journal, Journalled journalled)
    : journal_(journal), journalled_(std::move(journalled)), thread_([this] { Run(); }) {}

JournalWriter::~JournalWriter() {
  {
    std::lock_guard lock(mutex_);
    ends_ = true;
  }
  posted_.notify_all();
  thread_.join();
}

void JournalWriter::Append(JournalRecord record) {
  {
    std::lock_guard lock(mutex_);
    appends_.push_back(std::move(record));
  }
  posted_.notify_one();
}

void JournalWriter::TrimLater(const std::string& job_id, uint64_t first_kept) {
  {
    std::lock_guard lock(mutex_);
    trims_[job_id] = first_kept;
  }
  posted_.notify_one();
}

void JournalWriter::Run() {
  while (true) {
    std::vector<JournalRecord> records;
    std::optional<std::pair<std::string, uint64_t>> trim;
    {
      std::unique_lock lock(mutex_);
      posted_.wait(lock, [&] { return ends_ || !appends_.empty() || !trims_.empty(); });
      if (ends_) return;
      records.swap(appends_);
      if (!trims_.empty()) trim = *trims_.begin();
    }
    if (!records.empty()) {
      const absl::Status appended = journal_->Append(&records);
      if (!appended.ok()) {
        LOG(ERROR) << "the driver ends: " << appended.message();
        google::FlushLogFiles(google::INFO);
        _exit(kExitRefused);
      }
      journalled_(std::move(records));
    }
    if (trim) TrimSome(trim->first, trim->second);
  }
}

void JournalWriter::TrimSome(const std::string& job_id, uint64_t first_kept) {
  const absl::StatusOr<bool> trimmed = journal_->Trim(job_id, first_kept);
  if (!trimmed.ok()) LOG(ERROR) << "old batches of job " << job_id << " stay in the journal: " << trimmed.status().message();
  if (trimmed.ok() && !*trimmed) return;
  std::lock_guard lock(mutex_);
  if (const auto it = trims_.find(job_id); it != trims_.end() && it->second == first_kept) trims_.erase(it);
}

}  // namespace tenfold
