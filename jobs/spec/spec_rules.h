// The rules that every JobSpec must keep, read from YAML or received by a driver. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "job_spec.pb.h"

namespace tenfold {

struct SpecViolation {
  // The key as in YAML, "source.kafka.topics[0]"; the terms of a score are "score[0].constant" and "score[0].field",
  // and where a score is a measure's expression it is "measures.score".
  std::string path;
  std::string message;
  // The path of another key that the rule depends on. The violation is ignored while that key is not readable.
  std::string relies_on;
  // Which bytes of the expression at the path are meant; 0 and 0 for the whole value.
  size_t begin = 0;
  size_t end = 0;
};

// Returns all violations. None quotes the value of a property.
std::vector<SpecViolation> CheckSpecRules(const JobSpec& spec);

// Return "" if the text is valid, else what is wrong with it.
std::string CheckTopicName(std::string_view topic);
// Brokers are HOST:PORT[,HOST:PORT].
std::string CheckBrokers(std::string_view brokers);

}  // namespace tenfold
