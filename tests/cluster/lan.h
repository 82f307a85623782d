// A network of its own for one test: machines that are network namespaces, on a bridge that this machine is on too. Made
// with iproute2, as root. All it makes carries this process's pid in its name.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace tenfold {

class Lan {
 public:
  // Why this process can have none, or OK.
  static absl::Status Possible();
  // Removes what processes have left that were killed.
  static void RemoveLeftovers();

  // One at a time in a process, used by one thread.
  explicit Lan(int machines);
  // Removes it all.
  ~Lan();

  Lan(const Lan&) = delete;
  Lan& operator=(const Lan&) = delete;

  // Of making it.
  const absl::Status& status() const { return status_; }
  // This machine's on it.
  std::string own_address() const { return Address(1); }
  // Of a machine, from 0.
  std::string address(int machine) const { return Address(10 + machine); }
  std::string network_namespace(int machine) const;
  // Takes the machine's cable out, and puts it back in.
  absl::Status Cut(int machine) const;
  absl::Status Mend(int machine) const;

 private:
  absl::Status Make(int machines);
  std::string Address(int host) const;

  int subnet_ = 0;
  absl::Status status_;
};

}  // namespace tenfold
