#include "worker/store/row_format.h"

#include <limits>
#include <string>

#include "rocksdb/merge_operator.h"

namespace tenfold {

bool DecodeRow(const rocksdb::Slice& row, uint64_t* count, Units* sum) {
  std::string_view rest = row.ToStringView();
  Units wide_count = 0;
  if (!DecodeUnits(&rest, &wide_count) || !DecodeUnits(&rest, sum) || !rest.empty()) return false;
  if (wide_count < 0 || wide_count > Units{std::numeric_limits<uint64_t>::max()}) return false;
  *count = static_cast<uint64_t>(wide_count);
  return true;
}

namespace {

class AddDelta : public rocksdb::AssociativeMergeOperator {
 public:
  bool Merge(const rocksdb::Slice& /*key*/, const rocksdb::Slice* before, const rocksdb::Slice& delta, std::string* after,
             rocksdb::Logger* /*logger*/) const override {
    uint64_t count = 0;
    Units sum = 0;
    if (before != nullptr && !DecodeRow(*before, &count, &sum)) return false;
    uint64_t delta_count = 0;
    Units delta_sum = 0;
    if (!DecodeRow(delta, &delta_count, &delta_sum)) return false;
    // Added as unsigned numbers, since values from a damaged file may overflow.
    const Uint128 after_sum = static_cast<Uint128>(sum) + static_cast<Uint128>(delta_sum);
    const EncodedRow row(count + delta_count, static_cast<Units>(after_sum));
    after->assign(row.slice().data(), row.slice().size());
    return true;
  }
  const char* Name() const override { return "tenfold.AddDelta"; }
};

}  // namespace

std::shared_ptr<rocksdb::MergeOperator> MakeRowMerge() { return std::make_shared<AddDelta>(); }

}  // namespace tenfold
