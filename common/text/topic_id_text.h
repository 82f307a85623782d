#pragma once

#include <string>
#include <string_view>

namespace tenfold {

// Returns a topic's id as Kafka's tools show it: base64 for URLs, without padding. Empty for an empty id.
std::string TopicIdText(std::string_view id);

}  // namespace tenfold
