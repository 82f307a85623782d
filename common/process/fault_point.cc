#include "common/process/fault_point.h"

#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <string>
#include <string_view>

namespace tenfold {
namespace {

struct Armed {
  std::string name;
  long passing = 1;
};

const Armed* FindArmed() {
  const char* value = std::getenv("TENFOLD_FAULT_POINT");
  if (value == nullptr || *value == '\0') return nullptr;
  const std::string_view text = value;
  const size_t colon = text.rfind(':');
  auto* armed = new Armed;
  armed->name = text.substr(0, colon);
  if (colon != std::string_view::npos) armed->passing = std::strtol(value + colon + 1, nullptr, 10);
  return armed;
}

}  // namespace

void FaultPoint(const char* name) {
  static const Armed* const armed = FindArmed();
  static std::atomic<long> passings = 0;
  if (armed == nullptr || armed->name != name) return;
  if (++passings == armed->passing) _exit(kFaultExitCode);
}

}  // namespace tenfold
