#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "config/schema.h"

namespace dbps::config {
namespace {

std::vector<std::string> task_names(const Config& config) {
  std::vector<std::string> names;
  for (const model::TaskOptions& task : config.tasks) names.push_back(task.name);
  return names;
}

// A key as a person writes it, for one of the tasks where it is a task's.
std::string written_name(const Config& config, const Key& key, size_t task) {
  if (key.table != "task") return key.full_name();
  return fmt::format("task.{}.{}", config.tasks[task].name, key.name);
}

// Calls visit(key, task) for every key of `config`, a task's keys for each task.
template <typename Visit>
void for_each_key(const Config& config, Visit visit) {
  for (const Key& key : schema()) {
    if (key.planned) continue;
    const size_t repeats = key.table == "task" ? config.tasks.size() : 1;
    for (size_t task = 0; task < repeats; ++task) visit(key, task);
  }
}

bool resolves_later(const Key& key, const Value& value) {
  return key.automatic && *key.automatic == value;
}

void replace_all(std::string& text, const std::string& from, const std::string& to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

}  // namespace

std::string expand_name(const Config& config, const std::string& job) {
  std::string name = config.experiment.name;
  if (job.empty() && name.find("{job}") != std::string::npos) {
    throw ConfigError(fmt::format(
        "experiment.name = \"{}\" holds {{job}}, but no Slurm gave this process a job number: give "
        "another name",
        name));
  }
  replace_all(name, "{seed}", std::to_string(config.experiment.seed));
  replace_all(name, "{fold}", std::to_string(config.data.fold));
  replace_all(name, "{job}", job);
  return name;
}

void check_key(const Config& config, const std::string& key) {
  std::vector<std::string> names = {"task"};
  for_each_key(config, [&](const Key& known, size_t task) {
    names.push_back(written_name(config, known, task));
  });
  if (std::find(names.begin(), names.end(), key) != names.end()) return;
  const std::string near = nearest(key, names);
  throw ConfigError(fmt::format("unknown key {}{}", key,
                                near.empty() ? "" : fmt::format("; did you mean {}?", near)));
}

void keep_resolved(const Config& before, Config& now) {
  const bool same_tasks = task_names(before) == task_names(now);
  for_each_key(now, [&](const Key& key, size_t task) {
    if (key.table == "task" && !same_tasks) return;
    if (resolves_later(key, key.get(now, task))) key.set(now, task, key.get(before, task));
  });
}

std::vector<Difference> resume_conflicts(const Config& before, const Config& now,
                                         const std::vector<std::string>& accepted) {
  for (const std::string& key : accepted) check_key(now, key);
  const auto is_accepted = [&](const std::string& key) {
    return std::find(accepted.begin(), accepted.end(), key) != accepted.end();
  };
  std::vector<Difference> conflicts;
  const bool same_tasks = task_names(before) == task_names(now);
  if (!same_tasks && !is_accepted("task")) {
    conflicts.push_back({"task", join_words(task_names(before)), join_words(task_names(now))});
  }
  for_each_key(now, [&](const Key& key, size_t task) {
    if (key.resume == Resume::kFree || (key.table == "task" && !same_tasks)) return;
    const Value was = key.get(before, task);
    const Value is = key.get(now, task);
    const std::string name = written_name(now, key, task);
    if (was == is || resolves_later(key, is) || is_accepted(name)) return;
    conflicts.push_back({name, to_toml(was), to_toml(is)});
  });
  return conflicts;
}

}  // namespace dbps::config
