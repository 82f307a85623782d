// Which of librdkafka's properties (2.0.2) a job may set: those that say how to reach, trust and read from a Kafka cluster,
// and nothing that runs code or commands in Tenfold's processes, or that Tenfold sets itself. Pure.
#pragma once

#include <string>
#include <string_view>

namespace tenfold {

// What is shown in place of a secret.
inline constexpr std::string_view kMaskedSecret = "***";

// Empty if a job may set this, else why not; never quotes the value.
std::string CheckKafkaProperty(std::string_view name, std::string_view value);

// Whether a value must never be shown; so is that of any property a job may not set.
bool IsSecretKafkaProperty(std::string_view name);

// Whether the name can be one of a property at all; if not it may be anything, a misplaced secret too.
bool LooksLikeKafkaProperty(std::string_view name);

}  // namespace tenfold
