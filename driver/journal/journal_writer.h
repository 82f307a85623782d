// The thread that writes the journal. It appends what the driver's decisions ask for, all waiting records with one sync, and
// deletes old batches a few at a time in between, so that they never hold up a commit. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "common/thread/event_queue.h"
#include "driver/journal/journal.h"

namespace tenfold {

class JournalWriter {
 public:
  using Journalled = std::function<void(std::vector<JournalRecord>)>;

  // `journalled` is called on the thread with what is durable, in the order asked. `journal` outlives the object.
  JournalWriter(Journal* journal, Journalled journalled);
  // Records whose append has not begun are dropped.
  ~JournalWriter() { orders_.Abort(); }

  // The process ends if the record cannot be written.
  void Append(JournalRecord record) { orders_.Post(std::move(record)); }
  // Deletes the job's batches below `first_kept`, in the background.
  void TrimLater(const std::string& job_id, uint64_t first_kept) { orders_.Post(Trim{job_id, first_kept}); }

 private:
  struct Trim {
    std::string job_id;
    uint64_t first_kept = 0;
  };

  void Run();
  void AppendAll(std::vector<JournalRecord> records);
  void TrimSome();

  Journal* const journal_;
  const Journalled journalled_;
  EventQueue<std::variant<JournalRecord, Trim>> orders_;
  // The first batch to keep of each job that has some to delete. Used by the thread alone.
  std::map<std::string, uint64_t> trims_;

  // The last member, since the thread uses the others.
  std::jthread thread_;
};

}  // namespace tenfold
