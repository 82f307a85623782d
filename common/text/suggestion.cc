#include "common/text/suggestion.h"

#include <algorithm>
#include <cstddef>
#include <numeric>

#include "absl/strings/str_cat.h"

namespace tenfold {
namespace {

// Returns the number of edits (insert, delete, replace, swap two neighbours) between two names.
size_t Distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1), row(b.size() + 1), next(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    next[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      next[j] = std::min({row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) next[j] = std::min(next[j], before[j - 2] + 1);
    }
    before.swap(row);
    row.swap(next);
  }
  return row[b.size()];
}

}  // namespace

std::string DidYouMean(std::string_view name, const std::vector<std::string>& candidates) {
  constexpr size_t kLongestName = 64;
  if (name.size() > kLongestName) return "";
  const std::string* closest = nullptr;
  size_t least = 0;
  for (const std::string& candidate : candidates) {
    const size_t distance = Distance(name, candidate);
    if (closest == nullptr || distance < least) {
      closest = &candidate;
      least = distance;
    }
  }
  if (closest == nullptr || least > 1 + closest->size() / 4) return "";
  return absl::StrCat(" (did you mean ", *closest, "?)");
}

}  // namespace tenfold
