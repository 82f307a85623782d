// The properties of librdkafka (2.0.2) that a job may set: those that say how to reach, trust and read from a Kafka cluster,
// but none that runs code or commands in Tenfold's processes or that Tenfold sets itself. Pure.
#pragma once

#include <string>
#include <string_view>

namespace tenfold {

// The text that is shown in place of a secret.
inline constexpr std::string_view kMaskedSecret = "***";

// Returns "" if a job may set this property, else why not, without quoting the value. A secret may only be a reference:
// ${file:PATH} or ${env:TENFOLD_SECRET_NAME}, which the process that uses it resolves (common/kafka/property_value.h).
std::string CheckKafkaProperty(std::string_view name, std::string_view value);

// The same of another secret: "" for a reference, else why it is none.
std::string CheckSecret(std::string_view value);

// Whether the value must never be shown; true also for every property that a job may not set. A reference is no secret.
bool IsSecretKafkaProperty(std::string_view name, std::string_view value);

// Whether the name has the form of a property's name. If not it may be anything, even a misplaced secret.
bool LooksLikeKafkaProperty(std::string_view name);

}  // namespace tenfold
