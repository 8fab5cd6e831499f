#include "report/run_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "report/page.h"
#include "report/predictions.h"

namespace dbps::report {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

namespace {

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

double number(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number() ? found->get<double>() : kMissing;
}

std::string text(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

Json child(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_object() ? *found : Json::object();
}

// JSON has no NaN: writers put null in its place.
std::map<std::string, double> numbers(const Json& object) {
  std::map<std::string, double> values;
  if (!object.is_object()) return values;
  for (const auto& [key, value] : object.items()) {
    if (value.is_number()) values[key] = value.get<double>();
  }
  return values;
}

ConfusionMatrix parse_confusion(const Json& value) {
  ConfusionMatrix matrix;
  try {
    value.at("classes").get_to(matrix.classes);
    value.at("counts").get_to(matrix.counts);
  } catch (const Json::exception&) {
    return {};
  }
  const size_t classes = matrix.classes.size();
  const auto whole = [&](const auto& row) { return row.size() == classes; };
  if (!whole(matrix.counts) || !std::all_of(matrix.counts.begin(), matrix.counts.end(), whole)) {
    return {};
  }
  return matrix;
}

std::vector<CalibrationBin> parse_calibration(const Json& value) {
  std::vector<CalibrationBin> bins;
  for (const Json& bin : value) {
    const double pictures = number(bin, "pictures");
    if (!(pictures >= 1)) return {};
    bins.push_back(
        {static_cast<int64_t>(pictures), number(bin, "confidence"), number(bin, "accuracy")});
  }
  return bins;
}

StepEvent parse_step(const Json& event) {
  return {number(event, "epoch"),
          number(event, "step"),
          number(event, "loss"),
          number(event, "learning_rate"),
          number(event, "images"),
          number(event, "seconds"),
          number(event, "device_bytes_peak"),
          number(event, "read_wait"),
          numbers(child(event, "phases"))};
}

EvaluationEvent parse_evaluation(const Json& event) {
  EvaluationEvent evaluation{number(event, "epoch"),
                             number(event, "step"),
                             number(event, "loss"),
                             text(event, "split"),
                             {},
                             {},
                             {}};
  const Json tasks = child(event, "tasks"), confusion = child(event, "confusion"),
             calibration = child(event, "calibration");
  for (const auto& [task, metrics] : tasks.items()) {
    evaluation.tasks[task] = numbers(metrics);
  }
  for (const auto& [task, value] : confusion.items()) {
    ConfusionMatrix matrix = parse_confusion(value);
    if (!matrix.classes.empty()) evaluation.confusion[task] = std::move(matrix);
  }
  for (const auto& [task, value] : calibration.items()) {
    if (value.is_array()) evaluation.calibration[task] = parse_calibration(value);
  }
  return evaluation;
}

void add_event(const Json& event, Run& run) {
  const std::string kind = text(event, "event");
  // The last checkpoint is committed after the end; a run that is made longer goes on with steps.
  if (kind == "end" || kind == "step") run.ended = kind == "end";
  if (kind == "step") run.steps.push_back(parse_step(event));
  if (kind == "evaluation") run.evaluations.push_back(parse_evaluation(event));
  if (kind == "resume") ++run.resumes;
  if (kind == "end") {
    const Json best = child(event, "best");
    run.seconds = number(event, "seconds");
    run.best_epoch = number(best, "epoch");
    run.best_value = number(best, "value");
    run.best_metric = text(best, "metric");
  }
}

void read_metrics(const fs::path& path, Run& run) {
  int64_t unreadable = 0;
  for (const std::string& line : split(read_text_file(path), '\n')) {
    if (trim(line).empty()) continue;
    const Json event = Json::parse(line, nullptr, false);
    if (event.is_object()) {
      add_event(event, run);
    } else {
      ++unreadable;
    }
  }
  if (unreadable > 0) {
    run.remarks.push_back(fmt::format("metrics.jsonl: {} unreadable line{} left out", unreadable,
                                      unreadable == 1 ? "" : "s"));
  }
}

std::string scalar_text(const Json& value) {
  return value.is_string() ? value.get<std::string>()
                           : value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

void flatten(const std::string& key, const Json& value, Run& run) {
  if (value.is_object()) {
    for (const auto& [name, item] : value.items()) {
      flatten(key.empty() ? name : key + "." + name, item, run);
    }
    return;
  }
  const bool plain_list =
      value.is_array() &&
      std::none_of(value.begin(), value.end(), [](auto& item) { return item.is_structured(); });
  if (value.is_array() && !plain_list) {
    for (size_t i = 0; i < value.size(); ++i) flatten(fmt::format("{}.{}", key, i), value[i], run);
    return;
  }
  std::string words;
  if (plain_list) {
    for (const Json& item : value) words += (words.empty() ? "" : ", ") + scalar_text(item);
  } else {
    words = scalar_text(value);
  }
  if (!words.empty()) run.provenance.emplace_back(key, words);
}

void read_provenance(const fs::path& path, Run& run) {
  const Json document = Json::parse(read_text_file(path), nullptr, false);
  if (document.is_object()) {
    flatten("", document, run);
  } else {
    run.remarks.push_back("provenance.json could not be read");
  }
}

int64_t epoch_in(const std::string& name) {
  static const std::regex kEpoch("epoch[-_ =]?([0-9]{1,9})", std::regex::icase);
  std::smatch match;
  return std::regex_search(name, match, kEpoch) ? std::stoll(match[1]) : -1;
}

void find_maps(const fs::path& folder, Run& run) {
  std::error_code missing;
  int64_t latest = -1;
  std::vector<std::pair<int64_t, fs::path>> found;
  for (const auto& entry : fs::recursive_directory_iterator(folder, missing)) {
    const std::string extension = to_lower(entry.path().extension().string());
    if (extension != ".png" && extension != ".jpg" && extension != ".jpeg") continue;
    const int64_t epoch = epoch_in(entry.path().lexically_relative(folder).string());
    latest = std::max(latest, epoch);
    found.emplace_back(epoch, entry.path());
  }
  std::sort(found.begin(), found.end());
  run.maps_epoch = latest;
  for (const auto& [epoch, path] : found) {
    if (epoch == latest || epoch < 0) run.maps.push_back(path);
  }
}

void find_predictions(const fs::path& folder, Run& run) {
  std::error_code missing;
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder, missing)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("predictions-") && name.ends_with(".csv")) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  for (const fs::path& path : files) {
    try {
      for (Predictions& task : read_predictions(path)) run.predictions.push_back(std::move(task));
    } catch (const DataError& error) {
      run.remarks.emplace_back(error.what());
    }
  }
}

// A file of one task does not name it; the events do.
void name_predictions(Run& run) {
  std::set<std::string> tasks;
  for (const EvaluationEvent& event : run.evaluations) {
    for (const auto& [task, metrics] : event.tasks) tasks.insert(task);
  }
  if (tasks.size() != 1) return;
  for (Predictions& predictions : run.predictions) {
    if (predictions.task.empty()) predictions.task = *tasks.begin();
  }
}

}  // namespace

std::string title_of(const Predictions& predictions) {
  const std::string task = predictions.task.empty() ? "" : predictions.task + ", ";
  return task + predictions.split + " split";
}

std::string title_of(const EvaluationEvent& event, const std::string& task) {
  return fmt::format("{}, {} split, epoch {}", task, event.split, number_text(event.epoch));
}

Run read_run(const fs::path& folder) {
  Run run;
  run.seconds = run.best_epoch = run.best_value = kMissing;
  const fs::path absolute = fs::absolute(folder).lexically_normal();
  run.name = (absolute.has_filename() ? absolute : absolute.parent_path()).filename().string();
  bool any = false;
  const auto when_there = [&](const char* name, const auto& read) {
    const fs::path path = folder / name;
    std::error_code missing;
    if (!fs::is_regular_file(path, missing)) return;
    any = true;
    try {
      read(path);
    } catch (const DataError& error) {
      run.remarks.emplace_back(error.what());
    }
  };
  when_there("config.toml", [&](const fs::path& path) { run.config = read_text_file(path); });
  when_there("provenance.json", [&](const fs::path& path) { read_provenance(path, run); });
  when_there("metrics.jsonl", [&](const fs::path& path) { read_metrics(path, run); });
  if (!any) {
    throw DataError(
        fmt::format("{} is no run's folder: it holds neither config.toml nor "
                    "provenance.json nor metrics.jsonl",
                    folder.string()));
  }
  find_predictions(folder, run);
  name_predictions(run);
  find_maps(folder / "maps", run);
  return run;
}

}  // namespace dbps::report
