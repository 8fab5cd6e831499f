#include "launcher/completion.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <vector>

#include "base/text.h"

namespace dbps::launcher {
namespace {

std::vector<std::string> names_of(const CLI::Option& option) {
  std::vector<std::string> names;
  for (const std::string& name : option.get_snames()) names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) names.push_back("--" + name);
  return names;
}

// CLI::IsMember shows its choices only in the option's type: "TEXT:{a,b}".
std::string choices_of(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  const size_t open = type.find('{'), close = type.find('}');
  if (open == std::string::npos || close == std::string::npos) return "";
  return fmt::format("{}", fmt::join(split(type.substr(open + 1, close - open - 1), ','), " "));
}

std::vector<std::string> option_names(const CLI::App& app) {
  std::vector<std::string> all;
  for (const CLI::Option* option : app.get_options()) {
    for (std::string& name : names_of(*option)) all.push_back(std::move(name));
  }
  return all;
}

// The lines of two `case`s: what follows an option with a value, and what stands in an argument's
// place.
struct Values {
  std::string after_option, argument;
};

void add_values(const CLI::App& app, const std::string& verb, Values& values) {
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_items_expected_max() == 0) continue;
    const std::string choices = choices_of(*option);
    for (const std::string& name : names_of(*option)) {
      values.after_option +=
          fmt::format("    {}:{}) words=\"{}\" options=\"\" ;;\n", verb, name, choices);
    }
    if (option->get_positional() && !choices.empty()) {
      values.argument += fmt::format("    {}) words=\"{}\" ;;\n", verb, choices);
    }
  }
}

// {0} program, {1} verbs, {2} options of all verbs, {3} options by verb, {4} arguments' choices,
// {5} options' values
constexpr const char* kBash = R"(# Completion for {0}; `{0} completion` prints it.
_{0}() {{
  local word="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}"
  local verb="" words="" options="{2}" i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case " {1} " in *" ${{COMP_WORDS[i]}} "*) verb="${{COMP_WORDS[i]}}"; break ;; esac
  done
  case "$verb" in
    "") words="{1}" ;;
{3}  esac
  case "$verb" in
{4}  esac
  case "$verb:$before" in
{5}  esac
  case "$word" in -*) words="$options" ;; esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -o bashdefault -o default -F _{0} {0}
)";

}  // namespace

std::string bash_completion(const CLI::App& app) {
  std::vector<std::string> verbs;
  std::string options;
  Values values;
  for (const CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; })) {
    verbs.push_back(verb->get_name());
    options += fmt::format("    {}) options=\"$options {}\" ;;\n", verb->get_name(),
                           fmt::join(option_names(*verb), " "));
    add_values(*verb, verb->get_name(), values);
  }
  return fmt::format(fmt::runtime(kBash), app.get_name(), fmt::join(verbs, " "),
                     fmt::join(option_names(app), " "), options, values.argument,
                     values.after_option);
}

std::string zsh_completion(const CLI::App& app) {
  return "autoload -Uz compinit bashcompinit && compinit && bashcompinit\n" + bash_completion(app);
}

}  // namespace dbps::launcher
