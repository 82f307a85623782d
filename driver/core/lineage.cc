#include "driver/core/lineage.h"

#include "absl/strings/str_cat.h"
#include "common/number/framed_hash.h"

namespace tenfold {

Lineage LineageOf(const BatchCommitted& batch) {
  Lineage lineage;
  if (batch.batch() == 0) return lineage;
  BatchCommitted said;
  *said.mutable_next_offsets() = batch.next_offsets();
  *said.mutable_digests() = batch.digests();
  *said.mutable_top() = batch.top();
  *said.mutable_groups() = batch.groups();
  FramedHash hash;
  hash.Add(said);
  lineage.set_batch(batch.batch());
  lineage.set_hash(hash.Finish());
  return lineage;
}

std::string ForkFailure(absl::string_view who, absl::string_view knows) {
  return absl::StrCat(who, " ", knows,
                      ": the driver runs on an older copy of its journal, and what was published since would be published "
                      "again with other contents. Start the driver on the latest journal; if that is lost, cancel the job "
                      "and submit it anew");
}

}  // namespace tenfold
