// The jobs that Tenfold brings along, jobs/*.yaml, and what sample events they are of. Pure.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "jobs/feed/sample_producer.h"

namespace tenfold {

struct ReadyJob {
  std::string_view name;
  // The text of jobs/NAME.yaml.
  std::string_view spec;
  SampleKind events = SampleKind::kDelimited;
};

// All of them, by name.
std::span<const ReadyJob> ReadyJobs();
// nullptr if there is none of this name.
const ReadyJob* FindReadyJob(std::string_view name);
// The names, to be listed.
std::string ReadyJobNames();
// What is wrong with a name of a ready job that a flag has; empty if nothing is.
std::string CheckReadyJob(const std::string& name);

}  // namespace tenfold
