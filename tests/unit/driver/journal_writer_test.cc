// The journal's thread: what it appends comes back in order, and old batches go in between, a few at a time.
#include "driver/journal/journal_writer.h"

#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tenfold {
namespace {

using ::testing::ElementsAre;

// Notes what it is asked; a trim takes three goes, and at the first an append comes.
class FakeJournal : public Journal {
 public:
  absl::Status Replay(const std::function<void(const JournalRecord&)>&) const override { return absl::OkStatus(); }
  absl::Status Append(std::vector<JournalRecord>*) override {
    Note("append");
    return absl::OkStatus();
  }
  absl::StatusOr<BatchCommitted> ReadBatch(const std::string&, uint64_t) const override {
    return absl::NotFoundError("none");
  }
  absl::StatusOr<bool> Trim(const std::string&, uint64_t) override {
    if (trims_++ == 0) writer->Append(JournalRecord());
    Note("trim");
    return trims_ == 3;
  }
  uint64_t Delivered(const std::string&, const std::string&) const override { return 0; }
  absl::Status SetDelivered(const std::string&, const std::string&, uint64_t) override { return absl::OkStatus(); }

  std::vector<std::string> WaitForNotes(size_t count) {
    std::unique_lock lock(mutex_);
    noted_.wait(lock, [&] { return notes_.size() >= count; });
    return notes_;
  }

  JournalWriter* writer = nullptr;

 private:
  void Note(const std::string& what) {
    std::lock_guard lock(mutex_);
    notes_.push_back(what);
    noted_.notify_all();
  }

  int trims_ = 0;
  std::mutex mutex_;
  std::condition_variable noted_;
  std::vector<std::string> notes_;
};

TEST(JournalWriterTest, AnAppendDoesNotWaitForAWholeTrim) {
  FakeJournal journal;
  JournalWriter writer(&journal, [](const std::vector<JournalRecord>&) {});
  journal.writer = &writer;
  writer.TrimLater("j1", 5000);
  EXPECT_THAT(journal.WaitForNotes(4), ElementsAre("trim", "append", "trim", "trim"));
}

}  // namespace
}  // namespace tenfold
