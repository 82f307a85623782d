#include <string>

#include "absl/strings/str_cat.h"
#include "common/kafka/log.h"

namespace tenfold {

std::string TopicPartition::Name() const { return absl::StrCat(topic, "[", partition, "]"); }

}  // namespace tenfold
