// What makes a JobSpec sound, wherever it comes from: one set of rules for YAML files and for what a driver receives. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "job_spec.pb.h"

namespace tenfold {

struct SpecViolation {
  // As in YAML, e.g. "source.kafka.topics[0]"; a score's term is "score[0].constant" or "score[0].field".
  std::string path;
  std::string message;
  // What the rule looked at besides: it says nothing while that is not readable.
  std::string relies_on;
};

// Never quotes a property's value.
std::vector<SpecViolation> CheckSpecRules(const JobSpec& spec);

// Each empty if it is sound, else what is wrong.
std::string CheckTopicName(std::string_view topic);
// HOST:PORT[,HOST:PORT]
std::string CheckBrokers(std::string_view brokers);

}  // namespace tenfold
