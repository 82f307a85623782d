// Reads a job spec, YAML text, into a checked JobSpec. Pure but for files that it is given: needs neither driver nor Kafka.
// README lists the keys.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/text/yaml_tree.h"
#include "job_spec.pb.h"

namespace tenfold {

struct SpecError {
  // Counted from 1.
  int line = 1;
  int column = 1;
  // How many characters from there on are meant; 0 if it is not known.
  size_t length = 0;
  // The key, for example "source.kafka.topics[0]"; empty for the whole document.
  std::string path;
  std::string message;
};

// Returns the bytes of a file that a spec names, or why it cannot be read.
using SpecFiles = std::function<absl::StatusOr<std::string>(const std::string& path)>;

// Returns all errors in the order of the text. If there are none, `spec` is complete, with defaults filled in. Without
// `files` a spec that names some is refused.
std::vector<SpecError> ReadJobSpec(std::string_view yaml, JobSpec* spec, const SpecFiles* files = nullptr);

// The same of a tree that another reader made of a text.
std::vector<SpecError> ReadJobSpecTree(const YamlNode& root, std::string_view text, JobSpec* spec,
                                       const SpecFiles* files = nullptr);

// Returns "FILE:LINE:COLUMN: PATH: MESSAGE".
std::string FormatSpecError(std::string_view file, const SpecError& error);

// Checks a spec that a driver receives by the same rules. Returns "" or a sentence about the first violation.
std::string CheckJobSpec(const JobSpec& spec);

// Returns the first part that decides a job's state and differs; "" if both specs fold the same.
std::string FoldDifference(const JobSpec& before, const JobSpec& after);

// Returns "" if a job that runs may get the spec `after` in place of `before`, with its state or, if it `refolds`, with one
// that is built anew from the same log; else a sentence that names the first part that differs and may not, and the way out.
std::string CheckUpdate(const JobSpec& before, const JobSpec& after, bool refolds = false);

// Returns R2's fold hash, of the spec's whole message Fold, of the limits that a fold depends on, and of the fold's version.
uint64_t FoldHash(const JobSpec& spec);

// Returns a copy with "***" in place of secret property values such as passwords. Specs are shown in this form only.
JobSpec WithoutSecrets(const JobSpec& spec);

}  // namespace tenfold
