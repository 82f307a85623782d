#include "jobs/spec/batch_spec.h"

#include "google/protobuf/util/message_differencer.h"

namespace tenfold {

ResultSpec ResultSpecOf(const JobSpec& spec) {
  ResultSpec result;
  result.set_rank(spec.rank());
  result.set_order(spec.order());
  result.set_having(spec.having());
  result.set_groups(spec.groups());
  return result;
}

bool IsResultOf(const BatchCommitted& batch, const JobSpec& spec) {
  return batch.k() == spec.top() &&
         (!batch.has_result() || google::protobuf::util::MessageDifferencer::Equals(batch.result(), ResultSpecOf(spec)));
}

JobSpec SpecOfBatch(JobSpec spec, const BatchCommitted& batch) {
  if (batch.k() != 0) spec.set_top(batch.k());
  if (!batch.has_result()) return spec;
  spec.set_rank(batch.result().rank());
  spec.set_order(batch.result().order());
  spec.set_having(batch.result().having());
  spec.set_groups(batch.result().groups());
  return spec;
}

}  // namespace tenfold
