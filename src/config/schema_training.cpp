// The tables [optimizer], [training], [validation] and [checkpoint].
#include "config/schema_table.h"

namespace dbps::config {
namespace {

using checkpoint::CheckpointOptions;
using optimization::OptimizerOptions;
using optimization::ScheduleKind;
using training::Precision;
using training::TrainingOptions;
using training::ValidationOptions;

constexpr auto kFixed = Resume::kFixed;
constexpr auto kFree = Resume::kFree;

void bind_betas(Key& key) {
  key.get = [](const Config& config, size_t) {
    const auto& betas = config.optimizer.betas;
    return Value{Value::List{Value{betas[0], "", false}, Value{betas[1], "", false}}, "", false};
  };
  key.set = [allowed = key.allowed](Config& config, size_t, const Value& value) -> std::string {
    const auto* list = std::get_if<Value::List>(&value.data);
    if (!list || list->size() != 2) return must_be(allowed);
    std::array<double, 2> betas;
    for (size_t i = 0; i < 2; ++i) {
      const std::optional<double> beta = as_real((*list)[i]);
      if (!beta || *beta < 0 || !(*beta < 1)) return must_be(allowed);
      betas[i] = *beta;
    }
    config.optimizer.betas = betas;
    return "";
  };
}

void add_optimizer_keys(std::vector<Key>& keys) {
  Table<Section<&Config::optimizer>> t("optimizer", keys);
  t.choice<std::string>("kind", &OptimizerOptions::kind, {{"adamw", "adamw"}}, {}, kFixed,
                        "the update rule");
  t.real("learning_rate", &OptimizerOptions::learning_rate, {.low = 0, .above_low = true}, kFixed,
         "after warm-up");
  t.real("weight_decay", &OptimizerOptions::weight_decay, {.low = 0}, kFixed,
         "decoupled, on all parameters");
  bind_betas(t.custom("betas", "two numbers from 0 to below 1", kFixed,
                      "decay of the first and second moment"));
  t.real("epsilon", &OptimizerOptions::epsilon, {.low = 0, .above_low = true}, kFixed,
         "added to the root of the second moment");
  t.choice<ScheduleKind>("schedule", &OptimizerOptions::schedule,
                         {{"cosine", ScheduleKind::kCosine}, {"constant", ScheduleKind::kConstant}},
                         {}, kFixed, "of the learning rate after warm-up");
  t.real("warmup_epochs", &OptimizerOptions::warmup_epochs, {.low = 0}, kFixed,
         "epochs in which the learning rate rises from 0; no more than training.epochs");
  t.integer("warmup_steps", &OptimizerOptions::warmup_steps, {}, kFixed,
            "instead of warmup_epochs when positive");
  t.real("clip_norm", &OptimizerOptions::clip_norm, {.low = 0}, kFixed,
         "the gradient's norm is cut to this; 0: off");
}

void add_loop_keys(std::vector<Key>& keys) {
  Table<Section<&Config::training>> t("training", keys);
  t.path(
      "initial_weights", &TrainingOptions::initial_weights, kFixed,
      "a whole model to start from, .safetensors or .pth, in our names or upstream's; \"\": none");
  t.flag("reset_heads", &TrainingOptions::reset_heads, kFixed,
         "with initial_weights: leave the heads as drawn");
  t.integer("epochs", &TrainingOptions::epochs, {.low = 1, .high = 1'000'000}, kFixed,
            "the schedule ends with the last");
  t.integer("batch_size_global", &TrainingOptions::batch_size_global, {.low = 1, .high = 1'000'000},
            kFixed, "pictures a step, over all ranks");
  t.integer("micro_batches", &TrainingOptions::micro_batches, {.high = 1'000'000}, kFixed,
            "fixed shares of a step's batch, with statistics and randomness of their own; 0: one a "
            "rank")
      .automatic = Value{int64_t{0}, "", false};
  const Choices<Precision> precisions = {{"fp32", Precision::kFp32},
                                         {"bf16", Precision::kBf16},
                                         {"fp64", Precision::kFp64},
                                         {"auto", Precision::kAuto}};
  t.choice<Precision>("precision", &TrainingOptions::precision, precisions, {}, kFixed,
                      "of the computation; \"bf16\": of the encoder, the rest in fp32; \"auto\": "
                      "bf16 where it scans faster")
      .automatic = Value{"auto", "", false};
  Choices<Precision> of_scan = {{"", Precision::kSame}};
  of_scan.insert(of_scan.end(), precisions.begin(), precisions.end());
  t.choice<Precision>("scan_precision", &TrainingOptions::scan_precision, of_scan, {}, kFixed,
                      "of the scan; \"\": precision")
      .automatic = Value{"auto", "", false};
  t.real("loss_epsilon", &TrainingOptions::loss_epsilon, {.low = 0, .high = 0.1}, kFixed,
         "added to probabilities before the logarithm; 0: plain cross entropy");
  t.planned("exact", Value{false, "", false}, "equal bits on any number of ranks");
}

void add_validation_keys(std::vector<Key>& keys) {
  Table<Section<&Config::validation>> t("validation", keys);
  t.integer("every_epochs", &ValidationOptions::every_epochs, {.low = 1}, kFixed,
            "and after the last");
  t.text("monitor", &ValidationOptions::monitor, kFixed,
         "what chooses the best: a metric of the first task, \"<task>.<metric>\", or \"loss\"");
  t.integer("patience_epochs", &ValidationOptions::patience_epochs, {}, kFixed,
            "stop after so many without a better one; 0: off");
  t.integer("min_epochs", &ValidationOptions::min_epochs, {}, kFixed, "never stop earlier");
}

void add_checkpoint_keys(std::vector<Key>& keys) {
  Table<Section<&Config::checkpoint>> t("checkpoint", keys);
  t.integer("every_epochs", &CheckpointOptions::every_epochs, {}, kFree, "0: off");
  t.integer("every_steps", &CheckpointOptions::every_steps, {}, kFree, "0: off");
  t.real("every_minutes", &CheckpointOptions::every_minutes, {.low = 0}, kFree, "0: off");
  t.integer("keep", &CheckpointOptions::keep, {.low = 1}, kFree, "newest kept, besides the best");
}

}  // namespace

void add_training_keys(std::vector<Key>& keys) {
  add_optimizer_keys(keys);
  add_loop_keys(keys);
  add_validation_keys(keys);
  add_checkpoint_keys(keys);
}

}  // namespace dbps::config
