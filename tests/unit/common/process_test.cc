#include "common/process/process.h"

#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "common/text/address.h"
#include "common/text/duration.h"
#include "common/text/suggestion.h"
#include "glog/logging.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tenfold {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;
using ::testing::StartsWith;

// A program with settings of every kind, one of them required.
class Program {
 public:
  Program() : app_("Tries settings.", "program") {
    app_.add_option("--listen", listen, "where to listen")->required()->check(CheckAddress);
    app_.add_option("--lease-ms", lease_ms, "how long a lease lasts");
    app_.add_option("--allow-prefix", prefixes, "prefixes of sinks");
    app_.add_flag("--quiet", quiet, "say less");
  }

  std::optional<int> Parse(std::vector<std::string> args) {
    args.insert(args.begin(), "program");
    std::vector<char*> argv;
    for (std::string& arg : args) argv.push_back(arg.data());
    argv.push_back(nullptr);
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    const std::optional<int> exit_code = ParseCommandLine(&app_, static_cast<int>(args.size()), argv.data());
    out = testing::internal::GetCapturedStdout();
    err = testing::internal::GetCapturedStderr();
    return exit_code;
  }

  CLI::App* app() { return &app_; }

  std::string listen;
  uint32_t lease_ms = 3000;
  std::vector<std::string> prefixes;
  bool quiet = false;
  std::string out;
  std::string err;

 private:
  CLI::App app_;
};

class SettingsTest : public testing::Test {
 protected:
  SettingsTest() : dir_(testing::TempDir() + "settings_" + std::to_string(getpid())) {
    std::filesystem::create_directories(dir_);
  }
  ~SettingsTest() override {
    for (const std::string& name : variables_) unsetenv(name.c_str());
    std::filesystem::remove_all(dir_);
  }

  void Set(const std::string& name, const std::string& value) {
    setenv(name.c_str(), value.c_str(), 1);
    variables_.push_back(name);
  }
  std::string Write(const std::string& yaml) {
    const std::string path = dir_ + "/config.yaml";
    std::ofstream(path) << yaml;
    return path;
  }

  const std::string dir_;
  std::vector<std::string> variables_;
};

TEST_F(SettingsTest, FlagWinsOverVariableWinsOverFile) {
  const std::string file = Write("listen: file:1\nlease_ms: 1\nquiet: true\n");
  Set("TENFOLD_LISTEN", "variable:2");
  Set("TENFOLD_LEASE_MS", "2");
  Program program;
  EXPECT_EQ(program.Parse({"--config", file, "--listen", "flag:3"}), std::nullopt) << program.err;
  EXPECT_EQ(program.listen, "flag:3");
  EXPECT_EQ(program.lease_ms, 2u);
  EXPECT_TRUE(program.quiet);
}

TEST_F(SettingsTest, VariableNamesTheFile) {
  Set("TENFOLD_CONFIG", Write("listen: file:1\n"));
  Program program;
  EXPECT_EQ(program.Parse({}), std::nullopt) << program.err;
  EXPECT_EQ(program.listen, "file:1");
}

TEST_F(SettingsTest, FileGivesRequiredOptionsListsAndFlags) {
  const std::string file = Write("listen: '[::1]:7070'\nallow_prefix: [/a, \"/b c\"]\nquiet: false\n");
  Program program;
  EXPECT_EQ(program.Parse({"--config", file}), std::nullopt) << program.err;
  EXPECT_EQ(program.listen, "[::1]:7070");
  EXPECT_EQ(program.prefixes, (std::vector<std::string>{"/a", "/b c"}));
  EXPECT_FALSE(program.quiet);
}

TEST_F(SettingsTest, EmptyVariableIsNotGiven) {
  Set("TENFOLD_LEASE_MS", "");
  Program program;
  EXPECT_EQ(program.Parse({"--listen", "a:1"}), std::nullopt) << program.err;
  EXPECT_EQ(program.lease_ms, 3000u);
}

TEST_F(SettingsTest, FileErrorsAreAllReportedWithTheirPlaces) {
  const std::string file = Write(
      "listen: nowhere\n"
      "lease_sm: 5\n"
      "quiet: perhaps\n"
      "lease_ms: [1, 2]\n"
      "quiet: true\n"
      "allow_prefix: {a: b}\n");
  Program program;
  EXPECT_EQ(program.Parse({"--config", file}), kExitData);
  EXPECT_EQ(program.err, file + ":1:9: listen: 'nowhere' has no port; write HOST:PORT\n" +      //
                             file + ":2:1: lease_sm: unknown key (did you mean lease_ms?)\n" +  //
                             file + ":3:8: quiet: 'perhaps' is not true or false\n" +           //
                             file + ":4:11: lease_ms: needs one value\n" +                      //
                             file + ":5:1: quiet: duplicate key; it is on line 3 already\n" +   //
                             file + ":6:15: allow_prefix: needs a value or a list of values\n");
}

TEST_F(SettingsTest, ValueOfTheWrongTypeInFileIsAnError) {
  const std::string file = Write("listen: a:1\nlease_ms: many\n");
  Program program;
  EXPECT_EQ(program.Parse({"--config", file}), kExitData);
  EXPECT_EQ(program.err, file + ":2:11: lease_ms: 'many' is not a whole number of 0 or more\n");
}

TEST_F(SettingsTest, KeyWithoutValueIsAnError) {
  const std::string file = Write("listen:\n");
  Program program;
  EXPECT_EQ(program.Parse({"--config", file}), kExitData);
  EXPECT_EQ(program.err, file + ":1:1: listen: needs one value\n");
}

TEST_F(SettingsTest, FileIsCheckedEvenWhereAFlagWins) {
  const std::string file = Write("lease_ms: [1, 2]\n");
  Program program;
  EXPECT_EQ(program.Parse({"--config", file, "--listen", "a:1", "--lease-ms", "5"}), kExitData);
}

TEST_F(SettingsTest, BrokenYamlIsAnErrorWithItsPlace) {
  const std::string file = Write("listen: a:1\nlease_ms: [1\n");
  Program program;
  EXPECT_EQ(program.Parse({"--config", file}), kExitData);
  EXPECT_THAT(program.err, StartsWith(file + ":3:1: "));
}

TEST_F(SettingsTest, YamlThatIsNoMappingOrCyclicIsRefused) {
  for (const char* yaml : {"- a\n", "just text\n", "allow_prefix: &a [*a]\n", "a: 1\n---\nb: 2\n", "? [a]\n: b\n"}) {
    const std::string file = Write(yaml);
    Program program;
    EXPECT_EQ(program.Parse({"--config", file}), kExitData) << yaml;
    EXPECT_THAT(program.err, StartsWith(file + ":")) << yaml;
  }
}

TEST_F(SettingsTest, MissingFileIsNamed) {
  Program program;
  EXPECT_EQ(program.Parse({"--listen", "a:1", "--config", dir_ + "/none.yaml"}), kExitData);
  EXPECT_EQ(program.err, "cannot read the configuration " + dir_ + "/none.yaml: No such file or directory\n");
}

TEST_F(SettingsTest, BadVariableIsNamed) {
  Set("TENFOLD_LEASE_MS", "soon");
  Program program;
  EXPECT_EQ(program.Parse({"--listen", "a:1"}), kExitUsage);
  EXPECT_EQ(program.err, "program: variable TENFOLD_LEASE_MS: 'soon' is not a whole number of 0 or more\n");
}

TEST_F(SettingsTest, FileMayHaveKeysOfOtherVerbsButNotUnknownOnes) {
  const std::string file = Write("size: 3\ncount: none\n");
  int size = 0;
  int count = 0;
  for (const bool known : {true, false}) {
    Program program;
    program.app()->get_option("--listen")->required(false);
    program.app()->add_subcommand("make")->add_option("--size", size);
    CLI::App* other = program.app()->add_subcommand("other");
    if (known) other->add_option("--count", count);
    EXPECT_EQ(program.Parse({"--config", file, "make"}), known ? std::nullopt : std::optional<int>(kExitData))
        << program.err;
  }
  EXPECT_EQ(size, 3);
}

TEST(CommandLineTest, MissingRequiredFlagIsNamed) {
  Program program;
  EXPECT_EQ(program.Parse({}), kExitUsage);
  EXPECT_EQ(program.err, "program: --listen is required; see program --help\n");
}

TEST(CommandLineTest, MistakesAreOneSentenceWithTheFlag) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"--listne", "a:1"}, "unknown flag --listne (did you mean --listen?)"},
      {{"--listen", "a:1", "extra"}, "unexpected argument extra"},
      {{"--listen"}, "--listen needs a value"},
      {{"--listen", "a:1", "--listen", "b:1"}, "--listen is given more than once"},
      {{"--listen", "a"}, "--listen: 'a' has no port; write HOST:PORT"},
      {{"--listen", "a:1", "--lease-ms", "-1"}, "--lease-ms: '-1' is not a whole number of 0 or more"},
      {{"--listen", "a:1", "--lease-ms", "010"}, "--lease-ms: '010' is not a whole number of 0 or more"},
      {{"--listen", "a:1", "--lease-ms", ""}, "--lease-ms: '' is not a whole number of 0 or more"},
      {{"--listen", "a:1", "--lease-ms", "4294967296"}, "--lease-ms: no valid value is 4294967296"},
  };
  for (const auto& [args, sentence] : cases) {
    Program program;
    EXPECT_EQ(program.Parse(args), kExitUsage);
    EXPECT_EQ(program.err, "program: " + sentence + "; see program --help\n");
    EXPECT_THAT(program.out, IsEmpty());
  }
}

TEST_F(SettingsTest, HelpAndVersionWinOverBadSettings) {
  const std::string file = Write("nonsense: 1\n");
  Program helped;
  EXPECT_EQ(helped.Parse({"--config", file, "--help"}), kExitOk);
  EXPECT_THAT(helped.out, HasSubstr("how long a lease lasts (default: 3000)"));
  EXPECT_THAT(helped.err, IsEmpty());
  Program versioned;
  EXPECT_EQ(versioned.Parse({"--config", file, "--version"}), kExitOk);
  EXPECT_THAT(versioned.out, MatchesRegex("program [0-9]+\\.[0-9]+\\.[0-9]+\n"));
}

TEST_F(SettingsTest, LogDirThatCannotBeMadeIsRefused) {
  Write("");
  Program program;
  EXPECT_EQ(program.Parse({"--listen", "a:1", "--log-dir", dir_ + "/config.yaml/logs"}), kExitRefused);
  EXPECT_THAT(program.err, StartsWith("program: cannot write logs to " + dir_));
}

TEST(DurationTest, ReadsEveryUnit) {
  EXPECT_EQ(*ParseDuration("250ms"), absl::Milliseconds(250));
  EXPECT_EQ(*ParseDuration("0s"), absl::ZeroDuration());
  EXPECT_EQ(*ParseDuration("5m"), absl::Minutes(5));
  EXPECT_EQ(*ParseDuration("999999999h"), absl::Hours(999999999));
  EXPECT_EQ(*ParseDuration("1.5s"), absl::Milliseconds(1500));
  EXPECT_EQ(*ParseDuration("1h30m"), absl::Minutes(90));
}

TEST(DurationTest, RefusesAnythingElse) {
  for (const char* text : {"", "0", "5", "s", "5 s", "-5s", "+5s", "1us", "1.5ms", "inf", "5S", "5d", "5ss", "5s\n"}) {
    EXPECT_FALSE(ParseDuration(text).ok()) << text;
  }
}

TEST(SuggestionTest, NamesTheClosestIfItIsClose) {
  const std::vector<std::string> names = {"submit", "status", "cancel"};
  EXPECT_EQ(DidYouMean("sumbit", names), " (did you mean submit?)");
  EXPECT_EQ(DidYouMean("statsu", names), " (did you mean status?)");
  EXPECT_EQ(DidYouMean("frobnicate", names), "");
  EXPECT_EQ(DidYouMean("x", {}), "");
}

// What the children of the death tests do.

void FailCheck() {
  InitLogging("process_test");
  CHECK(false) << "broken on purpose";
}

[[noreturn]] void Terminate() {
  InitLogging("process_test");
  std::terminate();
}

[[noreturn]] void LogAndDie(const std::string& dir) {
  Program program;
  program.Parse({"--listen", "a:1", "--log-dir", dir});
  InitLogging("process_test");
  LOG(INFO) << "a line that was logged";
  kill(getpid(), SIGKILL);
  std::abort();
}

[[noreturn]] void TakeSignal(int signal) {
  BlockSignals();
  kill(getpid(), signal);
  WaitForSignal();
  _exit(3);
}

[[noreturn]] void WriteToNobody() {
  BlockSignals();
  int ends[2];
  if (pipe(ends) != 0) _exit(1);
  close(ends[0]);
  _exit(write(ends[1], "x", 1) == -1 ? 3 : 1);
}

[[noreturn]] void StartWithoutInput() {
  close(STDIN_FILENO);
  CLI::App app("", "program");
  char name[] = "program";
  char* argv[] = {name, nullptr};
  ParseCommandLine(&app, 1, argv);
  _exit(open("/dev/null", O_RDONLY) > STDERR_FILENO ? 3 : 1);
}

class ProcessDeathTest : public testing::Test {
 protected:
  ProcessDeathTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST_F(ProcessDeathTest, FailedCheckEndsWithTheCodeOfABug) {
  EXPECT_EXIT(FailCheck(), testing::ExitedWithCode(kExitBug), "Check failed: false broken on purpose");
}

TEST_F(ProcessDeathTest, UncaughtExceptionEndsWithTheCodeOfABug) {
  EXPECT_EXIT(Terminate(), testing::ExitedWithCode(kExitBug), "an exception that nothing caught");
}

TEST_F(ProcessDeathTest, LogsGoToStderrAndToTheLogDirAtOnce) {
  const std::string dir = testing::TempDir() + "process_test_logs";
  std::filesystem::remove_all(dir);
  EXPECT_EXIT(LogAndDie(dir), testing::KilledBySignal(SIGKILL), "a line that was logged");
  std::string logged;
  for (const auto& entry : std::filesystem::directory_iterator(dir)) {
    std::ifstream file(entry.path());
    logged.append(std::istreambuf_iterator<char>(file), {});
  }
  EXPECT_THAT(logged, HasSubstr("a line that was logged"));
  std::filesystem::remove_all(dir);
}

TEST_F(ProcessDeathTest, SignalsWaitToBeTaken) {
  EXPECT_EXIT(TakeSignal(SIGINT), testing::ExitedWithCode(3), "");
  EXPECT_EXIT(TakeSignal(SIGTERM), testing::ExitedWithCode(3), "");
}

TEST_F(ProcessDeathTest, PipeThatNobodyReadsIsNoSignal) { EXPECT_EXIT(WriteToNobody(), testing::ExitedWithCode(3), ""); }

TEST_F(ProcessDeathTest, ClosedStandardStreamsAreNotTakenByOtherFiles) {
  EXPECT_EXIT(StartWithoutInput(), testing::ExitedWithCode(3), "");
}

}  // namespace
}  // namespace tenfold
