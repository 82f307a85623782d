// The search for schemas that records name and a job does not know yet: when to ask its registry, and what it said that is
// not journalled yet (rule L1 of the job language). Times are microseconds of the decisions' clock. Pure; used by one thread
// at a time.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "driver/core/journalled_job.h"
#include "google/protobuf/repeated_ptr_field.h"
#include "journal.pb.h"
#include "state.pb.h"
#include "waiting.pb.h"
#include "worker.pb.h"

namespace tenfold {

class SchemaSearch {
 public:
  // `job` outlives the object. The schemas are those of its present states.
  explicit SchemaSearch(const JournalledJob* job) : job_(job) {}

  // Where the registry is may be another place now: it is asked anew, and answers to earlier questions do not count.
  void Restart();
  // The process stood still for so long.
  void OnPaused(int64_t paused_us);
  // Goes up with each Restart.
  uint64_t generation() const { return generation_; }

  // A worker has stopped at these records.
  void Need(const google::protobuf::RepeatedPtrField<NeededSchema>& needed);
  // The ids to ask the registry for now, which are under way from then on, until OnAnswer.
  std::vector<uint32_t> Begin(int64_t now_us);
  // What the registry said to a question of this generation. NOT_FOUND if it has no schema by the id: it is asked again for
  // a while, since one that follows another may not have heard of a new schema yet. Other errors are trouble with the
  // registry.
  void OnAnswer(uint32_t id, uint64_t generation, const absl::StatusOr<LearnedSchema>& answer, int64_t now_us);
  // A schema to be journalled, if there is one. Each comes once.
  std::optional<LearnedSchema> Take();
  // The schema is journalled.
  void OnLearned(uint32_t id) { wanted_.erase(id); }
  // Why the job cannot go on, or "".
  std::string Failure() const;
  // What the job waits for; of kind WAITING_NOT if for nothing.
  Waiting waiting() const;
  // When the next question is due; the maximum if none is.
  int64_t NextTimeUs() const;

 private:
  struct Wanted {
    // A record that names it.
    uint32_t partition = 0;
    int64_t offset = 0;
    bool under_way = false;
    int64_t ask_at_us = 0;
    // How long the next pause is after trouble with the registry.
    int64_t pause_us = kAskAgainUs;
    // Since when the registry says, and says nothing else, that it has none; 0 if it does not.
    int64_t missing_since_us = 0;
    // Why there is no answer, or "".
    std::string trouble;
    // What is to be journalled; and whether it is on its way there.
    std::optional<LearnedSchema> learned;
    bool taken = false;
  };

  // The first pause before the registry is asked again.
  static constexpr int64_t kAskAgainUs = 500'000;

  const JournalledJob* job_;
  uint64_t generation_ = 0;
  // By id.
  std::map<uint32_t, Wanted> wanted_;
};

}  // namespace tenfold
