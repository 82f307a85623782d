#include "jobs/cli/batch_text.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "fmt/format.h"
#include "nlohmann/json.hpp"

namespace tenfold {

namespace {

using Rows = std::vector<std::vector<std::string>>;
using Top = google::protobuf::RepeatedPtrField<Entry>;

void AddRows(const std::vector<std::string>& begin, const Top& top, const ResultForm& form, Rows* rows) {
  for (int i = 0; i < top.size(); ++i) {
    std::vector<std::string>& row = rows->emplace_back(begin);
    row.push_back(std::to_string(i + 1));
    row.push_back(KeyText(top[i].key(), form));
    std::ranges::move(MeasureTexts(top[i], form), std::back_inserter(row));
  }
}

template <typename Result>
std::string ResultTable(const Result& result, const ResultForm& form, const TableHeads& heads) {
  Rows rows(1);
  if (form.has_group) rows[0].push_back(heads.group);
  rows[0].emplace_back("RANK");
  rows[0].push_back(heads.key);
  std::ranges::move(MeasureHeads(form), std::back_inserter(rows[0]));
  const size_t rank = form.has_group ? 1 : 0;
  std::vector<size_t> numbers = {rank};
  for (size_t column = rank + 2; column < rows[0].size(); ++column) numbers.push_back(column);
  if (!form.has_group) AddRows({}, result.top(), form, &rows);
  for (const GroupTop& group : result.groups()) {
    AddRows({group.group()}, group.top(), form, &rows);
    // One that `having` leaves no key of is there all the same.
    if (!group.top().empty()) continue;
    rows.emplace_back(rows[0].size(), "-")[0] = group.group();
  }
  std::string text = FormatTable(rows, numbers);
  if (result.groups_cut())
    text += fmt::format("there are more groups; these are the first {} by name, as many as `groups` says\n",
                        result.groups_size());
  return text;
}

}  // namespace

std::string TableOf(const BatchCommitted& batch, const ResultForm& form, const TableHeads& heads) {
  return ResultTable(batch, form, heads);
}

std::string TableOf(const FinalWindow& final, const ResultForm& form, const TableHeads& heads) {
  return ResultTable(final, form, heads);
}

namespace {

std::string TopText(const GetBatchReply& reply) {
  const BatchCommitted& batch = reply.batch();
  const ResultForm form = ResultFormOf(reply.spec());
  std::string text = fmt::format("{}, batch {} of {}: {} records, {} bad{}{}, {} in this batch, lag {}\n", reply.job(),
                                 batch.batch(), FormatTime(batch.published_at_us()), batch.records(), batch.bad_records(),
                                 form.general ? fmt::format(", {} filtered", batch.filtered_records()) : "",
                                 form.calendar != nullptr ? fmt::format(", {} late", batch.late_records()) : "",
                                 batch.batch_records(), reply.lag());
  for (const PartitionStatus& stuck : reply.stuck()) {
    text += Printable(fmt::format("{}[{}] gives nothing{}: {}", stuck.topic(), stuck.partition(), ForText(stuck.since_us()),
                                  stuck.problem())) +
            "\n";
  }
  for (const FinalWindow& final : batch.finals())
    text += fmt::format("final: {}\n{}", WindowText(final.window(), *form.calendar), TableOf(final, form));
  // A decree may make the current window final, too.
  const bool shown =
      batch.has_window() && std::ranges::find(batch.finals(), batch.window(), &FinalWindow::window) != batch.finals().end();
  if (shown) return text;
  if (form.calendar != nullptr) {
    text += batch.has_window() ? fmt::format("now: {}\n", WindowText(batch.window(), *form.calendar))
                               : "no record had a time yet, so that there is no window\n";
  }
  return text + TableOf(batch, form);
}

}  // namespace

std::vector<std::string> GroupNames(const GetBatchReply& reply) {
  std::set<std::string> names;
  for (const GroupTop& group : reply.batch().groups()) names.insert(group.group());
  for (const FinalWindow& final : reply.batch().finals()) {
    for (const GroupTop& group : final.groups()) names.insert(group.group());
  }
  return {names.begin(), names.end()};
}

void KeepGroup(const std::string& group, GetBatchReply* reply) {
  const auto keep = [&group](auto* result) {
    const auto others = [&group](const GroupTop& each) { return each.group() != group; };
    result->mutable_groups()->erase(
        std::remove_if(result->mutable_groups()->begin(), result->mutable_groups()->end(), others),
        result->mutable_groups()->end());
    result->set_groups_cut(false);
  };
  keep(reply->mutable_batch());
  for (FinalWindow& final : *reply->mutable_batch()->mutable_finals()) keep(&final);
}

std::vector<std::string> LinesOfGroup(const std::string& group, const std::vector<std::string>& lines) {
  std::vector<std::string> of_group;
  // The offsets of a result stand in its last line.
  nlohmann::ordered_json kept;
  for (const std::string& line : lines) {
    nlohmann::ordered_json read = nlohmann::ordered_json::parse(line);
    const bool is_last = read.contains("offsets");
    const nlohmann::ordered_json offsets = is_last ? read["offsets"] : nlohmann::ordered_json();
    if (read.at("group") == group) kept = std::move(read);
    if (!is_last) continue;
    if (!kept.is_null()) {
      kept["offsets"] = offsets;
      of_group.push_back(kept.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
    }
    kept = nullptr;
  }
  return of_group;
}

std::string RenderBatch(OutputFormat output, const GetBatchReply& reply, const std::optional<std::string>& group) {
  if (output == OutputFormat::kText) {
    GetBatchReply shown = reply;
    if (group) KeepGroup(*group, &shown);
    return TopText(shown);
  }
  const std::vector<Partition> partitions(reply.partitions().begin(), reply.partitions().end());
  std::vector<std::string> lines = BatchLines(reply.job(), partitions, reply.batch(), ResultFormOf(reply.spec()));
  if (group) lines = LinesOfGroup(*group, lines);
  return lines.empty() ? "" : fmt::format("{}\n", fmt::join(lines, "\n"));
}

EndGap GapOf(const GetEndsReply& ends, const GetBatchReply& reply) {
  std::map<std::pair<std::string, int32_t>, int64_t> next_offsets;
  for (int i = 0; i < std::min(reply.partitions_size(), reply.batch().next_offsets_size()); ++i) {
    next_offsets[{reply.partitions(i).topic(), reply.partitions(i).partition()}] = reply.batch().next_offsets(i);
  }
  EndGap gap;
  int64_t farthest = 0;
  for (const EndOffset& end : ends.ends()) {
    const auto found = next_offsets.find({end.topic(), end.partition()});
    // A new and empty partition is missing from the batch, but there is nothing of it to be reached.
    const int64_t missing = end.end_offset() - (found == next_offsets.end() ? 0 : found->second);
    if (missing <= 0) continue;
    gap.records += static_cast<uint64_t>(missing);
    if (missing <= farthest) continue;
    farthest = missing;
    const std::string partition = fmt::format("{}[{}]", end.topic(), end.partition());
    gap.held_by = found == next_offsets.end()
                      ? fmt::format("{}, which ends at {}, is not yet in the job", partition, end.end_offset())
                      : fmt::format("{} is at {} of {}", partition, found->second, end.end_offset());
  }
  return gap;
}

}  // namespace tenfold
