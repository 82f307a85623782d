#include "jobs/registry/schema_registry.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/kafka/property_value.h"
#include "common/limits.h"
#include "common/net/http_get.h"
#include "common/text/shown_text.h"
#include "jobs/plan/avro_schema.h"
#include "jobs/registry/avro_references.h"
#include "nlohmann/json.hpp"

namespace tenfold {
namespace {

using Json = nlohmann::json;

// The most schemas that one may refer to, directly or through others.
constexpr size_t kMaxReferences = 100;
// An answer has a schema as a text in JSON, and more about it.
constexpr size_t kMaxAnswerBytes = 8 * kMaxSchemaBytes;
// By which a registry says that there is no schema by an id, and not just no such page.
constexpr int kNoSchema = 40403;

std::string TextOf(const Json& json, const char* member) {
  const auto found = json.is_object() ? json.find(member) : json.end();
  return found != json.end() && found->is_string() ? found->get<std::string>() : "";
}

class Asker {
 public:
  Asker(const SchemaRegistry& registry, const RegistryAccess& access) : registry_(registry), access_(access) {}

  absl::StatusOr<LearnedSchema> Ask(uint32_t id) {
    const absl::StatusOr<Json> answer = Get(absl::StrCat("/schemas/ids/", id));
    if (!answer.ok()) return answer.status();
    LearnedSchema learned;
    learned.set_id(id);
    const std::string type = TextOf(*answer, "schemaType");
    if (!type.empty() && type != "AVRO") {
      learned.set_problem(absl::StrCat("the registry's schema by this id is not one of Avro's but of ", Shown(type)));
      return learned;
    }
    std::vector<std::string> others;
    if (absl::Status found = FindReferences(*answer, &others); !found.ok()) return found;
    if (too_many_) {
      learned.set_problem(absl::StrCat("the registry's schema by this id refers to more than ", kMaxReferences, " others"));
      return learned;
    }
    const absl::StatusOr<std::string> whole = WithReferences(TextOf(*answer, "schema"), others);
    std::string error = whole.ok() ? "" : std::string(whole.status().message());
    if (whole.ok() && ReadAvroSchema(*whole, &error)) {
      learned.set_avro(*CompactAvroSchema(*whole));
    } else {
      learned.set_problem(absl::StrCat("the registry's schema by this id ", error));
    }
    return learned;
  }

 private:
  // Appends the schemas that the one refers to, and those that these refer to.
  absl::Status FindReferences(const Json& answer, std::vector<std::string>* others) {
    const auto references = answer.is_object() ? answer.find("references") : answer.end();
    if (references == answer.end() || !references->is_array()) return absl::OkStatus();
    for (const Json& reference : *references) {
      const std::string subject = TextOf(reference, "subject");
      const auto version = reference.is_object() ? reference.find("version") : reference.end();
      if (subject.empty() || version == reference.end() || !version->is_number_integer()) continue;
      if (!asked_.emplace(subject, version->get<int64_t>()).second) continue;
      too_many_ |= asked_.size() > kMaxReferences;
      if (too_many_) return absl::OkStatus();
      const absl::StatusOr<Json> other =
          Get(absl::StrCat("/subjects/", UrlEscaped(subject), "/versions/", version->get<int64_t>()));
      if (!other.ok()) {
        return absl::UnavailableError(absl::StrCat("of version ", version->get<int64_t>(), " of ", Shown(subject),
                                                   ", to which the schema refers: ", other.status().message()));
      }
      if (absl::Status found = FindReferences(*other, others); !found.ok()) return found;
      others->push_back(TextOf(*other, "schema"));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<Json> Get(const std::string& path) const {
    HttpQuestion question;
    question.url = absl::StrCat(registry_.url().substr(0, registry_.url().find_last_not_of('/') + 1), path);
    question.user = registry_.user();
    question.headers = {"Accept: application/vnd.schemaregistry.v1+json, application/json"};
    question.max_bytes = kMaxAnswerBytes;
    question.is_cancelled = access_.is_cancelled;
    for (const auto& [name, from, to] : {std::tuple("registry.password", &registry_.password(), &question.password),
                                         std::tuple("registry.ca.location", &registry_.ca(), &question.ca_file)}) {
      if (from->empty()) continue;
      absl::StatusOr<std::string> value = PropertyValue(name, *from, access_.file_dirs);
      if (!value.ok()) return absl::UnavailableError(value.status().message());
      *to = *std::move(value);
    }
    const absl::StatusOr<HttpAnswer> answer = HttpGet(question);
    if (!answer.ok())
      return absl::UnavailableError(absl::StrCat("the registry does not answer: ", answer.status().message()));
    Json json = Json::parse(answer->body, nullptr, /*allow_exceptions=*/false);
    if (answer->status == 200 && json.is_object()) return json;
    if (answer->status == 200) return absl::UnavailableError(absl::StrCat("GET ", path, ": its answer is no JSON object"));
    const auto code = json.is_object() ? json.find("error_code") : json.end();
    if (answer->status == 404 && code != json.end() && *code == kNoSchema)
      return absl::NotFoundError("the registry has no schema by this id");
    if (answer->status == 401 || answer->status == 403) {
      return absl::UnavailableError(absl::StrCat(
          "the registry refuses (HTTP ", answer->status, "): ",
          registry_.user().empty() ? "it wants a user and a password" : "user or password are wrong, or lack the right"));
    }
    constexpr size_t kMostSaid = 200;
    const std::string said = TextOf(json, "message");
    return absl::UnavailableError(absl::StrCat(
        "the registry answers HTTP ", answer->status, " to GET ", path,
        said.empty() ? answer->status == 404 ? "; is the URL's path right?" : "" : ": ", Shown(said.substr(0, kMostSaid))));
  }

  const SchemaRegistry& registry_;
  const RegistryAccess& access_;
  // Subjects and versions.
  std::set<std::pair<std::string, int64_t>> asked_;
  bool too_many_ = false;
};

}  // namespace

absl::StatusOr<LearnedSchema> AskRegistry(const SchemaRegistry& registry, uint32_t id, const RegistryAccess& access) {
  return Asker(registry, access).Ask(id);
}

}  // namespace tenfold
