#include "jobs/plan/field_place.h"

#include <array>
#include <utility>

namespace tenfold {

bool ReadRecordPlace(std::string_view text, FieldPlace* place) {
  using enum FieldPlace::Kind;
  constexpr std::array<std::pair<std::string_view, FieldPlace::Kind>, 3> kPlaces = {
      {{"record.topic", kTopic}, {"record.partition", kPartition}, {"record.offset", kOffset}}};
  for (const auto& [name, kind] : kPlaces) {
    if (text != name) continue;
    place->kind = kind;
    return true;
  }
  return false;
}

}  // namespace tenfold
