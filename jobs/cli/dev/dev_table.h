// What `tenfold dev` shows of a batch. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "driver.pb.h"

namespace tenfold {

struct DevBatch {
  const GetBatchReply* reply = nullptr;
  // Records folded a second since the batch before; below 0 if that is not known.
  double records_per_second = -1;
  // Something to keep in sight; may be empty.
  std::string note;
};

// For programs and files: a header line "batch N  records ...", then a line "rank key score" a page.
std::string DevLines(const DevBatch& batch);

// For a terminal: a table drawn over the one before without a flicker.
std::string DevScreen(const DevBatch& batch);

}  // namespace tenfold
