// What every verb gets from main, and how main finds it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "distributed/world.h"

namespace CLI {
class App;
}

namespace dbps::launcher {

struct Context {
  std::string command_line;  // for provenance
  bool json = false;         // results as JSON on standard output
  bool quiet = false;
  bool verbose = false;
  distributed::World* world = nullptr;  // owned by main; set before a verb runs
};

// Adds a verb's options to `app` and sets its callback; the callback throws on failure. `context`
// outlives the app. One function a file in launcher/verbs/, listed once in main.cpp.
using AddVerb = void (*)(CLI::App& app, Context& context);

}  // namespace dbps::launcher
