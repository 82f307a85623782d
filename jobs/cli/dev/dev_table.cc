#include "jobs/cli/dev/dev_table.h"

#include <algorithm>

#include "absl/strings/str_replace.h"
#include "fmt/format.h"
#include "jobs/cli/batch_text.h"
#include "jobs/cli/output.h"
#include "jobs/show/result_json.h"

namespace tenfold {
namespace {

std::string Rate(const DevBatch& batch) {
  return batch.records_per_second < 0 ? "-" : fmt::format("{:.0f}", batch.records_per_second);
}

double ProcessingMs(const DevBatch& batch) {
  return static_cast<double>(batch.reply->batch().timings().processing_us()) / 1000;
}

}  // namespace

std::string DevLines(const DevBatch& batch) {
  const GetBatchReply& reply = *batch.reply;
  const BatchCommitted& committed = reply.batch();
  std::string lines = fmt::format(
      "batch {}  records {}  batch_records {}  records_per_second {}  processing_ms {:.1f}  interval_ms {}  lag {}\n",
      committed.batch(), committed.records(), committed.batch_records(), Rate(batch), ProcessingMs(batch),
      reply.spec().batch_interval_ms(), reply.lag());
  const ResultForm form = ResultFormOf(reply.spec());
  if (form.calendar != nullptr && committed.has_window())
    lines += fmt::format("window {}\n", WindowText(committed.window(), *form.calendar));
  const auto add = [&](const std::string& begin, const auto& top) {
    for (int rank = 0; const Entry& entry : top)
      lines +=
          fmt::format("{}{} {} {}\n", begin, ++rank, Printable(KeyText(entry.key(), form)), MeasureTexts(entry, form)[0]);
  };
  add("", committed.top());
  for (const GroupTop& group : committed.groups()) add(Printable(group.group()) + " ", group.top());
  return lines;
}

std::string DevScreen(const DevBatch& batch) {
  const GetBatchReply& reply = *batch.reply;
  const BatchCommitted& committed = reply.batch();
  const ResultForm form = ResultFormOf(reply.spec());
  const double interval_ms = reply.spec().batch_interval_ms();
  const std::string window = form.calendar != nullptr && committed.has_window()
                                 ? fmt::format("window {}\n\n", WindowText(committed.window(), *form.calendar))
                                 : "";
  std::string text = fmt::format("{}, batch {} of {}\n\n{}{}\n", reply.job(), committed.batch(),
                                 FormatTime(committed.published_at_us()), window, TableOf(committed, form));
  text += fmt::format("records     {}, {} in this batch, {} bad\n", committed.records(), committed.batch_records(),
                      committed.bad_records());
  text += fmt::format("rate        {} records/s\n", Rate(batch));
  text += fmt::format("processing  {:.1f} ms of the interval's {:.0f} ms ({:.1f} %)\n", ProcessingMs(batch), interval_ms,
                      100 * ProcessingMs(batch) / interval_ms);
  text += fmt::format("lag         {} records\n\n", reply.lag());
  if (!batch.note.empty()) text += Printable(batch.note) + "\n\n";
  text += "Ctrl-C ends everything.\n";
  // Draws from the top left corner, erases the rest of each line and then all below, so that nothing is blank in between.
  return "\x1b[H" + absl::StrReplaceAll(text, {{"\n", "\x1b[K\n"}}) + "\x1b[J";
}

}  // namespace tenfold
