// Why a record is bad, in words for people: what stands where, and which usual slip it is. Pure.
#pragma once

#include <string>
#include <string_view>

#include "job_spec.pb.h"
#include "state.pb.h"

namespace tenfold {

// Returns "clicks is no number: ' 1'; it has a space before it"; reason and subject are what the decoder of the spec says of
// the value.
std::string BadRecordText(const JobSpec& spec, std::string_view value, BadReason reason, std::string_view subject = "",
                          size_t source = 0);

}  // namespace tenfold
