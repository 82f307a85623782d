#include "common/process/random_id.h"

#include <sys/random.h>

#include "fmt/format.h"
#include "glog/logging.h"

namespace tenfold {

uint64_t RandomNumber() {
  uint64_t number = 0;
  PCHECK(getrandom(&number, sizeof(number), 0) == sizeof(number)) << "the operating system gives no random numbers";
  return number;
}

std::string RandomId() { return fmt::format("{:016x}", RandomNumber()); }

bool IsRandomId(std::string_view text) {
  return text.size() == 16 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace tenfold
