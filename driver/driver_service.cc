#include "driver/driver_service.h"

#include "common/net/rpc.h"

namespace tenfold {
grpc::Status DriverServiceImpl::Heartbeat(grpc::ServerContext*, const HeartbeatRequest* request, HeartbeatReply* reply) {
  return Answer(driver_->Heartbeat(*request), reply);
}

grpc::Status DriverServiceImpl::Submit(grpc::ServerContext*, const SubmitRequest* request, SubmitReply* reply) {
  return Answer(driver_->Submit(*request), reply);
}

grpc::Status DriverServiceImpl::Update(grpc::ServerContext*, const UpdateRequest* request, UpdateReply* reply) {
  return Answer(driver_->Update(*request), reply);
}

grpc::Status DriverServiceImpl::Cancel(grpc::ServerContext*, const CancelRequest* request, CancelReply* reply) {
  return Answer(driver_->Cancel(*request), reply);
}

grpc::Status DriverServiceImpl::ListJobs(grpc::ServerContext*, const ListJobsRequest*, ListJobsReply* reply) {
  return Answer(driver_->ListJobs(), reply);
}

grpc::Status DriverServiceImpl::GetStatus(grpc::ServerContext*, const GetStatusRequest* request, JobStatus* reply) {
  return Answer(driver_->GetStatus(*request), reply);
}

grpc::Status DriverServiceImpl::GetBatch(grpc::ServerContext* context, const GetBatchRequest* request,
                                         GetBatchReply* reply) {
  return Answer(driver_->GetBatch(*request, [context] { return context->IsCancelled(); }), reply);
}

grpc::Status DriverServiceImpl::GetEnds(grpc::ServerContext*, const GetEndsRequest* request, GetEndsReply* reply) {
  return Answer(driver_->GetEnds(*request), reply);
}

grpc::Status DriverServiceImpl::ListWorkers(grpc::ServerContext*, const ListWorkersRequest*, ListWorkersReply* reply) {
  return Answer(driver_->ListWorkers(), reply);
}

}  // namespace tenfold
