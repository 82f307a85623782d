// Reads a job spec: YAML text to a checked JobSpec. Pure; needs neither driver nor Kafka. README lists the keys.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "job_spec.pb.h"

namespace tenfold {

struct SpecError {
  // From 1.
  int line = 1;
  int column = 1;
  // e.g. "source.kafka.topics[0]"; empty for the document.
  std::string path;
  std::string message;
};

// All errors, in the order of the text; no error means `spec` is whole, with defaults filled in.
std::vector<SpecError> ReadJobSpec(std::string_view yaml, JobSpec* spec);

// "FILE:LINE:COLUMN: PATH: MESSAGE"
std::string FormatSpecError(std::string_view file, const SpecError& error);

// What a driver checks of a spec it receives: the same rules, without places. Empty if it is sound, else a sentence.
std::string CheckJobSpec(const JobSpec& spec);

// The fold hash of R2: a hash of the spec's whole message Fold, of the limits a fold depends on, and of the fold's version.
uint64_t FoldHash(const JobSpec& spec);

// A copy whose secret property values (passwords and the like) read "***": the only form that is shown.
JobSpec WithoutSecrets(const JobSpec& spec);

}  // namespace tenfold
