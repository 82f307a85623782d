#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <system_error>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "common/process/configuration.h"
#include "common/process/process.h"
#include "common/text/suggestion.h"
#include "fmt/format.h"
#include "glog/logging.h"

namespace tenfold {
namespace {

constexpr char kGeneralOptions[] = "General options";
constexpr char kSettingsFooter[] =
    "Every flag may also come from a variable or a file: --log-dir DIR wins over TENFOLD_LOG_DIR=DIR, and that over\n"
    "\"log_dir: DIR\" in the file of --config.";

// Opens /dev/null for closed standard streams. Otherwise the first file opened would become a stream and be written to.
void OpenClosedStreams() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (fcntl(fd, F_GETFD) == -1 && errno == EBADF && open("/dev/null", O_RDWR) == -1) _exit(kExitBug);
  }
}

class HelpFormatter : public CLI::Formatter {
 public:
  HelpFormatter() {
    label("SUBCOMMAND", "VERB");
    label("Positionals", "Arguments");
    column_width(32);
  }

  std::string make_description(const CLI::App* app) const override { return app->get_description() + "\n\n"; }

  std::string make_option_opts(const CLI::Option* option) const override {
    if (!option->get_option_text().empty()) return absl::StrCat(" ", option->get_option_text());
    if (option->get_items_expected_max() == 0 || option->get_positional()) return "";
    return absl::StrCat(" ", option->get_type_name());
  }

  std::string make_option_desc(const CLI::Option* option) const override {
    const std::string standard = option->get_default_str();
    if (option->get_required())
      return absl::StrCat(option->get_description(), option->get_positional() ? "" : " (required)");
    if (option->get_items_expected_max() == 0 || standard.empty() || standard == "[]" || standard == "\"\"") {
      return option->get_description();
    }
    return absl::StrCat(option->get_description(), " (default: ", standard, ")");
  }
};

// Checks the text of an integer, since CLI11 2.1 reads 010 as 8, "" as 0 and -1 as 2^64 - 1.
std::string CheckWholeNumber(const std::string& text, bool is_signed) {
  const std::string_view digits = std::string_view(text).substr(is_signed && text.starts_with("-") ? 1 : 0);
  const bool plain = !digits.empty() && std::all_of(digits.begin(), digits.end(), absl::ascii_isdigit) &&
                     (digits.size() == 1 || digits.front() != '0');
  int64_t number = 0;
  uint64_t natural = 0;
  if (plain && (is_signed ? absl::SimpleAtoi(text, &number) : absl::SimpleAtoi(text, &natural))) return "";
  return fmt::format("'{}' is not a whole number{}", text, is_signed ? "" : " of 0 or more");
}

void PrepareOptions(CLI::App* app) {
  for (CLI::Option* option : app->get_options([](CLI::Option*) { return true; })) {
    option->capture_default_str();
    const std::string type = option->get_type_name();
    if (option->get_items_expected_max() == 0 || (type != "INT" && type != "UINT")) continue;
    option->check([is_signed = type == "INT"](const std::string& text) { return CheckWholeNumber(text, is_signed); });
    option->option_text("N");
  }
}

// Returns the chosen subcommand, or the app if there is none.
CLI::App* Chosen(CLI::App* app) {
  const std::vector<CLI::App*> chosen = app->get_subcommands();
  return chosen.empty() ? app : chosen.front();
}

std::vector<std::string> VerbNames(CLI::App* app) {
  std::vector<std::string> names;
  for (const CLI::App* verb : app->get_subcommands([](CLI::App*) { return true; })) names.push_back(verb->get_name());
  return names;
}

// Says what is wrong with an argument that belongs to no option.
std::string DescribeExtra(CLI::App* app, const std::string& extra) {
  CLI::App* const chosen = Chosen(app);
  if (extra.starts_with("-")) {
    const std::string given = extra.substr(0, extra.find('='));
    if (chosen != app && chosen->get_option_no_throw(given) != nullptr)
      return absl::StrCat(given, " goes after ", chosen->get_name());
    std::vector<std::string> flags;
    for (CLI::App* const owner : {app, chosen}) {
      for (const CLI::Option* option : owner->get_options([](CLI::Option*) { return true; })) {
        for (const std::string& name : option->get_lnames()) flags.push_back("--" + name);
      }
    }
    const std::string meant = given.starts_with("--") ? given : "-" + given;
    return absl::StrCat("unknown flag ", given, DidYouMean(meant, flags));
  }
  const std::vector<std::string> verbs = VerbNames(app);
  if (chosen == app && !verbs.empty()) return absl::StrCat("unknown verb ", extra, DidYouMean(extra, verbs));
  return absl::StrCat("unexpected argument ", extra);
}

// Says in a sentence, without its full stop, what CLI11 found wrong.
std::string Describe(CLI::App* app, const CLI::ParseError& error) {
  const std::string what = error.what();
  const std::string name = what.substr(0, what.find(": "));
  if (const std::vector<std::string> extras = app->remaining(true); !extras.empty())
    return DescribeExtra(app, extras.front());
  if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr && Chosen(app) == app && !VerbNames(app).empty()) {
    return absl::StrCat("a verb is missing: ", absl::StrJoin(VerbNames(app), ", "));
  }
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr) {
    if (what.ends_with("missing")) return absl::StrCat(name, " needs a value");
    for (CLI::App* const owner : {app, Chosen(app)}) {
      for (const CLI::Option* option : owner->get_options([](CLI::Option*) { return true; })) {
        if (static_cast<int>(option->count()) > std::max(1, option->get_items_expected_max())) {
          return absl::StrCat(option->get_name(), " is given more than once");
        }
      }
    }
  }
  if (dynamic_cast<const CLI::ConversionError*>(&error) != nullptr) {
    return absl::StrReplaceAll(what, {{"Could not convert: ", ""}, {" = ", ": no valid value is "}});
  }
  if (dynamic_cast<const CLI::ExcludesError*>(&error) != nullptr) {
    return absl::StrReplaceAll(what, {{" excludes ", " does not go with "}});
  }
  return what;
}

int PrintSettingErrors(const CLI::App& app, const SettingErrors& errors) {
  for (const std::string& error : errors.environment) fmt::print(stderr, "{}: {}\n", app.get_name(), error);
  for (const std::string& error : errors.file) fmt::print(stderr, "{}\n", error);
  return errors.environment.empty() ? kExitData : kExitUsage;
}

// Adds the help flag again, so that it is the last of the list.
void AddHelp(CLI::App* app) { app->set_help_flag("-h,--help", "print this and exit")->group(kGeneralOptions); }

void AddGeneralOptions(CLI::App* app, SettingErrors* errors) {
  FLAGS_log_dir.clear();
  app->add_option("--log-dir", FLAGS_log_dir, "also write log files to this directory")
      ->type_name("DIR")
      ->group(kGeneralOptions);
  app->set_version_flag("--version", absl::StrCat(app->get_name(), " ", TENFOLD_VERSION), "print the version and exit")
      ->group(kGeneralOptions);
  AddHelp(app);
  // CLI11 2.1 has no place between reading the flags and checking what is missing, but for an option whose callback runs
  // even if it is not given. Its own configuration files win over variables, so they are no use here.
  app->add_option_function<std::string>(
         "--config",
         [app, errors](const std::string& given) {
           const char* variable = std::getenv("TENFOLD_CONFIG");
           ReadSettings(app, given.empty() && variable != nullptr ? variable : given, errors);
         },
         "YAML file of settings")
      ->force_callback()
      ->configurable(false)
      ->type_name("FILE")
      ->group(kGeneralOptions);
}

// Whether logs can be written to --log-dir, which is made if it is not there; says so if not.
bool PrepareLogDir(const CLI::App& app) {
  if (FLAGS_log_dir.empty()) return true;
  std::error_code error;
  std::filesystem::create_directories(FLAGS_log_dir, error);
  if (!error && access(FLAGS_log_dir.c_str(), W_OK) == 0) return true;
  fmt::print(stderr, "{}: cannot write logs to {}: {}\n", app.get_name(), FLAGS_log_dir,
             error ? error.message() : std::strerror(errno));
  return false;
}

}  // namespace

std::optional<int> ParseCommandLine(CLI::App* app, int argc, char** argv) {
  OpenClosedStreams();
  SettingErrors errors;
  if (app->get_name().empty()) app->name(std::filesystem::path(argc > 0 ? argv[0] : "tenfold").filename().string());
  AddGeneralOptions(app, &errors);
  PrepareOptions(app);
  const auto formatter = std::make_shared<HelpFormatter>();
  app->formatter(formatter);
  if (app->get_footer().empty()) app->footer(kSettingsFooter);
  for (CLI::App* verb : app->get_subcommands([](CLI::App*) { return true; })) {
    PrepareOptions(verb);
    verb->formatter(formatter);
    AddHelp(verb);
  }
  try {
    app->parse(argc, argv);
  } catch (const CLI::Success& success) {
    return app->exit(success);
  } catch (const CLI::ParseError& error) {
    if (!errors.environment.empty() || !errors.file.empty()) return PrintSettingErrors(*app, errors);
    const std::string place =
        Chosen(app) == app ? app->get_name() : absl::StrCat(app->get_name(), " ", Chosen(app)->get_name());
    fmt::print(stderr, "{}: {}; see {} --help\n", app->get_name(), Describe(app, error), place);
    return kExitUsage;
  }
  if (!errors.environment.empty() || !errors.file.empty()) return PrintSettingErrors(*app, errors);
  if (!PrepareLogDir(*app)) return kExitRefused;
  return std::nullopt;
}

}  // namespace tenfold
