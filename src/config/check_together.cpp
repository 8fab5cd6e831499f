#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "config/schema.h"

namespace dbps::config {
namespace {

void check_pictures(const Config& config, const Where& where) {
  const data::DataOptions& data = config.data;
  const selection::Method method = selection::method_of(config.selection);
  if (data.store.empty()) refuse(where, "data.store", "is missing: the folder of a store");
  if (model::reads_vectors(config.encoder)) {
    if (!method.takes_whole_picture) return;
    refuse(where, "selection.method",
           fmt::format("= \"{}\" takes a picture whole, and encoder.kind = \"features\" has none: "
                       "give \"all\" for every vector",
                       method.name));
  }
  if (!data.mean.empty() && data.mean.size() != static_cast<size_t>(config.encoder.channels)) {
    refuse(where, "data.mean",
           fmt::format("must have encoder.channels = {} numbers", config.encoder.channels));
  }
  if (!data.std.empty() && data.std.size() != static_cast<size_t>(config.encoder.channels)) {
    refuse(where, "data.std",
           fmt::format("must have encoder.channels = {} numbers", config.encoder.channels));
  }
  const int64_t longest = std::max(data.height, data.width);
  if (longest > 0) check_sizes(config, where);  // without any, only the store tells
  if (data.resize == data::Resize::kLongest && longest == 0) {
    refuse(where, "data.height", "or data.width must be at least 1 with data.resize = \"longest\"");
  }
  if (method.takes_whole_picture) {
    if (data.patch_size == 0) return;
    refuse(where, "data.patch_size",
           fmt::format("= {} must be 0 with selection.method = \"{}\", which cuts no patches",
                       data.patch_size, method.name));
  }
  const bool exact = data.resize == data::Resize::kExact && longest > 0;
  if (exact && (data.patch_size > data.height || data.patch_size > data.width)) {
    refuse(where, "data.patch_size",
           fmt::format("= {} is larger than the picture (data.height = {}, data.width = {})",
                       data.patch_size, data.height, data.width));
  }
  if (data.resize == data::Resize::kLongest && data.patch_size > longest) {
    refuse(where, "data.patch_size",
           fmt::format("= {} is larger than the longest side, {}", data.patch_size, longest));
  }
}

void check_erasing(const Config& config, const Where& where) {
  const data::Erase erase = config.augment.erase;
  const double ratio = config.drop.erase_ratio;
  if (erase == data::Erase::kNone) {
    if (ratio > 0) {
      refuse(where, "drop.erase_ratio",
             fmt::format("= {} needs augment.erase = \"random\" or \"patches\"", ratio));
    }
    return;
  }
  if (ratio == 0) refuse(where, "drop.erase_ratio", "must be above 0 with augment.erase");
  if (config.drop.ratio != "0") {
    refuse(where, "drop.ratio",
           fmt::format("= {} must be 0 with augment.erase, which stands in its place",
                       config.drop.ratio));
  }
  if (model::reads_vectors(config.encoder)) {
    refuse(where, "augment.erase",
           "needs pixels: with encoder.kind = \"features\" leave vectors out by drop.ratio");
  }
  const selection::Method method = selection::method_of(config.selection);
  if (erase == data::Erase::kPatches && method.takes_whole_picture) {
    refuse(where, "augment.erase",
           fmt::format("= \"patches\" needs patches: with selection.method = \"{}\" use \"random\"",
                       method.name));
  }
}

void check_selection(const Config& config, const Where& where) {
  const selection::SelectionOptions& selection = config.selection;
  const selection::Method method = selection::method_of(selection);
  if (!method.keeps_every_patch && selection.salient == 0) {
    refuse(where, "selection.salient",
           fmt::format("(M) must be a whole number from 1 on with selection.method = \"{}\"",
                       selection.method));
  }
  if (!method.keeps_sub_salient && selection.sub_salient > 0) {
    refuse(where, "selection.sub_salient",
           fmt::format(
               "(S) = {} must be 0 with selection.method = \"{}\", which keeps no second buffer",
               selection.sub_salient, selection.method));
  }
}

void check_patch_group(const Config& config, const Where& where) {
  const selection::SelectionOptions& selection = config.selection;
  if (config.distributed.patch_group == 1 || !selection::method_of(selection).scans) return;
  if (selection.ranking == selection::Ranking::kGlobal) return;
  refuse(where, "distributed.patch_group",
         fmt::format("= {} needs selection.ranking = \"global\": the others depend on the order in "
                     "which one rank sees all patches",
                     config.distributed.patch_group));
}

std::string methods_without_scan() {
  std::vector<std::string> names;
  for (const selection::Method& method : selection::kMethods) {
    if (!method.scans) names.push_back(fmt::format("\"{}\"", method.name));
  }
  return join_words(names);
}

// What a kind of aggregator asks of the selection, and does not do.
void check_aggregator(const Config& config, const Where& where) {
  const std::string& kind = config.aggregator.kind;
  if (kind == "mean" && selection::method_of(config.selection).scans) {
    refuse(where, "aggregator.kind",
           fmt::format("= \"mean\" gives no scores, which selection.method = \"{}\" ranks by; {} "
                       "need none",
                       config.selection.method, methods_without_scan()));
  }
  if (kind == "top_mil" && config.selection.sub_salient > 0) {
    refuse(where, "aggregator.kind",
           "= \"top_mil\" has no use for sub-salient patches: use selection.method = \"ips\"");
  }
  const bool encodes = kind == "dual_attention" || kind == "cross_attention";
  if (config.aggregator.position_encoding && !encodes) {
    refuse(where, "aggregator.position_encoding",
           fmt::format("must be false with aggregator.kind = \"{}\", which has none", kind));
  }
}

void check_model(const Config& config, const Where& where) {
  const model::AggregatorOptions& aggregator = config.aggregator;
  for (const auto& [key, width] : {std::pair{"aggregator.key_width", aggregator.key_width},
                                   {"aggregator.value_width", aggregator.value_width}}) {
    if (aggregator.heads * width > 65536) {
      refuse(where, key,
             fmt::format("= {} times aggregator.heads = {} must be at most 65536", width,
                         aggregator.heads));
    }
  }
  if (aggregator.tokens > 1 && aggregator.tokens < static_cast<int64_t>(config.tasks.size())) {
    refuse(where, "aggregator.tokens",
           fmt::format("= {} must be 0, 1 or at least one a task ({})", aggregator.tokens,
                       config.tasks.size()));
  }
  if (config.training.reset_heads && config.training.initial_weights.empty()) {
    refuse(where, "training.reset_heads", "needs training.initial_weights");
  }
}

void check_task(const model::TaskOptions& task, const Where& where) {
  const std::string prefix = "task." + task.name + ".";
  const int64_t count =
      task.classes.empty() ? task.num_classes : static_cast<int64_t>(task.classes.size());
  if (task.kind == model::TaskKind::kMulticlass && count == 1) {
    refuse(where, prefix + "classes", "must be at least 2 for kind = \"multiclass\"");
  }
  if (task.kind == model::TaskKind::kBinary && count > 2) {
    refuse(where, prefix + "classes", "must be at most 2 for kind = \"binary\"");
  }
  const int64_t weights = static_cast<int64_t>(task.class_weights.size());
  if (weights > 0 && count > 0 && weights != count) {
    refuse(where, prefix + "class_weights",
           fmt::format("has {} numbers for {} classes", weights, count));
  }
  if (weights > 0 && *std::max_element(task.class_weights.begin(), task.class_weights.end()) == 0) {
    refuse(where, prefix + "class_weights", "must not be all 0");
  }
}

void check_tasks(const Config& config, const Where& where) {
  if (config.tasks.empty()) refuse(where, "task", "is missing: a table [[task]] with a name");
  std::set<std::string> names;
  bool any_weight = false;
  for (const model::TaskOptions& task : config.tasks) {
    if (!names.insert(task.name).second) {
      refuse(where, "task." + task.name + ".name", "is given to two tasks");
    }
    check_task(task, where);
    any_weight = any_weight || task.weight > 0;
  }
  if (!any_weight)
    refuse(where, "task." + config.tasks[0].name + ".weight",
           "must be above 0 for one task at least");

  const std::string& monitor = config.validation.monitor;
  const size_t dot = monitor.find('.');
  if (dot != std::string::npos && names.count(monitor.substr(0, dot)) == 0) {
    refuse(where, "validation.monitor",
           fmt::format("= \"{}\" names a task that is not there", monitor));
  }
}

void check_run(const Config& config, const Where& where) {
  const std::string& name = config.experiment.name;
  if (name.empty()) refuse(where, "experiment.name", "is missing: the name of the run's folder");
  if (name == "." || name == ".." || name.find('/') != std::string::npos) {
    refuse(where, "experiment.name", fmt::format("= \"{}\" must be one folder's name", name));
  }
  for (size_t open = name.find('{'); open != std::string::npos; open = name.find('{', open + 1)) {
    const std::string field = name.substr(open, name.find('}', open) - open + 1);
    if (field != "{seed}" && field != "{fold}" && field != "{job}") {
      refuse(
          where, "experiment.name",
          fmt::format("= \"{}\" may hold {{seed}}, {{fold}} and {{job}}, no other braces", name));
    }
  }
  const training::TrainingOptions& training = config.training;
  if (training.epochs == 0)
    refuse(where, "training.epochs", "is missing: a whole number from 1 on");
  if (training.micro_batches > training.batch_size_global) {
    refuse(where, "training.micro_batches",
           fmt::format("= {} must be at most training.batch_size_global = {}",
                       training.micro_batches, training.batch_size_global));
  }
  if (config.optimizer.warmup_steps == 0 &&
      config.optimizer.warmup_epochs > static_cast<double>(training.epochs)) {
    refuse(where, "optimizer.warmup_epochs",
           fmt::format("= {} is longer than the run (training.epochs = {}); its range is 0 to {}",
                       config.optimizer.warmup_epochs, training.epochs, training.epochs));
  }
}

}  // namespace

Where written_in(const Config& config) {
  return [&config](const std::string& key) {
    const auto written = config.places.find(key);
    return written == config.places.end() ? "" : written->second;
  };
}

void refuse(const Where& where, const std::string& key, const std::string& why) {
  const std::string place = where(key);
  throw ConfigError(fmt::format("{}{}{} {}", place, place.empty() ? "" : ": ", key, why));
}

void check_sizes(const Config& config, const Where& where) {
  const data::DataOptions& data = config.data;
  for (const auto& [key, size] :
       {std::pair{"data.height", data.height}, {"data.width", data.width}}) {
    if (data.resize == data::Resize::kExact && size == 0) {
      refuse(where, key, "must be a whole number from 1 on with data.resize = \"exact\"");
    }
  }
  const selection::Method method = selection::method_of(config.selection);
  if (data.patch_size == 0 && !method.takes_whole_picture) {
    refuse(where, "data.patch_size",
           fmt::format("must be a whole number from 1 on with selection.method = \"{}\"",
                       method.name));
  }
}

void check_together(const Config& config, const Where& where) {
  check_run(config, where);
  check_pictures(config, where);
  check_erasing(config, where);
  check_tasks(config, where);
  check_selection(config, where);
  check_patch_group(config, where);
  check_homes(config, where);
  check_aggregator(config, where);
  check_model(config, where);
}

}  // namespace dbps::config
