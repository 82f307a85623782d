#include "jobs/cli/cli.h"

#include <csignal>
#include <optional>

#include "common/process/process.h"
#include "common/text/address.h"
#include "glog/logging.h"
#include "jobs/cli/output.h"
#include "jobs/cli/verbs.h"

namespace tenfold {
namespace {

void AddVerbs(CLI::App* app, const CliGlobals* globals, RunVerb* run) {
  AddValidate(app, globals, run);
  AddExplain(app, globals, run);
  AddTry(app, globals, run);
  AddSubmit(app, globals, run);
  AddList(app, globals, run);
  AddStatus(app, globals, run);
  AddTop(app, globals, run);
  AddVerify(app, globals, run);
  AddPause(app, globals, run);
  AddResume(app, globals, run);
  AddCancel(app, globals, run);
  AddWorkers(app, globals, run);
  AddSql(app, globals, run);
  AddProduce(app, globals, run);
  AddDev(app, globals, run);
  AddCompletion(app, globals, run);
}

}  // namespace

int RunCli(int argc, char** argv) {
  CLI::App app(
      "Tenfold folds Kafka topics into an exact, live top ten. This program hands jobs to a driver, shows their results\n"
      "and checks them.",
      "tenfold");
  CliGlobals globals;
  app.add_option("--driver", globals.driver, "where tenfold-driver listens")
      ->type_name("HOST:PORT")
      ->check(CheckPeerAddress);
  app.require_subcommand(1);
  app.fallthrough();
  RunVerb run;
  AddVerbs(&app, &globals, &run);
  for (CLI::App* verb : app.get_subcommands([](CLI::App*) { return true; })) {
    verb->group("Verbs");
    if (verb->get_footer().empty()) verb->footer("tenfold --help lists the flags that all verbs have, --driver among them.");
  }
  if (const std::optional<int> exit_code = ParseCommandLine(&app, argc, argv)) return *exit_code;
  // The CLI reports problems in sentences on stderr; log lines are for bugs.
  FLAGS_minloglevel = google::GLOG_ERROR;
  InitLogging("tenfold");
  // Makes writes to a closed pipe fail, which EndOutput handles.
  std::signal(SIGPIPE, SIG_IGN);
  return EndOutput(run());
}

}  // namespace tenfold
