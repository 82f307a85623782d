// The paths of a plan's fields as a tree of their steps, along which a reader goes through a record. Pure.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "jobs/plan/json_path.h"

namespace tenfold {

// A place that paths go through or end at.
struct PathPlace {
  std::vector<std::pair<JsonPath::Step, uint32_t>> next;
  // Which paths end here, and which with [*].
  std::vector<uint32_t> values;
  std::vector<uint32_t> lists;
};

// Where no path leads.
inline constexpr uint32_t kNowhere = 0xffff'ffff;

// Where the step leads to from the place.
inline uint32_t NextPlace(const PathPlace& place, const JsonPath::Step& step) {
  const auto found = std::ranges::find(place.next, step, [](const auto& way) { return way.first; });
  return found == place.next.end() ? kNowhere : found->second;
}

// Where an item of an array leads to from the place, which may be nowhere.
inline uint32_t NextItem(const std::vector<PathPlace>& places, uint32_t place, uint64_t index) {
  if (place == kNowhere) return kNowhere;
  for (const auto& [step, next] : places[place].next) {
    if (step.index == index) return next;
  }
  return kNowhere;
}

// The first place is that of whole records.
inline std::vector<PathPlace> MakePathTree(const std::vector<JsonPath>& paths) {
  std::vector<PathPlace> places(1);
  for (uint32_t i = 0; i < paths.size(); ++i) {
    uint32_t place = 0;
    for (const JsonPath::Step& step : paths[i].steps) {
      uint32_t next = NextPlace(places[place], step);
      if (next == kNowhere) {
        next = static_cast<uint32_t>(places.size());
        places[place].next.emplace_back(step, next);
        places.emplace_back();
      }
      place = next;
    }
    (paths[i].each ? places[place].lists : places[place].values).push_back(i);
  }
  return places;
}

}  // namespace tenfold
