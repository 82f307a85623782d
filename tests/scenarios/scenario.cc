#include "tests/scenarios/scenario.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "fmt/format.h"
#include "google/protobuf/util/message_differencer.h"
#include "jobs/cli/sql/sql_reader.h"
#include "jobs/feed/ready_jobs.h"
#include "jobs/plan/avro_schema.h"
#include "jobs/plan/sources.h"
#include "jobs/spec/job_spec.h"
#include "jobs/spec/spec_writer.h"

namespace tenfold {
namespace {

class ScenarioReader {
 public:
  absl::StatusOr<Scenario> Read(std::string_view text) {
    for (const absl::string_view line : absl::StrSplit(absl::string_view(text.data(), text.size()), '\n')) {
      ++line_;
      if (absl::Status read = ReadLine(std::string(line)); !read.ok()) return read;
    }
    const SpecFiles files = [this](const std::string& name) -> absl::StatusOr<std::string> {
      const auto file = files_.find(name);
      if (file == files_.end()) return absl::NotFoundError("there is no file " + name);
      return file->second;
    };
    for (const SpecError& error : ReadJobSpec(spec_, &scenario_.spec, &files)) return Wrong(FormatSpecError("spec", error));
    if (!sql_.empty()) {
      JobSpec by_sql;
      for (const SpecError& error : ReadSqlJob(sql_, scenario_.spec.name(), &by_sql))
        return Wrong(FormatSpecError("sql", error));
      if (!google::protobuf::util::MessageDifferencer::Equals(by_sql, scenario_.spec))
        return Wrong("the SQL is another job than the spec:\n" + WriteJobSpec(by_sql) + WriteJobSpec(scenario_.spec));
    }
    scenario_.spec.clear_sinks();
    // What a clock decides is no function of the records.
    scenario_.spec.set_idle_us(0);
    for (Scenario::Cut& cut : scenario_.cuts) cut.offsets.resize(scenario_.partitions.size());
    return std::move(scenario_);
  }

 private:
  absl::Status Wrong(const std::string& what) const {
    return absl::InvalidArgumentError(fmt::format("line {}: {}", line_, what));
  }

  absl::Status ReadLine(const std::string& line) {
    if (line.starts_with("--- at ")) {
      const auto cut = std::ranges::find(scenario_.cuts, line.substr(7), &Scenario::Cut::name);
      if (cut == scenario_.cuts.end()) return Wrong("there is no place " + line.substr(7));
      section_ = "at";
      cut_ = &*cut;
    } else if (line.starts_with("--- job ")) {
      const ReadyJob* const job = FindReadyJob(line.substr(8));
      if (job == nullptr) return Wrong("there is no ready job " + line.substr(8));
      spec_ = job->spec;
      section_ = "job";
    } else if (line.starts_with("--- ")) {
      section_ = line.substr(4);
      scenario_.ends |= section_ == "ends";
      const bool known =
          section_.starts_with("file ") || section_ == "topics" || section_ == "ends" || section_ == "schemas";
      if (section_ != "spec" && section_ != "sql" && section_ != "records" && !known)
        return Wrong("there is no section " + section_);
    } else if (section_.starts_with("file ")) {
      files_[section_.substr(5)] += line + "\n";
    } else if (section_ == "spec") {
      spec_ += line + "\n";
    } else if (section_ == "sql") {
      sql_ += line + "\n";
    } else if (line.empty() || line[0] == '#') {
      // For people.
    } else if (section_ == "topics") {
      size_t partition = 0;
      const size_t blank = line.find(' ');
      if (blank == std::string::npos || !absl::SimpleAtoi(line.substr(0, blank), &partition)) return Wrong("no topic");
      scenario_.topics[partition] = line.substr(blank + 1);
    } else if (section_ == "schemas") {
      uint32_t id = 0;
      const size_t blank = line.find(' ');
      const std::optional<std::string> schema = CompactAvroSchema(blank == std::string::npos ? "" : line.substr(blank + 1));
      if (!absl::SimpleAtoi(line.substr(0, blank), &id) || !schema) return Wrong("no id and schema");
      scenario_.schemas[id] = *schema;
    } else if (section_ == "records" && line.starts_with("=== ")) {
      Scenario::Cut& cut = scenario_.cuts.emplace_back();
      cut.name = line.substr(4);
      for (const auto& partition : scenario_.partitions) cut.offsets.push_back(partition.size());
    } else if (section_ == "records") {
      return ReadRecord(line);
    } else if (section_ == "at") {
      cut_->expected += line + "\n";
    } else {
      return Wrong("it is of no section");
    }
    return absl::OkStatus();
  }

  absl::Status ReadRecord(std::string_view rest) {
    const auto word = [&rest] {
      const size_t end = std::min(rest.find(' '), rest.size());
      const std::string_view taken = rest.substr(0, end);
      rest.remove_prefix(std::min(rest.size(), end + 1));
      return std::string(taken);
    };
    size_t partition = 0;
    if (!absl::SimpleAtoi(word(), &partition) || partition > 63) return Wrong("it begins with no partition");
    if (scenario_.partitions.size() <= partition) scenario_.partitions.resize(partition + 1);
    Scenario::Record record;
    while (rest.starts_with("@") || rest.starts_with("key=") || rest.starts_with("header.")) {
      const std::string part = word();
      const size_t equals = part.find('=');
      if (part[0] == '@') {
        absl::Time at;
        if (!absl::ParseTime(absl::RFC3339_sec, "2026-01-01T" + part.substr(1) + "Z", &at, nullptr)) return Wrong("no time");
        record.parts.timestamp_ms = absl::ToUnixMillis(at);
      } else if (part[0] == 'k') {
        record.parts.key = Keep(part.substr(equals + 1));
      } else if (equals != std::string::npos) {
        record.parts.headers.push_back({Keep(part.substr(7, equals - 7)), Keep(part.substr(equals + 1))});
      }
    }
    record.value = Keep(rest);
    scenario_.partitions[partition].push_back(std::move(record));
    return absl::OkStatus();
  }

  // Keeps the bytes that a text stands for.
  std::string_view Keep(std::string_view text) {
    std::string& bytes = scenario_.texts.emplace_back();
    for (size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '\\' || i + 1 == text.size()) {
        bytes += text[i];
      } else if (const char c = text[++i]; c == 'x' && i + 2 < text.size()) {
        bytes += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16));
        i += 2;
      } else {
        bytes += c == 'n' ? '\n' : c == 't' ? '\t' : c;
      }
    }
    return bytes;
  }

  Scenario scenario_;
  std::string spec_;
  std::string sql_;
  std::map<std::string, std::string> files_;
  std::string section_;
  Scenario::Cut* cut_ = nullptr;
  int line_ = 0;
};

}  // namespace

size_t Scenario::SourceOf(size_t partition) const {
  const auto topic = topics.find(partition);
  return SourceOfTopic(spec.source(), topic == topics.end() ? "events" : topic->second).value_or(0);
}

absl::StatusOr<Scenario> ReadScenario(std::string_view text) { return ScenarioReader().Read(text); }

}  // namespace tenfold
