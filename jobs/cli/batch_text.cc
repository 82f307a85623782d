#include "jobs/cli/batch_text.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>
#include <vector>

#include "fmt/format.h"

namespace tenfold {

std::string TableOf(const google::protobuf::RepeatedPtrField<Entry>& top, const ResultForm& form,
                    const std::string& key_head) {
  std::vector<std::vector<std::string>> rows = {{"RANK", key_head}};
  std::ranges::move(MeasureHeads(form), std::back_inserter(rows[0]));
  std::vector<size_t> numbers = {0};
  for (size_t column = 2; column < rows[0].size(); ++column) numbers.push_back(column);
  for (const Entry& entry : top) {
    std::vector<std::string>& row = rows.emplace_back();
    row = {std::to_string(rows.size() - 1), KeyText(entry.key(), form)};
    std::ranges::move(MeasureTexts(entry, form), std::back_inserter(row));
  }
  return FormatTable(rows, numbers);
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
    text += fmt::format("final: {}\n{}", WindowText(final.window(), *form.calendar), TableOf(final.top(), form));
  // A decree may make the current window final, too.
  const bool shown =
      batch.has_window() && std::ranges::find(batch.finals(), batch.window(), &FinalWindow::window) != batch.finals().end();
  if (shown) return text;
  if (form.calendar != nullptr) {
    text += batch.has_window() ? fmt::format("now: {}\n", WindowText(batch.window(), *form.calendar))
                               : "no record had a time yet, so that there is no window\n";
  }
  return text + TableOf(batch.top(), form);
}

}  // namespace

std::string RenderBatch(OutputFormat output, const GetBatchReply& reply) {
  if (output == OutputFormat::kText) return TopText(reply);
  const std::vector<Partition> partitions(reply.partitions().begin(), reply.partitions().end());
  const ResultForm form = ResultFormOf(reply.spec());
  std::vector<std::string> lines = FinalLines(reply.job(), partitions, reply.batch(), form);
  lines.push_back(TopLine(reply.job(), partitions, reply.batch(), form));
  return fmt::format("{}\n", fmt::join(lines, "\n"));
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
