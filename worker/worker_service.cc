#include "worker/worker_service.h"

#include "common/net/rpc.h"

namespace tenfold {
grpc::Status WorkerServiceImpl::Ping(grpc::ServerContext*, const PingRequest* request, PingReply* reply) {
  return Answer(worker_->Ping(*request), reply);
}

grpc::Status WorkerServiceImpl::Assign(grpc::ServerContext*, const AssignRequest* request, AssignReply* reply) {
  return Answer(worker_->Handle(*request), reply);
}

grpc::Status WorkerServiceImpl::Prepare(grpc::ServerContext*, const PrepareRequest* request, PrepareReply* reply) {
  return Answer(worker_->Handle(*request), reply);
}

grpc::Status WorkerServiceImpl::Fold(grpc::ServerContext*, const FoldRequest* request, FoldReply* reply) {
  return Answer(worker_->Handle(*request), reply);
}

grpc::Status WorkerServiceImpl::LookUp(grpc::ServerContext*, const LookUpRequest* request, LookUpReply* reply) {
  return Answer(worker_->Handle(*request), reply);
}

}  // namespace tenfold
