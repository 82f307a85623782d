#include "jobs/decode/learned_schemas.h"

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "fmt/format.h"

namespace tenfold {

absl::StatusOr<std::shared_ptr<const LearnedSchemas>> ReadLearnedSchemas(
    const google::protobuf::RepeatedPtrField<LearnedSchema>& learned) {
  auto schemas = std::make_shared<LearnedSchemas>();
  for (const LearnedSchema& of : learned) {
    std::shared_ptr<const AvroSchema>& schema = (*schemas)[of.id()];
    if (of.avro().empty()) continue;
    std::string error;
    std::optional<AvroSchema> read = ReadAvroSchema(of.avro(), &error);
    if (!read) return absl::InvalidArgumentError(fmt::format("schema {} of the registry {}", of.id(), error));
    schema = std::make_shared<const AvroSchema>(*std::move(read));
  }
  return schemas;
}

}  // namespace tenfold
