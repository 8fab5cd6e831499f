// Every key that a configuration may hold, one line a key: schema_*.cpp. All else in this room
// (reading, writing, resume, what is still to come) walks this table.
#pragma once

#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/config.h"
#include "config/value.h"

namespace dbps::config {

// Whether a resumed run may have another value. kFixed: what the run computes depends on it.
enum class Resume { kFixed, kFree };

struct Key {
  std::string table;  // "data"; "task" for the keys of each [[task]]
  std::string name;
  std::string allowed;  // "a whole number from 0 on"
  Resume resume = Resume::kFixed;
  std::string doc;

  // Bound to a field of the options; `task` is the index in Config::tasks and ignored elsewhere.
  // `set` returns why it refuses ("must be ..."), or "".
  std::function<std::string(Config&, size_t task, const Value&)> set;
  std::function<Value(const Config&, size_t task)> get;

  // A value that means "resolve it at the start of the run": no conflict on resume.
  std::optional<Value> automatic;
  // A file or folder: a relative one is looked for beside the configuration, then here.
  bool is_path = false;
  // Foreseen but not built yet: the whole key (only its default is accepted), or some values of it.
  bool planned = false;
  std::vector<std::string> planned_values;

  std::string full_name() const { return table + "." + name; }
};

// In the order in which they are written. Built on first use; any thread may read.
const std::vector<Key>& schema();
// The tables, in that order, without repeats.
const std::vector<std::string>& tables();
const Key* find_key(const std::string& table, const std::string& name);

// One of the kinds that a registry of another room knows by name. A kind that has keys of its own
// lists them in a table [<table>.<kind>] by `own_keys`.
struct Kind {
  const char* table;  // "selection", "encoder" or "aggregator"
  const char* name;
  bool built;
  void (*own_keys)(std::vector<Key>&);  // nullptr: none
};
const std::vector<Kind>& kinds();

// What each file of the schema adds.
void add_run_keys(std::vector<Key>& keys);          // experiment
void add_data_keys(std::vector<Key>& keys);         // data, augment, drop
void add_model_keys(std::vector<Key>& keys);        // selection, encoder, aggregator, task
void add_training_keys(std::vector<Key>& keys);     // optimizer, training, validation, checkpoint
void add_distributed_keys(std::vector<Key>& keys);  // distributed, report

// What one kind alone has.
void add_feature_encoder_keys(std::vector<Key>& keys);  // encoder.features
void add_gated_attention_keys(std::vector<Key>& keys);  // aggregator.gated_attention

// Gives a key its value `idle`, at which it does nothing. Throws ConfigError, "<place>: <key> =
// <value> <why>: leave it out", where it was written with another.
void leave_idle(Config& config, const Key& key, const Value& idle, const std::string& why);

// With encoder.kind "features": switches off the augmentation that is on by default. Throws
// ConfigError for a key of [augment] or about pixels that was written.
void leave_out_pixels(Config& config);

// File and line of a key, or of the whole; "": nobody knows.
using Where = std::function<std::string(const std::string& key)>;

// Where the keys of `config`, which it borrows, were written.
Where written_in(const Config& config);

// Throws ConfigError, "<where>: <key> <why>".
[[noreturn]] void refuse(const Where& where, const std::string& key, const std::string& why);

// The sizes that pictures need, and tiles bring along. Throws ConfigError.
void check_sizes(const Config& config, const Where& where);

// The homes that the batch is divided among. Throws ConfigError.
void check_homes(const Config& config, const Where& where);

// What single keys cannot see: a patch larger than the picture, a second buffer for a method
// without one, what is missing. Throws ConfigError.
void check_together(const Config& config, const Where& where);

}  // namespace dbps::config
