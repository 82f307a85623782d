#include "jobs/feed/ready_jobs.h"

#include <algorithm>
#include <string>
#include <vector>

#include "common/text/shown_text.h"
#include "common/text/suggestion.h"
#include "fmt/format.h"

namespace tenfold {
namespace {

struct SpecText {
  std::string_view name;
  std::string_view text;
};
// One for each jobs/*.yaml, in the order of names; CMake makes it.
constexpr SpecText kSpecs[] = {
#include "ready_specs.inc"
};

SampleKind KindOf(std::string_view job) {
  if (job == "hot-today") return SampleKind::kJson;
  if (job == "pages-by-country") return SampleKind::kVisits;
  if (job == "slow-endpoints") return SampleKind::kRequests;
  if (job == "top-sellers") return SampleKind::kOrders;
  if (job == "sensor-peaks") return SampleKind::kReadings;
  return job == "word-count" ? SampleKind::kText : SampleKind::kDelimited;
}

std::vector<ReadyJob> MakeReadyJobs() {
  std::vector<ReadyJob> jobs;
  for (const SpecText& spec : kSpecs) jobs.push_back({.name = spec.name, .spec = spec.text, .events = KindOf(spec.name)});
  return jobs;
}

}  // namespace

std::span<const ReadyJob> ReadyJobs() {
  static const auto* const jobs = new std::vector<ReadyJob>(MakeReadyJobs());
  return *jobs;
}

const ReadyJob* FindReadyJob(std::string_view name) {
  const std::span<const ReadyJob> jobs = ReadyJobs();
  const auto found = std::ranges::find(jobs, name, &ReadyJob::name);
  return found == jobs.end() ? nullptr : &*found;
}

std::string ReadyJobNames() {
  std::vector<std::string_view> names;
  for (const ReadyJob& job : ReadyJobs()) names.push_back(job.name);
  return fmt::format("{}", fmt::join(names, ", "));
}

std::string CheckReadyJob(const std::string& name) {
  if (FindReadyJob(name) != nullptr) return "";
  std::vector<std::string> names;
  for (const ReadyJob& job : ReadyJobs()) names.emplace_back(job.name);
  return fmt::format("{} is no ready job{}; there are {}", Quoted(name), DidYouMean(name, names), ReadyJobNames());
}

}  // namespace tenfold
