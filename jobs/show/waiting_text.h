// What a job waits for, in words: the one place that says it for CLI, logs and console. Programs read the data. Pure.
#pragma once

#include <string>

#include "waiting.pb.h"

namespace tenfold {

// Returns "worker w1, which owns shard 3" or, for Kafka, a sentence: "Kafka at HOST:PORT is not reachable: ...". Empty if
// the job does not wait.
std::string WaitingText(const Waiting& waiting);

// Returns "3 of 10 offsets, 2 a second, 3 s left" or as much of it as is known; empty if nothing is.
std::string ProgressText(const RefoldProgress& refold);

// Returns what follows "is waiting": " for worker w1, which owns shard 3", or ": Kafka at HOST:PORT is not reachable".
std::string WaitingClause(const Waiting& waiting);

}  // namespace tenfold
