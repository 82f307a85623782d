// A real schema registry for one test, on a free port of the loopback address. What it has it forgets when it ends. It dies
// with this process.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/process/child_process.h"

namespace tenfold {

class RegistryServer {
 public:
  // `directory` is made and gets its log.
  explicit RegistryServer(std::string directory);

  // Returns once it answers. After Stop it begins anew, at the same port, without schemas.
  absl::Status Start();
  void Stop() { process_.reset(); }

  // As job specs name it.
  std::string url() const;

  struct Reference {
    std::string name;
    std::string subject;
    int version = 0;
  };
  // Returns the id that the schema of Avro gets under the subject.
  absl::StatusOr<uint32_t> Register(const std::string& subject, const std::string& schema,
                                    const std::vector<Reference>& references = {});

 private:
  const std::string directory_;
  const int port_;
  std::unique_ptr<ChildProcess> process_;
};

}  // namespace tenfold
