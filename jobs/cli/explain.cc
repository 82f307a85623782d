// The verbs explain and try: what a job does with records.
#include "jobs/plan/explain.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>

#include "absl/time/clock.h"
#include "common/limits.h"
#include "common/number/units.h"
#include "common/process/process.h"
#include "fmt/format.h"
#include "jobs/cli/driver_calls.h"
#include "jobs/cli/output.h"
#include "jobs/cli/spec_file.h"
#include "jobs/cli/verbs.h"
#include "jobs/decode/bad_record_text.h"
#include "jobs/decode/record_decoder.h"
#include "jobs/plan/field_value.h"
#include "jobs/show/result_json.h"
#include "jobs/show/status_json.h"

namespace tenfold {
namespace {

struct Options {
  std::string file;
  std::string records = "-";
};

int RunExplain(const CliGlobals& globals, const Options& options) {
  JobSpec spec;
  if (std::filesystem::exists(options.file)) {
    if (const int code = ReadSpecFile(options.file, &spec); code != kExitOk) return code;
  } else {
    const std::unique_ptr<DriverService::Stub> driver = ConnectDriver(globals);
    grpc::ClientContext context;
    SetDeadline(&context, kDriverTimeout);
    GetStatusRequest request;
    request.set_job(options.file);
    JobStatus status;
    if (const grpc::Status asked = driver->GetStatus(&context, request, &status); !asked.ok()) {
      PrintError(fmt::format("there is no file {}, and of a job of that name:", options.file));
      return ReportError(globals, asked);
    }
    spec = status.spec();
  }
  PrintData(Explain(spec));
  return kExitOk;
}

// Prints what each step makes of records.
class Trial {
 public:
  Trial(const JobSpec& spec, RecordDecoder decoder) : spec_(spec), form_(ResultFormOf(spec)), decoder_(std::move(decoder)) {
    if (form_.calendar != nullptr) clock_.emplace(form_.calendar.get(), std::nullopt);
  }

  // False once nobody reads any more.
  bool Show(const std::string& value) {
    ++records_;
    std::string text = fmt::format("{}  {}\n", records_, Shown(value));
    const Contribution& made =
        decoder_.Decode({.value = value, .topic = "", .partition = 0, .offset = records_ - 1, .parts = &parts_},
                        clock_ ? &*clock_ : nullptr);
    if (decoder_.general() != nullptr) text += Fields();
    const std::string subject(made.subject);
    if (made.reason != BAD_NONE) {
      text += fmt::format("   bad, {}: {}\n", BadReasonText(made.reason, subject),
                          Printable(BadRecordText(spec_, value, made.reason, subject)));
    } else if (made.filtered) {
      text += "   filtered: where is not true\n";
    } else if (made.late) {
      text += fmt::format("   late: all its windows up to {} had passed\n", WindowText(*clock_->passed(), *form_.calendar));
    } else {
      if (made.pane) text += "   " + Windows(*made.pane) + "\n";
      text += fmt::format("   adds to {}: {}\n", Printable(KeyText(std::string(made.key), form_)), Contributions(made));
    }
    bad_ += made.reason != BAD_NONE;
    filtered_ += made.filtered;
    late_ += made.late;
    return PrintData(text);
  }

  std::string Summary() {
    const bool parts = decoder_.general() != nullptr && decoder_.general()->plan().reads_parts;
    const std::string late = clock_ ? fmt::format(", {} late", late_) : "";
    return fmt::format("{} records: {} bad, {} filtered{}, {} add to a key{}\n", records_, bad_, filtered_, late,
                       records_ - bad_ - filtered_ - late_,
                       parts ? "; lines have no key and no headers, and the present as their timestamp" : "");
  }

 private:
  // Which windows a row is of.
  std::string Windows(const RowPane& pane) const {
    const int64_t first = pane.first(form_.calendar->window().panes());
    const std::string text = WindowText(pane.last(), *form_.calendar);
    if (first == pane.last()) return "in the window " + text;
    return fmt::format("in {} windows, from {} on to {}", pane.last() - first + 1, WindowText(first, *form_.calendar), text);
  }

  // What a record adds to each measure.
  std::string Contributions(const Contribution& made) const {
    std::string text;
    for (const RowMeasure& measure : form_.measures.measures) {
      const bool null = measure.present && made.units[*measure.present] == 0;
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", measure.name,
                          null ? "null" : FormatUnits(made.units[measure.sum]));
    }
    return text;
  }

  // The fields that were read of the last record.
  std::string Fields() {
    std::string text;
    const GeneralDecoder& general = *decoder_.general();
    for (size_t i = 0; i < general.plan().fields.size(); ++i) {
      const Value* const value = general.FieldValue(static_cast<uint32_t>(i));
      if (value == nullptr) continue;
      const bool quoted = std::holds_alternative<std::string>(*value);
      const std::string shown = IsNull(*value) ? "null" : quoted ? Quoted(ValueText(*value)) : ValueText(*value);
      text += fmt::format("   {} = {}\n", general.plan().fields[i].name, shown);
    }
    return text;
  }

  const JobSpec spec_;
  const ResultForm form_;
  RecordDecoder decoder_;
  // Of the present, without key and headers, as lines of a file have none.
  const RecordParts parts_ = {.timestamp_ms = absl::ToUnixMillis(absl::Now())};
  int64_t records_ = 0;
  int64_t bad_ = 0;
  int64_t filtered_ = 0;
  int64_t late_ = 0;
  // Of a job with windows.
  std::optional<PaneClock> clock_;
};

int RunTry(const Options& options) {
  JobSpec spec;
  if (const int code = ReadSpecFile(options.file, &spec); code != kExitOk) return code;
  absl::StatusOr<RecordDecoder> decoder = RecordDecoder::Create(spec);
  if (!decoder.ok()) {
    PrintError(std::string(decoder.status().message()));
    return kExitData;
  }
  std::ifstream file;
  if (options.records != "-") {
    file.open(options.records, std::ios::binary);
    if (!file.is_open()) {
      PrintError(fmt::format("cannot read the records {}: {}", options.records, std::strerror(errno)));
      return kExitData;
    }
  }
  std::istream& lines = options.records == "-" ? std::cin : file;
  Trial trial(spec, *std::move(decoder));
  std::string line;
  while (std::getline(lines, line)) {
    if (!trial.Show(line)) return kExitOk;
  }
  PrintData(trial.Summary());
  return kExitOk;
}

}  // namespace

void AddExplain(CLI::App* app, const CliGlobals* globals, RunVerb* run) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = app->add_subcommand("explain", "show what a job does, from a record to its result");
  verb->add_option("FILE|JOB", options->file, "a job spec, in YAML; or the name of a job at the driver")->required();
  verb->callback([=] { *run = [=] { return RunExplain(*globals, *options); }; });
}

void AddTry(CLI::App* app, const CliGlobals*, RunVerb* run) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = app->add_subcommand("try", "show what each step of a job makes of sample records; needs no driver");
  verb->add_option("FILE", options->file, "the job spec, in YAML")->required();
  verb->add_option("--records", options->records, "a file with a record a line; - for the standard input")
      ->capture_default_str()
      ->type_name("FILE");
  verb->callback([=] { *run = [=] { return RunTry(*options); }; });
}

}  // namespace tenfold
