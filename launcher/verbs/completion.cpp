// `dbps completion SHELL`
#include "launcher/completion.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "launcher/verbs/verbs.h"

namespace dbps::launcher {

void add_completion(CLI::App& app, Context&) {
  auto shell = std::make_shared<std::string>();
  app.description("Print what completes dbps on a shell's command line.");
  app.add_option("SHELL", *shell, "bash or zsh")->required()->check(CLI::IsMember({"bash", "zsh"}));
  app.footer(
      "Examples:\n"
      "  source <(dbps completion bash)\n"
      "  source <(dbps completion zsh)");
  app.callback([shell, &app] {
    const CLI::App& program = *app.get_parent();
    fmt::print("{}", *shell == "zsh" ? zsh_completion(program) : bash_completion(program));
  });
}

}  // namespace dbps::launcher
