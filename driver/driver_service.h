// The driver's gRPC service: hands every call to the driver. Thread-safe.
#pragma once

#include "driver.grpc.pb.h"
#include "driver/driver.h"

namespace tenfold {

class DriverServiceImpl final : public DriverService::Service {
 public:
  // `driver` outlives the object.
  explicit DriverServiceImpl(Driver* driver) : driver_(driver) {}

  grpc::Status Heartbeat(grpc::ServerContext* context, const HeartbeatRequest* request, HeartbeatReply* reply) override;
  grpc::Status Submit(grpc::ServerContext* context, const SubmitRequest* request, SubmitReply* reply) override;
  grpc::Status Update(grpc::ServerContext* context, const UpdateRequest* request, UpdateReply* reply) override;
  grpc::Status Cancel(grpc::ServerContext* context, const CancelRequest* request, CancelReply* reply) override;
  grpc::Status SetPaused(grpc::ServerContext* context, const SetPausedRequest* request, SetPausedReply* reply) override;
  grpc::Status ListJobs(grpc::ServerContext* context, const ListJobsRequest* request, ListJobsReply* reply) override;
  grpc::Status GetStatus(grpc::ServerContext* context, const GetStatusRequest* request, JobStatus* reply) override;
  grpc::Status GetBatch(grpc::ServerContext* context, const GetBatchRequest* request, GetBatchReply* reply) override;
  grpc::Status GetEnds(grpc::ServerContext* context, const GetEndsRequest* request, GetEndsReply* reply) override;
  grpc::Status ListWorkers(grpc::ServerContext* context, const ListWorkersRequest* request,
                           ListWorkersReply* reply) override;

 private:
  // Asks the driver once it is open.
  template <typename Ask, typename Reply>
  grpc::Status Forward(const Ask& ask, Reply* reply);

  Driver* const driver_;
};

}  // namespace tenfold
