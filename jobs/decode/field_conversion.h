// Converts what a format found at a field's place to the field's type. Pure.
#pragma once

#include "jobs/decode/record.h"
#include "jobs/plan/plan.h"
#include "state.pb.h"

namespace tenfold {

// Sets `value` to that of the field in the record, its default where it has none, or null. `raw` is what the format found
// there, for a field of the record's value. Otherwise returns BAD_FIELD_MISSING, BAD_FIELD_WRONG_TYPE, BAD_FIELD_NOT_UTF8,
// BAD_MALFORMED_NUMBER, BAD_MALFORMED_FIELD or BAD_NUMBER_OUT_OF_RANGE (jobs/decode/general_decoder.h).
BadReason ConvertField(const PlannedField& field, const RawValue& raw, const Record& record, Value* value);

}  // namespace tenfold
