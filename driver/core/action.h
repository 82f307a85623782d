// What the driver's decisions ask to be done. The shell does it (and the simulator plays it) and tells the outcome as an
// event of the cluster machine.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "journal.pb.h"
#include "worker.pb.h"

namespace tenfold {

// The reply to each request that the driver sends to workers. What else a new request needs: ARCHITECTURE.md, "Where to
// add what".
template <typename Request>
struct ReplyTo;
template <>
struct ReplyTo<PingRequest> {
  using Type = PingReply;
};
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

// By partition index: the last stable offset of each, or a sentence on why it is not known.
using Ends = std::vector<absl::StatusOr<int64_t>>;

// Asks Kafka for the last stable offset of every partition of the job, in one call. Answered by OnEnds with Ends.
struct QueryEnds {
  std::string job_id;
  uint64_t query = 0;
};

// Asks Kafka for partitions of the job's topics that the job does not have yet, with the offsets at which they begin, and
// for the first offset kept of those it has. Answered by OnPartitions.
struct FindPartitions {
  std::string job_id;
};

// Asks the job's registry for a schema. Answered by OnSchema: with what it says, NOT_FOUND, with a clause on why, if it has
// none by the id, or the trouble with it.
struct AskSchema {
  std::string job_id;
  // Whose records name it; their spec says where the registry is.
  std::string states_id;
  uint32_t id = 0;
  // As SchemaSearch has it.
  uint64_t generation = 0;
};

// Asks which batch the slowest sink of the job has taken. Answered by OnSinks.
struct QuerySinks {
  std::string job_id;
};

// Appends to the journal, in the order asked. Answered by OnJournaled; if the record cannot be written the driver ends.
struct AppendRecord {
  JournalRecord record;
};

// Compares what a worker knows of the job with the journal, which has a later batch. Answered by OnForked if the journal has
// another batch under that number; one that is no longer kept cannot be compared.
struct CompareLineage {
  std::string job_id;
  std::string worker;
  Lineage lineage;
};

// Tells sinks and waiting callers that the batch is committed.
struct PublishBatch {
  std::string job_id;
  BatchCommitted batch;
};

// The job was cancelled, so the driver frees what it holds for it.
struct CloseJob {
  std::string job_id;
};

using Action =
    std::variant<Send<PingRequest>, Send<AssignRequest>, Send<PrepareRequest>, Send<FoldRequest>, Send<LookUpRequest>,
                 QueryEnds, FindPartitions, AskSchema, QuerySinks, AppendRecord, CompareLineage, PublishBatch, CloseJob>;
using Actions = std::vector<Action>;

}  // namespace tenfold
