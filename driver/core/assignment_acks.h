// Which workers have acknowledged a job's present assignment: only those can be asked to fold. Also which workers are being
// told of it, and which are left alone for a moment because they failed to do what they were asked. All of it is void when
// the driver starts. Pure; used by one thread at a time.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "driver/core/cluster_view.h"
#include "driver/core/journalled_job.h"
#include "worker.pb.h"

namespace tenfold {

class AssignmentAcks {
 public:
  // Both outlive the object.
  AssignmentAcks(const ClusterView* cluster, const JournalledJob* job) : cluster_(cluster), job_(job) {}

  // Whether the worker is live and its present process has acknowledged the present assignment.
  bool Has(const std::string& worker) const;
  // The worker has done the Assign with this id.
  void Add(const std::string& worker, const RequestId& id) { acknowledged_[worker] = {id.incarnation(), id.assignment()}; }
  // Forgets the acknowledgement of a worker, or of all, so that the assignment is sent again.
  void Remove(const std::string& worker) { acknowledged_.erase(worker); }
  void Clear() { acknowledged_.clear(); }

  // Whether an Assign that belongs to no attempt is in flight to the worker.
  bool IsAsked(const std::string& worker) const { return asked_.contains(worker); }
  void SetAsked(const std::string& worker) { asked_.insert(worker); }
  void SetAnswered(const std::string& worker) { asked_.erase(worker); }

  // Leaves the worker alone for 50 ms, so that one that refuses at once is not asked thousands of times a second.
  void Rest(const std::string& worker, int64_t now_us);
  bool Rests(const std::string& worker) const { return rests_until_us_.contains(worker); }
  void EndRests(int64_t now_us);

  // Forgets what was known of workers that are lost or were started again.
  void OnWorkersChanged();
  // When the next rest ends; the maximum if there is none.
  int64_t NextTimeUs() const;

 private:
  struct Acknowledged {
    uint64_t incarnation = 0;
    uint64_t assignment = 0;
  };

  const ClusterView* cluster_;
  const JournalledJob* job_;
  // By worker id.
  std::map<std::string, Acknowledged> acknowledged_;
  std::set<std::string> asked_;
  std::map<std::string, int64_t> rests_until_us_;
};

}  // namespace tenfold
