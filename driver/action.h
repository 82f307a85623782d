// What the driver's decisions ask to be done. The shell does it (and the simulator plays it) and tells the outcome as an
// event of the coordinator.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "journal.pb.h"
#include "worker.pb.h"

namespace tenfold {

// Each is answered by the coordinator's On...Reply with the same request, or with the error it met.
struct SendAssign {
  std::string worker;
  AssignRequest request;
};
struct SendPrepare {
  std::string worker;
  PrepareRequest request;
};
struct SendFold {
  std::string worker;
  FoldRequest request;
};
struct SendLookUp {
  std::string worker;
  LookUpRequest request;
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
  std::string name;
};

using Action = std::variant<SendAssign, SendPrepare, SendFold, SendLookUp, QueryEnds, FindPartitions, QuerySinks,
                            AppendRecord, PublishBatch, CloseJob>;
using Actions = std::vector<Action>;

}  // namespace tenfold
