#include "worker/store/row_format.h"

#include <limits>
#include <string>

#include "rocksdb/merge_operator.h"

namespace tenfold {

bool DecodeRow(const rocksdb::Slice& row, DecodedRow* decoded) {
  std::string_view rest = row.ToStringView();
  Units wide_count = 0;
  if (!DecodeUnits(&rest, &wide_count)) return false;
  decoded->heights = {};
  if (wide_count < 0) {
    if (wide_count < -Units{std::numeric_limits<uint64_t>::max()}) return false;
    decoded->heights = HeightSet(static_cast<uint64_t>(-wide_count));
    if (!DecodeUnits(&rest, &wide_count)) return false;
  }
  if (wide_count < 0 || wide_count > Units{std::numeric_limits<uint64_t>::max()}) return false;
  decoded->count = static_cast<uint64_t>(wide_count);
  decoded->size = 0;
  do {
    if (decoded->size == decoded->sums.size() || !DecodeUnits(&rest, &decoded->sums[decoded->size])) return false;
    ++decoded->size;
  } while (!rest.empty());
  return true;
}

namespace {

class AddDelta : public rocksdb::AssociativeMergeOperator {
 public:
  bool Merge(const rocksdb::Slice& /*key*/, const rocksdb::Slice* before, const rocksdb::Slice& delta, std::string* after,
             rocksdb::Logger* /*logger*/) const override {
    DecodedRow row;
    if (!DecodeRow(delta, &row)) return false;
    if (before != nullptr) {
      DecodedRow old;
      if (!DecodeRow(*before, &old) || old.size != row.size || old.heights != row.heights) return false;
      row.count += old.count;
      for (size_t m = 0; m < row.size; ++m) row.sums[m] = Joined(row.heights.Has(m), row.sums[m], old.sums[m]);
    }
    const EncodedRow sum(row.row());
    after->assign(sum.slice().data(), sum.slice().size());
    return true;
  }
  const char* Name() const override { return "tenfold.AddDelta"; }
};

}  // namespace

std::shared_ptr<rocksdb::MergeOperator> MakeRowMerge() { return std::make_shared<AddDelta>(); }

}  // namespace tenfold
