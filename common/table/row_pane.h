// The pane that a row's key begins with in a job with windows: the last window z that has the row, and the first one, a.
// Window e is the sum of the rows with a <= e <= z (jobs/plan/pane_clock.h says which row a record goes to). Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tenfold {

// The most windows of a job that become final with one batch.
inline constexpr size_t kMaxFinalWindows = 64;

// A row's z and a as one number, by which rows are sorted: z, and then a beyond the least that it can be.
class RowPane {
 public:
  // For a job whose windows have this many panes.
  RowPane(int64_t last, int64_t first, int64_t panes)
      : number_((static_cast<uint64_t>(last + kBias) << kFirstBits) | static_cast<uint64_t>(first - (last - panes + 1))) {}
  explicit RowPane(uint64_t number) : number_(number) {}

  // The lowest of any row of a later window than this.
  static RowPane FirstAfter(int64_t window) { return RowPane(static_cast<uint64_t>(window + 1 + kBias) << kFirstBits); }

  uint64_t number() const { return number_; }
  // The last and first window that has the row.
  int64_t last() const { return static_cast<int64_t>(number_ >> kFirstBits) - kBias; }
  int64_t first(int64_t panes) const { return last() - panes + 1 + static_cast<int64_t>(number_ & ((1 << kFirstBits) - 1)); }
  bool IsIn(int64_t window, int64_t panes) const { return first(panes) <= window && window <= last(); }

  // The number as rows have it before their keys: 8 bytes, big endian.
  static constexpr size_t kBytes = 8;
  void Append(std::string* text) const;
  // The pane and the key of a row, which its row key is made of.
  static RowPane Of(std::string_view row_key);
  static std::string_view KeyOf(std::string_view row_key) { return row_key.substr(kBytes); }

 private:
  static constexpr int kFirstBits = 16;
  // So that windows before 1970 have a place, too.
  static constexpr int64_t kBias = int64_t{1} << 46;

  uint64_t number_;
};

}  // namespace tenfold
