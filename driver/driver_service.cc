#include "driver/driver_service.h"

#include "common/net/rpc.h"

namespace tenfold {

template <typename Ask, typename Reply>
grpc::Status DriverServiceImpl::Forward(const Ask& ask, Reply* reply) {
  const absl::Status open = driver_->CheckOpen();
  return open.ok() ? Answer(ask(), reply) : ToGrpc(open);
}

grpc::Status DriverServiceImpl::Heartbeat(grpc::ServerContext*, const HeartbeatRequest* request, HeartbeatReply* reply) {
  return Forward([&] { return driver_->Heartbeat(*request); }, reply);
}

grpc::Status DriverServiceImpl::Submit(grpc::ServerContext*, const SubmitRequest* request, SubmitReply* reply) {
  return Forward([&] { return driver_->Submit(*request); }, reply);
}

grpc::Status DriverServiceImpl::Update(grpc::ServerContext*, const UpdateRequest* request, UpdateReply* reply) {
  return Forward([&] { return driver_->Update(*request); }, reply);
}

grpc::Status DriverServiceImpl::Cancel(grpc::ServerContext*, const CancelRequest* request, CancelReply* reply) {
  return Forward([&] { return driver_->Cancel(*request); }, reply);
}

grpc::Status DriverServiceImpl::SetPaused(grpc::ServerContext*, const SetPausedRequest* request, SetPausedReply* reply) {
  return Forward([&] { return driver_->SetPaused(*request); }, reply);
}

grpc::Status DriverServiceImpl::ListJobs(grpc::ServerContext*, const ListJobsRequest*, ListJobsReply* reply) {
  return Forward([&] { return driver_->ListJobs(); }, reply);
}

grpc::Status DriverServiceImpl::GetStatus(grpc::ServerContext*, const GetStatusRequest* request, JobStatus* reply) {
  return Forward([&] { return driver_->GetStatus(*request); }, reply);
}

grpc::Status DriverServiceImpl::GetBatch(grpc::ServerContext* context, const GetBatchRequest* request,
                                         GetBatchReply* reply) {
  return Forward([&] { return driver_->GetBatch(*request, [context] { return context->IsCancelled(); }); }, reply);
}

grpc::Status DriverServiceImpl::GetEnds(grpc::ServerContext*, const GetEndsRequest* request, GetEndsReply* reply) {
  return Forward([&] { return driver_->GetEnds(*request); }, reply);
}

grpc::Status DriverServiceImpl::ListWorkers(grpc::ServerContext*, const ListWorkersRequest*, ListWorkersReply* reply) {
  return Forward([&] { return driver_->ListWorkers(); }, reply);
}

}  // namespace tenfold
