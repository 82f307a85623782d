// Named places at which a test can end the process at once, as a crash there would. Does nothing unless the environment
// variable TENFOLD_FAULT_POINT names the place: NAME, or NAME:N to end it when the place is reached for the N-th time.
#pragma once

namespace tenfold {

// The exit code of a process that a fault point ended; nothing else uses it.
inline constexpr int kFaultExitCode = 85;

// `name` is a literal such as "worker.persisted".
void FaultPoint(const char* name);

}  // namespace tenfold
