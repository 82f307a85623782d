#include "jobs/plan/field_place.h"

#include <array>
#include <utility>

namespace tenfold {

bool ReadRecordPlace(std::string_view text, FieldPlace* place) {
  using enum FieldPlace::Kind;
  constexpr std::array<std::pair<std::string_view, FieldPlace::Kind>, 5> kPlaces = {{{"record.topic", kTopic},
                                                                                     {"record.partition", kPartition},
                                                                                     {"record.offset", kOffset},
                                                                                     {"record.timestamp", kTimestamp},
                                                                                     {"record.key", kKey}}};
  for (const auto& [name, kind] : kPlaces) {
    if (text != name) continue;
    place->kind = kind;
    return true;
  }
  constexpr std::string_view kBegin = "record.headers[\"";
  constexpr std::string_view kEnd = "\"]";
  if (!text.starts_with(kBegin) || !text.ends_with(kEnd) || text.size() <= kBegin.size() + kEnd.size()) return false;
  text.remove_prefix(kBegin.size());
  text.remove_suffix(kEnd.size());
  std::string header;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"' && (++i == text.size() || text[i] != '"')) return false;
    header += text[i];
  }
  place->kind = kHeader;
  place->header = std::move(header);
  return true;
}

}  // namespace tenfold
