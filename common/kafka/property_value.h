// The values of a job's Kafka properties, as the process needs them that connects: references are resolved, and files are
// looked at before librdkafka opens them, since a device or a pipe would hold its thread for ever.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace tenfold {

// Where files that properties name lie unless the process is told otherwise.
inline const std::vector<std::string>& DefaultPropertyDirs() {
  static const auto* const dirs = new std::vector<std::string>{"/etc/tenfold", "/etc/ssl/certs"};
  return *dirs;
}

// Resolves ${file:PATH} to what the file holds, without its last line break, and ${env:NAME} to the variable's value;
// returns other values as they are. The files of references and of properties that name one (*.location, *.keytab) have to
// be regular ones, or a directory for certificates, in one of `dirs`, or anywhere if those are not given. INVALID_ARGUMENT,
// naming the property and the file or variable but never the value, if that does not hold.
absl::StatusOr<std::string> PropertyValue(const std::string& name, const std::string& value,
                                          const std::optional<std::vector<std::string>>& dirs);

// The same of a value that is no Kafka property's and that messages call `subject`: resolves a reference, and looks at a
// file that the value names.
absl::StatusOr<std::string> ReferenceValue(const std::string& subject, const std::string& value,
                                           const std::optional<std::vector<std::string>>& dirs);
absl::Status CheckPlainFile(const std::string& subject, const std::string& path,
                            const std::optional<std::vector<std::string>>& dirs);

}  // namespace tenfold
