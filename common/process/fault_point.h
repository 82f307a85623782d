// Named places where a test ends the process at once, as a crash there would. Off unless the environment variable
// TENFOLD_FAULT_POINT names the place: NAME, or NAME:N for its N-th passing.
#pragma once

namespace tenfold {

// The exit code of a process ended here; nothing else uses it.
inline constexpr int kFaultExitCode = 85;

// `name` is a literal such as "worker.persisted".
void FaultPoint(const char* name);

}  // namespace tenfold
