// A batch as people and programs see it, the `top` line of sinks and CLI, and the form of times in results. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "job_spec.pb.h"
#include "jobs/plan/measures.h"
#include "jobs/plan/pane_calendar.h"
#include "journal.pb.h"
#include "nlohmann/json_fwd.hpp"

namespace tenfold {

// What decides how the results of a job are shown, beside the results: a fold without `general` has neither.
struct ResultForm {
  bool general = false;
  // How many parts keys have, without the group.
  size_t key_parts = 1;
  bool has_group = false;
  // Of a job with windows; else nullptr.
  std::shared_ptr<const PaneCalendar> calendar = nullptr;
  JobMeasures measures = {.measures = {{.name = kScoreMeasure}}, .ranked = 0, .ranking = {}};
};
ResultForm ResultFormOf(const JobSpec& spec);
// The same, for a batch that was made by what the spec was then; `form` is that of the spec.
ResultForm FormOfBatch(ResultForm form, const JobSpec& spec, const BatchCommitted& batch);

// The parts of a key: of several, those that its frame holds, but for the group.
std::vector<std::string> KeyParts(const std::string& key, const ResultForm& form);
// A key as a table shows it: one of several parts as a JSON array.
std::string KeyText(const std::string& key, const ResultForm& form);

// A table's columns for measures, the one that ranks first: their heads, and their values in an entry.
std::vector<std::string> MeasureHeads(const ResultForm& form);
std::vector<std::string> MeasureTexts(const Entry& entry, const ResultForm& form);

// Returns one line of JSON without its newline:
// {"job","job_id","batch","published_at","offsets":[{"topic","partition","next_offset"}],"records","bad_records",
//  "batch_records","top":[{"rank","key","score"}],"proof":{"kth_total","unseen_bound","rounds","entries"}}. Integers are
// numbers, the time RFC 3339 UTC with milliseconds, scores and totals R1's text. `partitions` has at least as many entries
// as the batch has offsets. A general fold's line also has "filtered_records" after "bad_records", and
// "measures":{NAME:TEXT or null} after "score", which is the measure that ranks, in each entry; a key of several parts is an
// array. In a job with windows "late_records" follows "filtered_records", and "window":{"start","end","final","decreed"}
// "batch_records": RFC 3339 UTC and booleans; null as long as no record had a time.
//
// A result with groups has a line for each, with "group", which of how many it is ("group_number" from 1, "group_count"),
// and whether there are more than the job allows ("groups_cut") before "top", and "offsets" in the last of them alone;
// without a group it is one line whose group is null.
std::vector<std::string> TopLines(const std::string& job, const std::vector<Partition>& partitions,
                                  const BatchCommitted& batch, const ResultForm& form = {});

// The same of each window that became final with the batch, in their order.
std::vector<std::string> FinalLines(const std::string& job, const std::vector<Partition>& partitions,
                                    const BatchCommitted& batch, const ResultForm& form);
// All lines of a batch: of its final windows, and then its own.
std::vector<std::string> BatchLines(const std::string& job, const std::vector<Partition>& partitions,
                                    const BatchCommitted& batch, const ResultForm& form = {});
// Whether a line is the last one of its batch.
bool EndsBatch(const std::string& line);

// The time zone in which people read the windows of a calendar; UTC where this system does not know theirs.
absl::TimeZone ZoneOf(const PaneCalendar& calendar);

// A window as people read it, by its begin and end in the time zone that its panes are of: "2026-11-28" for a day.
std::string WindowText(int64_t window, const PaneCalendar& calendar);

// Whether two lines are of the same batch and group with the same offsets and top. Either may lack fields of another
// version.
bool SaysTheSame(const std::string& line, const std::string& other);

// Returns the proof with totals in R1's text form, as sums of what ranks; null where it has none.
nlohmann::ordered_json ProofJson(const TopKProof& proof, const JobMeasures& of = {});

// Returns a time, given in microseconds since 1970, as RFC 3339 UTC with milliseconds.
std::string FormatTime(int64_t time_us);

}  // namespace tenfold
