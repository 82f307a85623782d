// What the driver's decisions ask to be done. The shell does it (and the simulator plays it) and tells the outcome as an
// event of the cluster machine.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "journal.pb.h"
#include "worker.pb.h"

namespace tenfold {

// The reply to each request that the driver sends to workers. What else a new request needs: ARCHITECTURE.md, "Where to
// add what".
template <typename Request>
struct ReplyTo;
template <>
struct ReplyTo<AssignRequest> {
  using Type = AssignReply;
};
template <>
struct ReplyTo<PrepareRequest> {
  using Type = PrepareReply;
};
template <>
struct ReplyTo<FoldRequest> {
  using Type = FoldReply;
};
template <>
struct ReplyTo<LookUpRequest> {
  using Type = LookUpReply;
};
template <typename Request>
using ReplyOf = typename ReplyTo<Request>::Type;

// A request to a worker. It is answered by the cluster machine's OnReply with the same request and the reply, or the error
// it met.
template <typename Request>
struct Send {
  std::string worker;
  Request request;
};

// Last stable offsets of the job's partitions, all in one call: OnEnds.
struct QueryEnds {
  std::string job_id;
  uint64_t query = 0;
};

// Partitions of the job's topics that it does not have yet, with the offsets they begin at, and the first offsets kept of
// those it has: OnPartitions.
struct FindPartitions {
  std::string job_id;
};

// How far behind the job's sinks are: OnSinks.
struct QuerySinks {
  std::string job_id;
};

// To the journal, in the order asked: OnJournaled. If it cannot be written the driver ends.
struct AppendRecord {
  JournalRecord record;
};

// A committed batch, to sinks and whoever waits.
struct PublishBatch {
  std::string job_id;
  BatchCommitted batch;
};

// The job is over (cancelled): what is held for it can go.
struct CloseJob {
  std::string job_id;
};

using Action = std::variant<Send<AssignRequest>, Send<PrepareRequest>, Send<FoldRequest>, Send<LookUpRequest>, QueryEnds,
                            FindPartitions, QuerySinks, AppendRecord, PublishBatch, CloseJob>;
using Actions = std::vector<Action>;

}  // namespace tenfold
