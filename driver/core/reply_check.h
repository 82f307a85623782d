// Whether a worker's reply can be the answer to what it was asked. It comes from another process, which may be of another
// version, or anything else: what does not pass here is treated like no answer, and nothing behind it looks again. Sums are
// believed. Pure.
#pragma once

#include "absl/status/status.h"
#include "common/limits.h"
#include "common/number/ranking.h"
#include "worker.pb.h"

namespace tenfold {

// FAILED_PRECONDITION, saying what is wrong, to follow the worker's name and a colon.
absl::Status CheckReply(const AssignRequest& request, const AssignReply& reply);
absl::Status CheckReply(const PrepareRequest& request, const PrepareReply& reply);
// The entries are of rows of this ranking, with keys of at most so many bytes.
absl::Status CheckReply(const FoldRequest& request, const FoldReply& reply, const Ranking& ranking = {},
                        size_t key_bytes = kMaxKeyBytes);
absl::Status CheckReply(const LookUpRequest& request, const LookUpReply& reply, const Ranking& ranking = {},
                        size_t key_bytes = kMaxKeyBytes);

}  // namespace tenfold
