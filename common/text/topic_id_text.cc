#include "common/text/topic_id_text.h"

#include "absl/strings/escaping.h"

namespace tenfold {

std::string TopicIdText(std::string_view id) {
  std::string text = absl::WebSafeBase64Escape(absl::string_view(id.data(), id.size()));
  while (text.ends_with('=')) text.pop_back();
  return text;
}

}  // namespace tenfold
