// Who belongs to the cluster and can be used: a worker that is heard within its lease and answers calls. A worker may get
// shards only once its present process has answered a call; while calls to it fail for a lease it is unreachable, and its
// shards go to others as if it were lost. Calls of jobs count; where there are none, the driver pings. A lost one that has
// no place in any job is forgotten after a while. Times are microseconds of the decisions' clock. Pure; used by one thread
// at a time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "driver.pb.h"
#include "driver/core/action.h"
#include "driver/core/cluster_view.h"

namespace tenfold {

class Membership {
 public:
  // `cluster` outlives the object, which changes its workers.
  explicit Membership(ClusterView* cluster) : cluster_(cluster) {}

  // Returns whether who can be used, or which process is a worker's, is another than before. ABORTED for a process that is
  // heard although a younger one has its worker id; the younger one's next reply gets a notice.
  absl::StatusOr<bool> OnHeartbeat(const HeartbeatRequest& request, int64_t now_us);
  // Returns a sentence for the worker's log, each once; "" if there is none.
  std::string TakeNotice(const std::string& worker);
  // This process of the worker answered a call.
  void OnAnswer(const std::string& worker, uint64_t incarnation, int64_t now_us);
  // The ping has ended; with an error, whatever it is, the worker cannot be used.
  void OnPingEnded(const PingRequest& ping, const absl::Status& status, int64_t now_us);
  // The driver stood still for so long, so that it could hear nobody.
  void OnPaused(int64_t paused_us, int64_t now_us);

  // Takes time into account. Returns whether who can be used is other than before, or a worker's joining has ended.
  bool Check(int64_t now_us);
  // The pings that are due; from now on they are in flight.
  std::vector<Send<PingRequest>> Pings(int64_t now_us);
  // When Check or Pings has something to do, at the latest.
  int64_t NextTimeUs() const;

 private:
  // The worker, if this is its present process; else nullptr.
  WorkerInfo* FindProcess(const std::string& worker, uint64_t incarnation);
  // How long a worker may answer nothing before it is pinged, and may take to answer that.
  int64_t PingAfterUs() const;
  // When the worker is to be pinged, if no ping is in flight.
  int64_t PingDueUs(const WorkerInfo& worker) const;
  static void SetState(WorkerInfo* worker, WorkerState state, int64_t now_us);

  ClusterView* const cluster_;
};

}  // namespace tenfold
