#include "jobs/cli/progress.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "fmt/format.h"

namespace tenfold {
namespace {

constexpr absl::Duration kRedrawEvery = absl::Milliseconds(200);

// Returns a duration as "1h05m", "2m03s" or "7s".
std::string ShortDuration(double seconds) {
  const auto whole = static_cast<uint64_t>(std::min(seconds + 0.5, 1e9));
  if (whole >= 3600) return fmt::format("{}h{:02}m", whole / 3600, whole / 60 % 60);
  if (whole >= 60) return fmt::format("{}m{:02}s", whole / 60, whole % 60);
  return fmt::format("{}s", whole);
}

}  // namespace

Progress::Progress(std::string verb, std::string unit, uint64_t total)
    : verb_(std::move(verb)),
      unit_(std::move(unit)),
      total_(total),
      terminal_(isatty(STDERR_FILENO) == 1),
      start_(absl::Now()),
      drawn_(start_) {}

Progress::~Progress() {
  if (terminal_ && drawn_ != start_) fmt::print(stderr, "\r\x1b[K");
}

void Progress::Update(uint64_t done) {
  if (!terminal_) return;
  const absl::Time now = absl::Now();
  if (now - drawn_ < kRedrawEvery) return;
  drawn_ = now;
  const double rate = static_cast<double>(done) / absl::ToDoubleSeconds(now - start_);
  std::string line = fmt::format("{} {} {}, {:.0f}/s", verb_, done, unit_, rate);
  if (total_ > 0) {
    line = fmt::format("{} {} of {} {} ({:.0f}%), {:.0f}/s", verb_, done, total_, unit_,
                       100.0 * static_cast<double>(done) / static_cast<double>(total_), rate);
    if (rate > 0 && done < total_)
      line += fmt::format(", {} left", ShortDuration(static_cast<double>(total_ - done) / rate));
  }
  fmt::print(stderr, "\r{}\x1b[K", line);
  std::fflush(stderr);
}

}  // namespace tenfold
