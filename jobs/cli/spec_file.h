// Job specs in files, as verbs take them. Used by one thread at a time.
#pragma once

#include <string>

#include "job_spec.pb.h"

namespace tenfold {

// Reads and checks the spec. Returns kExitOk, or kExitData after it has printed everything that is wrong with it on stderr,
// each with its place and, underlined, the text that is meant.
int ReadSpecFile(const std::string& path, JobSpec* spec);

}  // namespace tenfold
