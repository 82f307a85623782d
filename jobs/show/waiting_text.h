// What a job waits for, in words. Everything that shows it to people uses these; programs read the data. Pure.
#pragma once

#include <string>

#include "waiting.pb.h"

namespace tenfold {

// "worker w1, which owns shard 3"; a sentence where that says more: "Kafka at HOST:PORT is not reachable: ...". Empty if the
// job does not wait.
std::string WaitingText(const Waiting& waiting);

// The same to follow "is waiting": " for worker w1, which owns shard 3", or ": Kafka at HOST:PORT is not reachable".
std::string WaitingClause(const Waiting& waiting);

}  // namespace tenfold
