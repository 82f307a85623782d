#include "jobs/registry/schema_registry.h"

#include <algorithm>
#include <iterator>
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
// By which a registry says that there is no such subject, version or schema, and not just no such page.
constexpr int64_t kNoSuch[] = {40401, 40402, 40403};

std::string TextOf(const Json& json, const char* member) {
  const auto found = json.is_object() ? json.find(member) : json.end();
  return found != json.end() && found->is_string() ? found->get<std::string>() : "";
}

class Asker {
 public:
  Asker(const SchemaRegistry& registry, const RegistryAccess& access) : registry_(registry), access_(access) {}

  absl::StatusOr<LearnedSchema> Ask(uint32_t id) {
    LearnedSchema learned;
    learned.set_id(id);
    const auto unusable = [&learned](const auto&... why) {
      learned.set_problem(absl::StrCat("the registry's schema by this id ", why...));
      return learned;
    };
    const absl::StatusOr<Json> answer = Get(absl::StrCat("/schemas/ids/", id));
    if (absl::IsResourceExhausted(answer.status())) return unusable("is too large: ", answer.status().message());
    if (absl::IsNotFound(answer.status())) return absl::NotFoundError("the registry has no schema by this id");
    if (!answer.ok()) return answer.status();
    const std::string type = TextOf(*answer, "schemaType");
    if (!type.empty() && type != "AVRO") return unusable("is not one of Avro's but of ", Shown(type));
    std::vector<std::string> others;
    if (absl::Status found = FindReferences(*answer, &others); !found.ok()) return found;
    if (too_many_) return unusable("refers to more than ", kMaxReferences, " others");
    const absl::StatusOr<std::string> whole = WithReferences(TextOf(*answer, "schema"), others);
    if (!whole.ok()) return unusable(whole.status().message());
    std::string error;
    if (!ReadAvroSchema(*whole, &error)) return unusable(error);
    learned.set_avro(*CompactAvroSchema(*whole));
    return learned;
  }

 private:
  // Appends the schemas that the one refers to, and those that these refer to.
  absl::Status FindReferences(const Json& answer, std::vector<std::string>* others) {
    const auto references = answer.find("references");
    if (references == answer.end() || !references->is_array()) return absl::OkStatus();
    for (const Json& reference : *references) {
      const std::string subject = TextOf(reference, "subject");
      const auto version = reference.is_object() ? reference.find("version") : reference.end();
      if (subject.empty() || version == reference.end() || !version->is_number_integer()) continue;
      const auto number = version->get<int64_t>();
      if (!asked_.emplace(subject, number).second) continue;
      too_many_ |= asked_.size() > kMaxReferences;
      if (too_many_) return absl::OkStatus();
      // As serializers ask: what is deleted softly is still what records were written by.
      const absl::StatusOr<Json> other =
          Get(absl::StrCat("/subjects/", UrlEscaped(subject), "/versions/", number, "?deleted=true"));
      if (!other.ok()) {
        const std::string why =
            absl::StrCat("of version ", number, " of ", Shown(subject), ", to which the schema refers: ",
                         absl::IsNotFound(other.status()) ? "the registry does not have it" : other.status().message());
        return absl::IsNotFound(other.status()) ? absl::NotFoundError(why) : absl::UnavailableError(why);
      }
      if (absl::Status found = FindReferences(*other, others); !found.ok()) return found;
      others->push_back(TextOf(*other, "schema"));
    }
    return absl::OkStatus();
  }

  // An object with a schema. NOT_FOUND if the registry says that there is none; RESOURCE_EXHAUSTED if the answer is too
  // long.
  absl::StatusOr<Json> Get(const std::string& path) const {
    HttpQuestion question;
    question.url = absl::StrCat(registry_.url().substr(0, registry_.url().find_last_not_of('/') + 1), path);
    question.user = registry_.user();
    question.headers = {"Accept: application/vnd.schemaregistry.v1+json, application/json"};
    question.max_bytes = kMaxAnswerBytes;
    question.is_cancelled = access_.is_cancelled;
    if (!registry_.password().empty()) {
      absl::StatusOr<std::string> password =
          ReferenceValue("the registry's password", registry_.password(), access_.file_dirs);
      if (!password.ok()) return absl::UnavailableError(password.status().message());
      question.password = *std::move(password);
    }
    if (!registry_.ca().empty()) {
      const absl::Status file = CheckPlainFile("the registry's ca", registry_.ca(), access_.file_dirs);
      if (!file.ok()) return absl::UnavailableError(file.message());
      question.ca_file = registry_.ca();
    }
    const absl::StatusOr<HttpAnswer> answer = HttpGet(question);
    if (absl::IsResourceExhausted(answer.status())) return answer.status();
    if (!answer.ok())
      return absl::UnavailableError(absl::StrCat("the registry does not answer: ", answer.status().message()));
    Json json = IsShallowJson(answer->body) ? Json::parse(answer->body, nullptr, /*allow_exceptions=*/false) : Json();
    if (answer->status == 200 && !TextOf(json, "schema").empty()) return json;
    if (answer->status == 200) return absl::UnavailableError(absl::StrCat("GET ", path, ": its answer has no schema"));
    const auto code = json.is_object() ? json.find("error_code") : json.end();
    const bool says = answer->status == 404 && code != json.end() && code->is_number_integer();
    if (says && std::ranges::find(kNoSuch, code->get<int64_t>()) != std::end(kNoSuch))
      return absl::NotFoundError("the registry does not have it");
    constexpr size_t kMostSaid = 200;
    const std::string said = TextOf(json, "message");
    if (answer->status == 401 || answer->status == 403) {
      return absl::UnavailableError(absl::StrCat(
          "the registry refuses (HTTP ", answer->status, said.empty() ? "" : ", ", Shown(said.substr(0, kMostSaid)), "): ",
          registry_.user().empty() ? "it wants a user and a password" : "user or password are wrong, or lack the right"));
    }
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
