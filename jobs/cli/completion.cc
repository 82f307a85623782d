// The verb completion: a script for bash, made from the verbs and flags that the program has.
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "common/process/process.h"
#include "fmt/format.h"
#include "jobs/cli/output.h"
#include "jobs/cli/verbs.h"

namespace tenfold {
namespace {

std::vector<const CLI::App*> Verbs(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

std::string Flags(const CLI::App& app) {
  std::vector<std::string> flags;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) flags.push_back("--" + name);
  }
  return absl::StrJoin(flags, " ");
}

// Lists the flags of `app` that take a value, as the word after such a flag is no verb.
void AddFlagsWithValue(const CLI::App& app, std::vector<std::string>* flags) {
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_items_expected_max() == 0) continue;
    for (const std::string& name : option->get_lnames()) flags->push_back("--" + name);
    for (const std::string& name : option->get_snames()) flags->push_back("-" + name);
  }
}

std::string BashScript(const CLI::App& app) {
  const std::string name = app.get_name();
  std::vector<std::string> verbs;
  std::vector<std::string> with_value;
  std::string cases;
  AddFlagsWithValue(app, &with_value);
  for (const CLI::App* verb : Verbs(app)) {
    verbs.push_back(verb->get_name());
    cases += fmt::format("    {}) words=\"$words {}\" ;;\n", verb->get_name(), Flags(*verb));
  }
  return fmt::format(R"(# Completion of {0} for bash: source <({0} completion bash)
_{0}() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} verb= words='{2}' i
  for ((i = 1; i < COMP_CWORD; ++i)); do
    case ${{COMP_WORDS[i]}} in
      {3}) ((++i)) ;;
      -*) ;;
      *) verb=${{COMP_WORDS[i]}}; break ;;
    esac
  done
  case $before in
    -o|--output) COMPREPLY=($(compgen -W 'text json' -- "$word")); return ;;
    {3}) return ;;
  esac
  case $verb in
    '') words="{1} $words" ;;
    completion) words="bash $words" ;;
{4}  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -o default -F _{0} {0}
)",
                     name, absl::StrJoin(verbs, " "), Flags(app), absl::StrJoin(with_value, "|"), cases);
}

}  // namespace

void AddCompletion(CLI::App* app, const CliGlobals*, RunVerb* run) {
  CLI::App* verb = app->add_subcommand("completion", "print a script that completes verbs and flags in a shell");
  auto shell = std::make_shared<std::string>();
  verb->add_option("SHELL", *shell, "bash: then run  source <(tenfold completion bash)")
      ->required()
      ->check([](const std::string& name) { return name == "bash" ? "" : "'" + name + "' is no known shell; write bash"; });
  // CLI11 keeps a reference to the shell's name, so that lives as long as the callback.
  verb->callback([app, run, shell] {
    *run = [app] {
      PrintData(BashScript(*app));
      return kExitOk;
    };
  });
}

}  // namespace tenfold
