// `dbps train`: from a configuration to a finished run folder.
#pragma once

#include <string>
#include <vector>

#include "config/config.h"
#include "distributed/world.h"

namespace dbps::training {

struct TrainRequest {
  config::Config config;            // as loaded
  std::string resume = "auto";      // "auto" | "never" | a checkpoint's folder
  bool fresh = false;               // a new run beside a finished one: NAME-2
  std::vector<std::string> accept;  // keys that a resumed run may change this time
  bool dry_run = false;
  std::string program_version;  // for provenance, as is the command line
  std::string command_line;
  const char** phase = nullptr;  // kept at the name of the phase under way, when given
};

// Collective. Returns the run's folder; throws as the rooms do, Stopped after a signal.
std::string train(const TrainRequest& request, distributed::World& world);

}  // namespace dbps::training
