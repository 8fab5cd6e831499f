// Completion scripts for shells, made from the command line's own description.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace dbps::launcher {

// A script for bash that completes the subcommands, options and named choices of `app`; files are
// completed everywhere else.
std::string bash_completion(const CLI::App& app);

// The same for zsh, by way of its bashcompinit.
std::string zsh_completion(const CLI::App& app);

}  // namespace dbps::launcher
