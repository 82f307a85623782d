#include "jobs/show/result_json.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/time/time.h"
#include "common/number/units.h"
#include "common/text/framed_key.h"
#include "glog/logging.h"
#include "jobs/spec/batch_spec.h"
#include "nlohmann/json.hpp"

namespace tenfold {

std::string FormatTime(int64_t time_us) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", absl::FromUnixMicros(time_us), absl::UTCTimeZone());
}

nlohmann::ordered_json ProofJson(const TopKProof& proof, const JobMeasures& of) {
  using Json = nlohmann::ordered_json;
  const auto text = [&](const Int128& total) { return Json(FormatUnits(of.RankedNumber(FromProto(total)))); };
  return {{"kth_total", proof.has_kth_total() ? text(proof.kth_total()) : Json()},
          {"unseen_bound", proof.has_unseen_bound() ? text(proof.unseen_bound()) : Json()},
          {"rounds", proof.rounds()},
          {"entries", proof.entries()}};
}

ResultForm ResultFormOf(const JobSpec& spec) {
  ResultForm form;
  form.general = spec.fold().has_general();
  form.measures = MeasuresOf(spec);
  if (spec.fold().general().has_window()) form.calendar = std::make_shared<PaneCalendar>(spec.fold().general().window());
  if (form.general) form.key_parts = static_cast<size_t>(spec.fold().general().key_size());
  form.has_group = !spec.fold().general().group().empty();
  return form;
}

ResultForm FormOfBatch(ResultForm form, const JobSpec& spec, const BatchCommitted& batch) {
  if (!IsResultOf(batch, spec)) form.measures = MeasuresOf(SpecOfBatch(spec, batch));
  return form;
}

std::vector<std::string> KeyParts(const std::string& key, const ResultForm& form) {
  if (form.key_parts <= 1 && !form.has_group) return {key};
  std::vector<std::string> parts = PartsOfKey(key);
  if (form.has_group && parts.size() > 1) parts.erase(parts.begin());
  return parts;
}

std::string KeyText(const std::string& key, const ResultForm& form) {
  if (form.key_parts <= 1) return KeyParts(key, form)[0];
  return nlohmann::json(KeyParts(key, form)).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::vector<std::string> MeasureHeads(const ResultForm& form) {
  std::vector<std::string> heads;
  for (const RowMeasure& measure : form.measures.measures) heads.push_back(absl::AsciiStrToUpper(measure.name));
  const auto ranked = heads.begin() + static_cast<std::ptrdiff_t>(form.measures.ranked);
  std::rotate(heads.begin(), ranked, ranked + 1);
  return heads;
}

std::vector<std::string> MeasureTexts(const Entry& entry, const ResultForm& form) {
  const std::vector<Units> sums = SumsOf(entry);
  std::vector<std::string> texts;
  for (const RowMeasure& measure : form.measures.measures) {
    texts.push_back(measure.TextOf(sums).value_or("null"));
  }
  const auto ranked = texts.begin() + static_cast<std::ptrdiff_t>(form.measures.ranked);
  std::rotate(texts.begin(), ranked, ranked + 1);
  return texts;
}

namespace {

using Json = nlohmann::ordered_json;

Json WindowJson(int64_t window, bool final, bool decreed, const PaneCalendar& calendar) {
  const PaneCalendar::Times times = calendar.TimesOf(window);
  return {{"start", FormatTime(times.begin_us)}, {"end", FormatTime(times.end_us)}, {"final", final}, {"decreed", decreed}};
}

template <typename Entries>
Json TopJson(const Entries& entries, const ResultForm& form) {
  Json top = Json::array();
  for (int i = 0; i < entries.size(); ++i) {
    const std::vector<Units> sums = SumsOf(entries[i]);
    const std::vector<std::string> parts = KeyParts(entries[i].key(), form);
    Json entry = {{"rank", i + 1}, {"key", parts[0]}, {"score", MeasureTexts(entries[i], form)[0]}};
    if (form.key_parts > 1) entry["key"] = parts;
    for (const RowMeasure& measure : form.measures.measures) {
      if (!form.general) break;
      const std::optional<std::string> text = measure.TextOf(sums);
      entry["measures"][measure.name] = text ? Json(*text) : Json();
    }
    top.push_back(std::move(entry));
  }
  return top;
}

// What the lines of a batch begin with.
Json BatchJson(const std::string& job, const std::vector<Partition>& partitions, const BatchCommitted& batch,
               const ResultForm& form) {
  CHECK_GE(partitions.size(), static_cast<size_t>(batch.next_offsets_size())) << "batch " << batch.batch() << " of " << job;
  Json offsets = Json::array();
  for (int i = 0; i < batch.next_offsets_size(); ++i) {
    const Partition& partition = partitions[static_cast<size_t>(i)];
    offsets.push_back(
        Json{{"topic", partition.topic()}, {"partition", partition.partition()}, {"next_offset", batch.next_offsets(i)}});
  }
  Json line = {{"job", job},
               {"job_id", batch.job_id()},
               {"batch", batch.batch()},
               {"published_at", FormatTime(batch.published_at_us())},
               {"offsets", std::move(offsets)},
               {"records", batch.records()},
               {"bad_records", batch.bad_records()}};
  if (form.general) line["filtered_records"] = batch.filtered_records();
  if (form.calendar != nullptr) line["late_records"] = batch.late_records();
  line["batch_records"] = batch.batch_records();
  return line;
}

// Keys are UTF-8, as other records are bad; `replace` only keeps the library from throwing.
std::string Dumped(const Json& line) { return line.dump(-1, ' ', false, Json::error_handler_t::replace); }

// Appends the lines of a result, which all begin so; what a batch and a final window have, they have under the same names.
template <typename Result>
void AddLines(const Json& begin, const Result& result, const ResultForm& form, std::vector<std::string>* lines) {
  const auto add = [&](Json line, const auto& top) {
    line["top"] = TopJson(top, form);
    line["proof"] = ProofJson(result.proof(), form.measures);
    lines->push_back(Dumped(line));
  };
  if (!form.has_group) return add(begin, result.top());
  Json line = begin;
  line["group"] = Json();
  line["group_number"] = 0;
  line["group_count"] = result.groups_size();
  line["groups_cut"] = result.groups_cut();
  if (result.groups().empty()) return add(line, result.top());
  // There may be a thousand partitions, and as many groups.
  Json without_offsets = line;
  without_offsets.erase("offsets");
  for (int i = 0; i < result.groups_size(); ++i) {
    Json& of_group = i + 1 < result.groups_size() ? without_offsets : line;
    of_group["group"] = result.groups(i).group();
    of_group["group_number"] = i + 1;
    add(of_group, result.groups(i).top());
  }
}

}  // namespace

std::vector<std::string> TopLines(const std::string& job, const std::vector<Partition>& partitions,
                                  const BatchCommitted& batch, const ResultForm& form) {
  Json line = BatchJson(job, partitions, batch, form);
  if (form.calendar != nullptr)
    line["window"] = batch.has_window() ? WindowJson(batch.window(), false, false, *form.calendar) : Json();
  std::vector<std::string> lines;
  AddLines(line, batch, form, &lines);
  return lines;
}

std::vector<std::string> FinalLines(const std::string& job, const std::vector<Partition>& partitions,
                                    const BatchCommitted& batch, const ResultForm& form) {
  std::vector<std::string> lines;
  for (const FinalWindow& final : batch.finals()) {
    Json line = BatchJson(job, partitions, batch, form);
    line["window"] = WindowJson(final.window(), true, final.decreed(), *form.calendar);
    AddLines(line, final, form, &lines);
  }
  return lines;
}

std::vector<std::string> BatchLines(const std::string& job, const std::vector<Partition>& partitions,
                                    const BatchCommitted& batch, const ResultForm& form) {
  std::vector<std::string> lines = FinalLines(job, partitions, batch, form);
  std::ranges::move(TopLines(job, partitions, batch, form), std::back_inserter(lines));
  return lines;
}

bool EndsBatch(const std::string& line) {
  const nlohmann::json parsed = nlohmann::json::parse(line, nullptr, false);
  if (!parsed.is_object()) return true;
  const auto window = parsed.find("window");
  const bool is_final = window != parsed.end() && window->is_object() && window->value("final", nlohmann::json()) == true;
  return !is_final && parsed.value("group_number", nlohmann::json()) == parsed.value("group_count", nlohmann::json());
}

absl::TimeZone ZoneOf(const PaneCalendar& calendar) {
  absl::TimeZone zone;
  const std::string& name = calendar.window().zone();
  return name.empty() || !absl::LoadTimeZone(name, &zone) ? absl::UTCTimeZone() : zone;
}

std::string WindowText(int64_t window, const PaneCalendar& calendar) {
  const PaneCalendar::Times times = calendar.TimesOf(window);
  const absl::TimeZone zone = ZoneOf(calendar);
  const std::string& name = calendar.window().zone();
  const absl::Time begin = absl::FromUnixMicros(times.begin_us);
  const absl::Time end = absl::FromUnixMicros(times.end_us);
  const auto at_midnight = [&zone](absl::Time time) { return absl::FormatTime("%H:%M:%E*S", time, zone) == "00:00:00"; };
  if (at_midnight(begin) && at_midnight(end)) {
    // The last day that is in it, which may be the only one.
    const std::string first = absl::FormatTime("%Y-%m-%d", begin, zone);
    const std::string last = absl::FormatTime("%Y-%m-%d", end - absl::Microseconds(1), zone);
    return first == last ? first : first + " to " + last;
  }
  return absl::FormatTime("%Y-%m-%d %H:%M:%E*S", begin, zone) + " to " + absl::FormatTime("%Y-%m-%d %H:%M:%E*S", end, zone) +
         (name.empty() ? " UTC" : "");
}

bool SaysTheSame(const std::string& line, const std::string& other) {
  const nlohmann::json a = nlohmann::json::parse(line, nullptr, false);
  const nlohmann::json b = nlohmann::json::parse(other, nullptr, false);
  if (!a.is_object() || !b.is_object()) return false;
  return std::ranges::all_of(std::array{"job_id", "batch", "offsets", "records", "group", "top"}, [&](const char* field) {
    return a.value(field, nlohmann::json()) == b.value(field, nlohmann::json());
  });
}

}  // namespace tenfold
