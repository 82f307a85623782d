#include "driver/journal/journal_writer.h"

#include <chrono>
#include <deque>

#include "common/process/process.h"
#include "glog/logging.h"

namespace tenfold {

JournalWriter::JournalWriter(Journal* journal, Journalled journalled)
    : journal_(journal), journalled_(std::move(journalled)), thread_([this] { Run(); }) {}

void JournalWriter::Run() {
  while (true) {
    // While there are batches to delete it does not wait for orders.
    std::deque<std::variant<JournalRecord, Trim>> orders =
        trims_.empty() ? orders_.TakeAll() : orders_.TakeAll(std::chrono::steady_clock::now());
    if (orders_.IsClosed()) return;
    std::vector<JournalRecord> records;
    for (auto& order : orders) {
      if (auto* record = std::get_if<JournalRecord>(&order)) {
        records.push_back(std::move(*record));
      } else {
        const Trim& trim = std::get<Trim>(order);
        trims_[trim.job_id] = trim.first_kept;
      }
    }
    if (!records.empty()) AppendAll(std::move(records));
    if (!trims_.empty()) TrimSome();
  }
}

void JournalWriter::AppendAll(std::vector<JournalRecord> records) {
  const absl::Status appended = journal_->Append(&records);
  if (!appended.ok()) EndWith("driver", std::string(appended.message()));
  journalled_(std::move(records));
}

void JournalWriter::TrimSome() {
  const auto trim = trims_.begin();
  const absl::StatusOr<bool> trimmed = journal_->Trim(trim->first, trim->second);
  if (!trimmed.ok())
    LOG(ERROR) << "old batches of job " << trim->first << " stay in the journal: " << trimmed.status().message();
  if (!trimmed.ok() || *trimmed) trims_.erase(trim);
}

}  // namespace tenfold
