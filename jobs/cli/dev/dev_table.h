// What `tenfold dev` shows of a batch. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "driver.pb.h"

namespace tenfold {

struct DevBatch {
  const GetBatchReply* reply = nullptr;
  // Records folded per second since the previous batch; negative if that is not known.
  double records_per_second = -1;
  // A remark shown below the table; may be empty.
  std::string note;
};

// The form for programs and files: a line "batch N  records ...", then a line "rank key score" for each page.
std::string DevLines(const DevBatch& batch);

// The form for a terminal: a table that is drawn over the previous one without flicker.
std::string DevScreen(const DevBatch& batch);

}  // namespace tenfold
