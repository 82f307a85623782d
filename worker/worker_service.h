// The worker's gRPC service: hands every call to the worker. Thread-safe.
#pragma once

#include "worker.grpc.pb.h"
#include "worker/worker.h"

namespace tenfold {

class WorkerServiceImpl final : public WorkerService::Service {
 public:
  // `worker` outlives the object.
  explicit WorkerServiceImpl(Worker* worker) : worker_(worker) {}

  grpc::Status Ping(grpc::ServerContext* context, const PingRequest* request, PingReply* reply) override;
  grpc::Status Assign(grpc::ServerContext* context, const AssignRequest* request, AssignReply* reply) override;
  grpc::Status Prepare(grpc::ServerContext* context, const PrepareRequest* request, PrepareReply* reply) override;
  grpc::Status Fold(grpc::ServerContext* context, const FoldRequest* request, FoldReply* reply) override;
  grpc::Status LookUp(grpc::ServerContext* context, const LookUpRequest* request, LookUpReply* reply) override;

 private:
  Worker* const worker_;
};

}  // namespace tenfold
