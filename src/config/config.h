// A run's configuration: TOML into the rooms' option structs, checked.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "checkpoint/options.h"
#include "data/options.h"
#include "distributed/options.h"
#include "model/options.h"
#include "optimization/options.h"
#include "report/options.h"
#include "selection/options.h"
#include "training/options.h"

namespace dbps::config {

struct Config {
  training::ExperimentOptions experiment;
  data::DataOptions data;
  data::AugmentOptions augment;
  data::DropOptions drop;
  selection::SelectionOptions selection;
  model::EncoderOptions encoder;
  model::AggregatorOptions aggregator;
  std::vector<model::TaskOptions> tasks;
  optimization::OptimizerOptions optimizer;
  training::TrainingOptions training;
  training::ValidationOptions validation;
  checkpoint::CheckpointOptions checkpoint;
  distributed::DistributedOptions distributed;
  report::ReportOptions report;

  // Of each key that a file or an override wrote, where: "data.height" -> "run.toml:4".
  std::map<std::string, std::string> places;
};

// Reads a file, its `base` chain, then `overrides` ("table.key=value", value as TOML or a bare
// word). Throws ConfigError with file, line and the nearest known key or the allowed range.
//
// A file's [[task]] tables replace those of its base as a whole; an override reaches one as
// "task.<name>.<key>". Of a relative path, the file's own folder is searched first, then the
// working folder; what is found becomes absolute, what is not stays as written (`experiment.output`
// is always relative to the working folder). `name` of parse() stands for the file.
Config load(const std::filesystem::path& path, const std::vector<std::string>& overrides);
Config parse(const std::string& toml, const std::string& name,
             const std::vector<std::string>& overrides);

// A configuration that came from no file a person wrote (a model's card), with overrides on top.
// Messages name the override at fault, or all of them where keys do not go together.
Config with_overrides(const Config& config, const std::vector<std::string>& overrides);

// What only the store tells. Of kind images: throws ConfigError where a size is missing. Of kind
// tiles, which have their size: fills in data.patch_size and data.resize = "none", switches off
// what concerns whole pictures, and throws ConfigError for a key of that sort that was written.
void fit_pictures(const Config& config);
void fit_tiles(Config& config, int64_t tile_size);

// What only the machine tells: fills in data.stage_homes for stores staged to so many places:
// nodes, or the nodes of a patch group. Throws ConfigError where homes, places, batch and
// micro-batches do not divide.
void fit_homes(Config& config, int64_t places);

// The whole configuration as TOML that load() reads back to the same. `comments`: what each key
// means, its range, and whether a resumed run may change it (`train --print-config`).
std::string to_toml(const Config& config, bool comments);

// experiment.name with {seed}, {fold} and {job} filled in. Throws ConfigError for {job} without a
// job.
std::string expand_name(const Config& config, const std::string& job);

// Whether a key or "task.<name>.<key>" is known: throws ConfigError with the nearest when not.
void check_key(const Config& config, const std::string& key);

// Values of `now` that mean "resolve at the start" (threads = 0, device = "auto") become those that
// `before`, a resolved configuration, resolved them to. Call before resume_conflicts.
void keep_resolved(const Config& before, Config& now);

// A change that a resume refuses: key, value then, value now.
struct Difference {
  std::string key;
  std::string before;
  std::string now;
};
// Keys that differ and that a resumed run may not change, except those in `accepted` ("task"
// accepts other tasks). A value of `now` that means "resolve at the start" does not differ from
// any. Throws ConfigError when `accepted` names a key that does not exist.
std::vector<Difference> resume_conflicts(const Config& before, const Config& now,
                                         const std::vector<std::string>& accepted);

// Keys and values that the schema foresees and this program does not do yet
// ("data.placement").
std::vector<std::string> unsupported();

}  // namespace dbps::config
