// A scenario: a job, the records that it reads, and what its result is at certain places of the log, in one text file. Each
// is one rule of jobs/README.md.
//
//   --- spec               a job spec, YAML; its topic is "events"
//   --- job NAME           or that of a ready job
//   --- sql                the same job in SQL, if it can be said so
//   --- file NAME          a file that the spec names
//   --- topics             PARTITION TOPIC: the partition's topic, where it is not "events"
//   --- ends               the job ends behind the last record
//   --- schemas            ID JSON: what the registry has by the id, where records are by its schemas
//   --- records            a line a record: PARTITION [@TIME] [key=TEXT] [header.NAME=TEXT] VALUE
//   === NAME               among the records: the offset vector of all records above, by name
//   --- at NAME            the result there: RANK KEY MEASURE.., the measures in the order of the spec and the parts of a
//   key
//                          with commas between them; then "records N bad N filtered N". In a job with windows "window W"
//                          stands before, then "final W" with its result for each that is final, and "late N" at the end
//
// TIME is an hour, minute and second of 2026-01-01; a record without one has none. In texts and values \n, \t, \\ and \xHH
// stand for bytes. A line that begins with # is for people.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/record_parts.h"
#include "job_spec.pb.h"

namespace tenfold {

struct Scenario {
  struct Record {
    std::string_view value;
    RecordParts parts;
  };
  struct Cut {
    std::string name;
    // How many records of each partition are before it.
    std::vector<size_t> offsets;
    // What the file says of the result.
    std::string expected;
  };

  // Which of the job's sources a partition is of.
  size_t SourceOf(size_t partition) const;

  JobSpec spec;
  std::vector<std::vector<Record>> partitions;
  std::map<size_t, std::string> topics;
  // By id.
  std::map<uint32_t, std::string> schemas;
  bool ends = false;
  std::vector<Cut> cuts;
  // What the records are views of.
  std::deque<std::string> texts;
};

// INVALID_ARGUMENT, naming the line, for a text that is no scenario.
absl::StatusOr<Scenario> ReadScenario(std::string_view text);

}  // namespace tenfold
