// The thread that writes the journal: appends what the driver's decisions ask for, what waited together with one sync, and
// deletes old batches a few at a time in between, so that they never hold up a commit. Thread-safe.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "driver/journal.h"

namespace tenfold {

class JournalWriter {
 public:
  using Journalled = std::function<void(std::vector<JournalRecord>)>;

  // `journalled` is called on the thread with what is durable, in the order asked. `journal` outlives the object.
  JournalWriter(Journal* journal, Journalled journalled);
  // What was not begun is left out.
  ~JournalWriter();

  // If it cannot be written the process ends.
  void Append(JournalRecord record);
  // The job's batches below `first_kept` go.
  void TrimLater(const std::string& job_id, uint64_t first_kept);

 private:
  void Run();
  void TrimSome(const std::string& job_id, uint64_t first_kept);

  Journal* const journal_;
  const Journalled journalled_;

  std::mutex mutex_;
  std::condition_variable posted_;
  // Guarded by mutex_.
  std::vector<JournalRecord> appends_;
  std::map<std::string, uint64_t> trims_;
  bool ends_ = false;

  // Last: it uses the others.
  std::thread thread_;
};

}  // namespace tenfold
