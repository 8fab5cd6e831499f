// The tables [selection], [encoder], [aggregator] and [[task]].
#include <algorithm>

#include "config/schema_table.h"

namespace dbps::config {
namespace {

using model::AggregatorOptions;
using model::EncoderOptions;
using model::TaskKind;
using model::TaskOptions;
using selection::Ranking;
using selection::SelectionOptions;
using selection::Shuffle;

constexpr auto kFixed = Resume::kFixed;
constexpr IntegerRange kCount{.low = 1, .high = 1'000'000};
constexpr IntegerRange kCountOrZero{.low = 0, .high = 1'000'000};
constexpr RealRange kProbability{.low = 0, .high = 1, .below_high = true};

struct GatedAttentionSection {
  static auto& of(auto& config, size_t) { return config.aggregator.gated_attention; }
};

Value automatic(int64_t number) { return Value{number, "", false}; }

void add_selection_keys(std::vector<Key>& keys) {
  Table<Section<&Config::selection>> t("selection", keys);
  t.kind(&SelectionOptions::method, "method", kFixed,
         "what is kept of a bag: both buffers, one, a random choice, all patches, or the picture "
         "itself");
  t.integer("salient", &SelectionOptions::salient, kCountOrZero, kFixed,
            "M, patches trained on; at least 1 but for \"all\" and \"whole\"");
  t.integer("salient_eval", &SelectionOptions::salient_eval, kCountOrZero, kFixed,
            "M' at evaluation; 0: M")
      .automatic = automatic(0);
  t.integer("sub_salient", &SelectionOptions::sub_salient, kCountOrZero, kFixed,
            "S, patches whose embeddings are recycled; for \"dbps\" only");
  t.integer("scan_patches", &SelectionOptions::scan_patches, kCount, kFixed,
            "L, patches of one bag a scan step; fewer need less device memory");
  t.choice<Ranking>(
      "ranking", &SelectionOptions::ranking,
      {{"upstream", Ranking::kUpstream}, {"joint", Ranking::kJoint}, {"global", Ranking::kGlobal}},
      {}, kFixed, "as the released code, as the paper's equations, or over all patches at once");
  t.choice<Shuffle>(
      "shuffle", &SelectionOptions::shuffle,
      {{"none", Shuffle::kNone}, {"batch", Shuffle::kBatch}, {"image", Shuffle::kImage}}, {},
      kFixed, "scan order while training: as they lie, one for the batch, or one a picture");
  t.integer("explore_epochs", &SelectionOptions::explore_epochs, kCountOrZero, kFixed,
            "epochs at the start in which noise, falling to nothing, joins the scores");
}

void add_encoder_keys(std::vector<Key>& keys) {
  Table<Section<&Config::encoder>> t("encoder", keys);
  t.kind(&EncoderOptions::kind, "kind", kFixed, "the network that embeds a patch");
  t.integer("stages", &EncoderOptions::stages, {.low = 1, .high = 4}, kFixed, "of a ResNet");
  t.integer("channels", &EncoderOptions::channels, {.low = 1, .high = 4}, kFixed,
            "of a picture: 3, or 1 for grey");
  t.integer("width", &EncoderOptions::width, {.low = 0, .high = 65536}, kFixed,
            "D; 0: 512 behind a projector, else the encoder's own")
      .automatic = automatic(0);
  t.choice<std::string>("projector", &EncoderOptions::projector,
                        {{"auto", "auto"}, {"none", "none"}, {"linear", "linear"}}, {}, kFixed,
                        "after pooling: as the paper's for this encoder, none, or a linear layer")
      .automatic = Value{"auto", "", false};
  t.path("weights", &EncoderOptions::weights, kFixed,
         "a .safetensors or .pth file: a whole model, or the encoder in torchvision's names "
         "(ImageNet's: resnet18-f37072fd.pth, resnet50-0676ba61.pth, resnet50-11ad3fa6.pth; the "
         "name ends with the SHA-256's beginning; docs/weights.md); \"\": random");
  t.flag("frozen", &EncoderOptions::frozen, kFixed, "not trained");
  t.integer("frozen_stages", &EncoderOptions::frozen_stages, {.low = 0, .high = 64}, kFixed,
            "from the input on, not trained: of a ResNet 1 to 4, the stem with the first; 0: none");
  t.real("learning_rate_scale", &EncoderOptions::learning_rate_scale, {.low = 0}, kFixed,
         "times optimizer.learning_rate, for the encoder");
}

void add_aggregator_keys(std::vector<Key>& keys) {
  Table<Section<&Config::aggregator>> t("aggregator", keys);
  t.kind(&AggregatorOptions::kind, "kind", kFixed, "how patches become one embedding a task");
  t.integer("tokens", &AggregatorOptions::tokens, {.high = 4096}, kFixed,
            "T, query tokens; 0: one a task; 1: shared; more: dealt to the tasks in turn")
      .automatic = automatic(0);
  t.integer("mlp_layers", &AggregatorOptions::mlp_layers, {.low = 1, .high = 16}, kFixed,
            "linear layers of the MLP");
  t.integer("heads", &AggregatorOptions::heads, {.low = 1, .high = 256}, kFixed, "H");
  t.integer("key_width", &AggregatorOptions::key_width, {.high = 65536}, kFixed,
            "of one head; 0: D / H")
      .automatic = automatic(0);
  t.integer("value_width", &AggregatorOptions::value_width, {.high = 65536}, kFixed,
            "of one head; 0: D / H")
      .automatic = automatic(0);
  t.integer("mlp_width", &AggregatorOptions::mlp_width, kCount, kFixed, "hidden units of the MLP");
  t.real("attention_dropout", &AggregatorOptions::attention_dropout, kProbability, kFixed,
         "of attention probabilities");
  t.real("dropout", &AggregatorOptions::dropout, kProbability, kFixed,
         "after the attention's output and after the MLP");
  t.flag("position_encoding", &AggregatorOptions::position_encoding, kFixed,
         "a sinusoid over the patch's place in the grid, added to embeddings");
}

void bind_classes(Key& key) {
  key.automatic = Value{Value::List(), "", false};
  key.get = [](const Config& config, size_t task) {
    const TaskOptions& options = config.tasks[task];
    if (options.classes.empty() && options.num_classes > 0) {
      return Value{options.num_classes, "", false};
    }
    Value::List list;
    for (const std::string& name : options.classes) list.push_back(Value{name, "", false});
    return Value{list, "", false};
  };
  key.set = [allowed = key.allowed](Config& config, size_t task,
                                    const Value& value) -> std::string {
    TaskOptions& options = config.tasks[task];
    if (const auto* count = std::get_if<int64_t>(&value.data)) {
      if (*count < 1 || *count > 1'000'000) return must_be(allowed);
      options.num_classes = *count;
      options.classes.clear();
      return "";
    }
    const auto* list = std::get_if<Value::List>(&value.data);
    if (!list) return must_be(allowed);
    std::vector<std::string> names;
    for (const Value& entry : *list) {
      const std::string name = as_text(entry).value_or("");
      if (name.empty()) return must_be(allowed);
      if (std::find(names.begin(), names.end(), name) != names.end()) {
        return fmt::format("names \"{}\" twice", name);
      }
      names.push_back(name);
    }
    options.num_classes = 0;
    options.classes = names;
    return "";
  };
}

void bind_class_weights(Key& key) {
  key.get = [](const Config& config, size_t task) {
    const TaskOptions& options = config.tasks[task];
    if (options.balanced_class_weights) return Value{"balanced", "", false};
    Value::List list;
    for (const double weight : options.class_weights) list.push_back(Value{weight, "", false});
    return Value{list, "", false};
  };
  key.set = [allowed = key.allowed](Config& config, size_t task,
                                    const Value& value) -> std::string {
    TaskOptions& options = config.tasks[task];
    std::vector<double> weights;
    const bool balanced = as_text(value).value_or("") == "balanced";
    const auto* list = std::get_if<Value::List>(&value.data);
    if (!balanced && !list) return must_be(allowed);
    for (const Value& entry : balanced ? Value::List() : *list) {
      const std::optional<double> weight = as_real(entry);
      if (!weight || !RealRange{.low = 0}.holds(*weight)) return must_be(allowed);
      weights.push_back(*weight);
    }
    options.class_weights = weights;
    options.balanced_class_weights = balanced;
    return "";
  };
}

// A task's name is part of keys and of tensor names, so it is one plain word.
void bind_task_name(Key& key) {
  key.get = [](const Config& config, size_t task) {
    return Value{config.tasks[task].name, "", false};
  };
  key.set = [allowed = key.allowed](Config& config, size_t task,
                                    const Value& value) -> std::string {
    const std::string name = as_text(value).value_or("");
    const bool plain = std::all_of(name.begin(), name.end(), [](unsigned char c) {
      return std::isalnum(c) || c == '_' || c == '-';
    });
    if (name.empty() || !plain) return must_be(allowed);
    config.tasks[task].name = name;
    return "";
  };
}

void add_task_keys(std::vector<Key>& keys) {
  Table<TaskSection> t("task", keys);
  bind_task_name(t.custom("name", "letters, digits, _ and -", kFixed, "of this task, in metrics"));
  t.text("column", &TaskOptions::column, kFixed, "of the labels' CSV; \"\": name");
  t.choice<TaskKind>("kind", &TaskOptions::kind,
                     {{"multiclass", TaskKind::kMulticlass},
                      {"multilabel", TaskKind::kMultilabel},
                      {"binary", TaskKind::kBinary}},
                     {"regression", "ordinal", "survival"}, kFixed, "what a label says");
  bind_classes(t.custom("classes", "a list of names or a whole number from 1 on", kFixed,
                        "[]: as found in the labels"));
  bind_class_weights(t.custom("class_weights", "a list of numbers from 0 on, or \"balanced\"",
                              kFixed, "of the loss, a class; []: 1 each"));
  t.real("weight", &TaskOptions::weight, {.low = 0}, kFixed, "of this task in the loss");
}

}  // namespace

void add_gated_attention_keys(std::vector<Key>& keys) {
  Table<GatedAttentionSection> t("aggregator.gated_attention", keys);
  t.integer("width", &model::GatedAttentionOptions::width, {.low = 1, .high = 65536}, kFixed,
            "hidden units of either gate");
}

void add_feature_encoder_keys(std::vector<Key>& keys) {
  Table<Section<&Config::encoder>> t("encoder.features", keys);
  t.integer("width_in", &EncoderOptions::width_in, {.low = 0, .high = 65536}, kFixed,
            "numbers of a feature vector; 0: as in data.store")
      .automatic = automatic(0);
}

void add_model_keys(std::vector<Key>& keys) {
  add_selection_keys(keys);
  add_encoder_keys(keys);
  add_aggregator_keys(keys);
  add_task_keys(keys);
}

}  // namespace dbps::config
