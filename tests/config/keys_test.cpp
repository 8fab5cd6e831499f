// Every key of the schema set to a value it takes, to a wrong type, and out of its range. The
// examples are written out here, apart from the schema; a key without an example fails.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <map>
#include <regex>
#include <set>

#include "config/minimal.h"
#include "config/schema.h"
#include "config/toml_source.h"

namespace dbps::config {
namespace {

using testing::HasSubstr;

struct Example {
  const char* good;
  std::vector<const char*> bad;          // wrong types and values out of range
  std::vector<const char*> beside = {};  // overrides that `good` needs
};

const std::map<std::string, Example> kExamples = {
    {"experiment.name", {"\"b-{seed}\"", {"true", "[1]"}}},
    {"experiment.seed", {"7", {"-1", "1.5", "\"x\""}}},
    {"experiment.output", {"\"elsewhere\"", {"true", "[1]"}}},
    {"data.store", {"[\"one\", \"two\"]", {"[1, 2]", "\"\"", "[\"a\", \"\"]"}}},
    {"data.labels", {"\"labels.csv\"", {"[1]", "false"}}},
    {"data.split", {"\"split.csv\"", {"[1]", "false"}}},
    {"data.fold", {"3", {"-1", "\"x\""}}},
    {"data.fraction_validation", {"0.25", {"1.0", "-0.1", "nan", "\"x\""}}},
    {"data.split_seed", {"5", {"-1", "0.5"}}},
    {"data.height", {"128", {"-1", "12.5", "true"}}},
    {"data.width", {"128", {"-1", "12.5", "true"}}},
    {"data.resize", {"\"longest\"", {"\"square\"", "1"}}},
    {"data.scale", {"0.5", {"0", "-1.0", "inf", "true"}}},
    {"data.patch_size", {"64", {"-1", "257", "\"x\""}}},
    {"data.patch_stride", {"16", {"-1", "1.5"}}},
    {"data.edge", {"\"shift\"", {"\"wrap\"", "false"}}},
    {"data.mean", {"[0.5, 0.4, 0.3]", {"0.5", "[2.0]", "[\"x\"]", "[0.5]"}}},
    {"data.std", {"[0.2, 0.2, 0.2]", {"0.5", "[0.0]", "[-1.0]", "[0.5]"}}},
    {"data.shuffle", {"false", {"0", "\"no\""}}},
    {"data.sampling", {"\"balanced\"", {"\"even\"", "1"}}},
    {"data.decode_threads", {"4", {"-1", "100000", "1.5"}}},
    {"data.prefetch_batches", {"3", {"0", "true"}}},
    {"data.host_bytes", {"1000000", {"-1", "1e9"}}},
    {"data.device_bytes", {"1000000", {"-1", "true"}}},
    {"data.picture_pixels", {"4e9", {"0", "\"x\""}}},
    {"data.fast_decode", {"true", {"1", "\"x\""}}},
    {"data.placement", {"\"staged\"", {"\"local\"", "1"}, {"data.stage_dir=/scratch"}}},
    {"data.stage_dir", {"\"/scratch\"", {"true", "1"}}},
    {"data.stage_homes", {"2", {"-1", "3", "1.5"}}},
    {"augment.brightness", {"0.3", {"-0.1", "1.5", "true"}}},
    {"augment.contrast", {"0.3", {"-0.1", "1.5", "true"}}},
    {"augment.saturation", {"0", {"-0.1", "1.5", "true"}}},
    {"augment.hue", {"0.5", {"-0.1", "0.6", "true"}}},
    {"augment.jitter_per", {"\"patch\"", {"\"picture\"", "1"}}},
    {"augment.translate", {"4", {"-1", "2.5"}}},
    {"augment.flip", {"\"both\"", {"\"vertical\"", "true"}}},
    {"augment.rotate90", {"true", {"1", "\"x\""}}},
    {"drop.ratio", {"0.3", {"1", "1.0", "-0.1", "\"0.3\"", "true", "0x0"}}},
    {"selection.method", {"\"random\"", {"\"best\"", "1"}}},
    {"selection.salient", {"8", {"0", "-1", "1.5"}}},
    {"augment.erase", {"\"random\"", {"\"all\"", "true", "\"random\""}, {"drop.erase_ratio=0.3"}}},
    {"drop.erase_ratio", {"0.3", {"1", "-0.1", "0.3", "true"}, {"augment.erase=patches"}}},
    {"selection.salient_eval", {"12", {"-1", "\"x\""}}},
    {"selection.sub_salient", {"12", {"-1", "1.5"}}},
    {"selection.scan_patches", {"64", {"0", "\"x\""}}},
    {"selection.ranking", {"\"global\"", {"\"local\"", "1"}}},
    {"selection.shuffle", {"\"image\"", {"\"all\"", "true"}}},
    {"selection.explore_epochs", {"5", {"-1", "0.5"}}},
    {"encoder.kind", {"\"tiny\"", {"\"resnet19\"", "18"}}},
    {"encoder.stages", {"2", {"0", "5", "true"}}},
    {"encoder.channels", {"1", {"0", "5", "true"}}},
    {"encoder.width", {"64", {"-1", "1.5"}}},
    {"encoder.projector", {"\"linear\"", {"\"square\"", "true"}}},
    {"encoder.weights", {"\"w.pth\"", {"1", "true"}}},
    {"encoder.frozen", {"true", {"1", "\"x\""}}},
    {"encoder.frozen_stages", {"2", {"-1", "65", "true"}}},
    {"encoder.learning_rate_scale", {"0.1", {"-1", "true"}}},
    {"encoder.features.width_in", {"1024", {"-1", "70000", "true"}}},
    {"aggregator.kind", {"\"cross_attention\"", {"\"sum\"", "1"}}},
    {"aggregator.tokens", {"2", {"-1", "true"}}},
    {"aggregator.mlp_layers", {"3", {"0", "17", "1.5"}}},
    {"aggregator.heads", {"4", {"0", "257", "\"x\""}}},
    {"aggregator.key_width", {"8", {"-1", "60000", "true"}}},
    {"aggregator.value_width", {"8", {"-1", "60000", "true"}}},
    {"aggregator.mlp_width", {"256", {"0", "1.5"}}},
    {"aggregator.attention_dropout", {"0.2", {"1.0", "-0.1", "true"}}},
    {"aggregator.dropout", {"0.0", {"1", "-0.1", "true"}}},
    {"aggregator.position_encoding", {"true", {"1", "\"x\""}}},
    {"aggregator.gated_attention.width", {"64", {"0", "1.5", "true"}}},
    {"task.name", {"\"letter\"", {"\"two words\"", "\"a.b\"", "\"\"", "true"}}},
    {"task.column", {"\"label\"", {"[1]", "[true]"}}},
    {"task.kind", {"\"binary\"", {"\"classes\"", "1"}}},
    {"task.classes", {"[\"a\", \"b\"]", {"\"a\"", "0", "1", "[\"a\", \"a\"]", "[1, 2]"}}},
    {"task.class_weights", {"[1.0, 2]", {"\"even\"", "1.0", "[-1]", "[0, 0]"}}},
    {"task.weight", {"2", {"-1", "0", "true"}}},
    {"optimizer.kind", {"\"adamw\"", {"\"sgd\"", "1"}}},
    {"optimizer.learning_rate", {"2e-3", {"0", "-1e-3", "true"}}},
    {"optimizer.weight_decay", {"0", {"-0.1", "\"x\""}}},
    {"optimizer.betas", {"[0.8, 0.95]", {"0.9", "[0.9]", "[0.9, 1.0]", "[-0.1, 0.9]"}}},
    {"optimizer.epsilon", {"1e-6", {"0", "true"}}},
    {"optimizer.schedule", {"\"constant\"", {"\"linear\"", "1"}}},
    {"optimizer.warmup_epochs", {"30", {"30.5", "-1", "true"}}},
    {"optimizer.warmup_steps", {"100", {"-1", "1.5"}}},
    {"optimizer.clip_norm", {"1.0", {"-1", "true"}}},
    {"training.initial_weights", {"\"m.safetensors\"", {"true", "[1]"}}},
    {"training.reset_heads", {"true", {"1", "\"x\"", "true"}, {"training.initial_weights=m"}}},
    {"training.epochs", {"50", {"0", "9", "1.5"}}},
    {"training.batch_size_global", {"8", {"0", "true"}}},
    {"training.micro_batches", {"4", {"-1", "17", "1.5"}}},
    {"training.precision", {"\"fp64\"", {"\"fp16\"", "32"}}},
    {"training.scan_precision", {"\"bf16\"", {"\"fp16\"", "16"}}},
    {"training.loss_epsilon", {"0", {"-1", "0.5", "true"}}},
    {"validation.every_epochs", {"2", {"0", "1.5"}}},
    {"validation.monitor", {"\"digit.auc\"", {"[1]", "\"letter.auc\""}}},
    {"validation.patience_epochs", {"5", {"-1", "true"}}},
    {"validation.min_epochs", {"5", {"-1", "true"}}},
    {"checkpoint.every_epochs", {"0", {"-1", "1.5"}}},
    {"checkpoint.every_steps", {"100", {"-1", "true"}}},
    {"checkpoint.every_minutes", {"0.5", {"-1", "true"}}},
    {"checkpoint.keep", {"1", {"0", "true"}}},
    {"distributed.device", {"\"cpu\"", {"\"tpu\"", "1"}}},
    {"distributed.share_device", {"true", {"1", "\"x\""}}},
    {"distributed.backend", {"\"mpi\"", {"\"gloo\"", "1"}}},
    {"distributed.compress", {"\"bf16\"", {"\"fp16\"", "true"}}},
    {"distributed.patch_group", {"2", {"0", "1.5", "true", "2"}, {"selection.ranking=global"}}},
    {"distributed.threads", {"2", {"-1", "1.5"}}},
    {"distributed.check_every", {"0", {"-1", "true"}}},
    {"distributed.tf32", {"true", {"1", "\"x\""}}},
    {"distributed.deterministic", {"true", {"1", "\"x\""}}},
    {"distributed.bucket_mb", {"0.5", {"0", "5000", "true"}}},
    {"distributed.deadline_seconds", {"60", {"0", "-1", "true"}}},
    {"report.tensorboard", {"false", {"0", "\"x\""}}},
    {"report.maps_per_epoch", {"0", {"-1", "true"}}},
};

// Foreseen keys: a value that is refused by name, and the default that is accepted.
const std::map<std::string, std::pair<const char*, const char*>> kPlanned = {
    {"data.bag", {"\"patient\"", "\"id\""}},
    {"training.exact", {"true", "false"}},
};

// As it is typed: a task's key by the name of the task.
std::string typed(const std::string& key) {
  return key.starts_with("task.") ? "task.digit." + key.substr(5) : key;
}

TEST(Keys, EachHasAnExample) {
  std::set<std::string> known;
  for (const Key& key : schema()) {
    known.insert(key.full_name());
    EXPECT_EQ(kPlanned.count(key.full_name()), key.planned ? 1u : 0u) << key.full_name();
    EXPECT_EQ(kExamples.count(key.full_name()), key.planned ? 0u : 1u) << key.full_name();
    EXPECT_FALSE(key.doc.empty()) << key.full_name();
    EXPECT_FALSE(key.allowed.empty()) << key.full_name();
  }
  EXPECT_EQ(known.size(), schema().size()) << "a key stands twice";
  for (const auto& [key, _] : kExamples) EXPECT_TRUE(known.count(key)) << key;
  for (const auto& [key, _] : kPlanned) EXPECT_TRUE(known.count(key)) << key;
}

// The shortest configuration with one line more, or in place of another.
std::string text_with(const Key& key, const std::string& value) {
  const std::string header = key.table == "task" ? "[[task]]" : "[" + key.table + "]";
  std::string text = kMinimal;
  const size_t old = text.find("\n" + key.name + " = ");
  if (old != std::string::npos && text.find(header) < old) {
    text.erase(old, text.find('\n', old + 1) - old);
  }
  const size_t at = text.find(header);
  const std::string line = fmt::format("{} = {}\n", key.name, value);
  if (at == std::string::npos) return text + header + "\n" + line;
  return text.insert(at + header.size() + 1, line);
}

// By what the schema itself says of a key: a wrong type, the next value beyond either end of its
// range, and a word that is none of its words.
std::vector<std::string> wrong_values(const Key& key) {
  std::vector<std::string> values = {"1979-05-27", "{ a = 1 }", "[[[]]]"};
  static const std::regex kRange(
      "a (whole )?number (from|above) (\\S+)(?: on| to( below)? (\\S+))?");
  std::smatch range;
  if (std::regex_match(key.allowed, range, kRange)) {
    values.insert(values.end(), {"true", "\"x\"", "nan"});
    const bool whole = range[1].matched;
    const auto number = [&](double value) {
      return whole ? fmt::format("{:.0f}", value) : fmt::format("{:.17g}", value);
    };
    const double low = std::stod(range[3]);
    values.push_back(number(range[2] == "above" ? low : low - 1));
    if (whole) values.push_back("0.5");
    if (range[5].matched) {
      const double high = std::stod(range[5]);
      values.push_back(number(range[4].matched ? high : high + 1));
    }
  }
  if (key.allowed == "true or false") values.insert(values.end(), {"1", "\"true\""});
  if (key.allowed.starts_with("one of ") || key.allowed.starts_with("\"")) {
    values.insert(values.end(), {"\"no-such-word\"", "true", "1"});
  }
  if (key.allowed == "a text") values.insert(values.end(), {"true", "1", "[1]"});
  return values;
}

TEST(Keys, EachIsHeldToWhatTheSchemaSaysOfIt) {
  size_t by_type_alone = 0;
  for (const Key& key : schema()) {
    for (const std::string& value : wrong_values(key)) {
      const std::string message = refused_text(text_with(key, value));
      EXPECT_THAT(message, HasSubstr(key.name)) << key.full_name() << " = " << value;
      EXPECT_THAT(message, testing::StartsWith("some/run.toml:")) << key.full_name();
    }
    if (wrong_values(key).size() == 3) ++by_type_alone;
  }
  EXPECT_LT(by_type_alone, schema().size() / 5);
}

TEST(Keys, WhatIsPrintedByDefaultReadsBack) {
  const Config config = minimal();
  for (const Key& key : schema()) {
    Config again = config;
    const Value value = key.get(config, 0);
    const std::string text = fmt::format("[{}]\n{} = {}\n", key.table, key.name, to_toml(value));
    const Value read = key.table == "task" ? value : read_document(text, "a").entries.at(0).value;
    EXPECT_EQ(key.set(again, 0, read), "") << text;
    EXPECT_EQ(to_toml(key.get(again, 0)), to_toml(value)) << text;
  }
  EXPECT_EQ(to_toml(parse(to_toml(config, true), "a.toml", {}), true), to_toml(config, true));
}

TEST(Keys, EachTakesAGoodValueAndWritesItAgain) {
  const std::string before = to_toml(minimal(), false);
  for (const auto& [key, example] : kExamples) {
    std::vector<std::string> overrides(example.beside.begin(), example.beside.end());
    overrides.push_back(typed(key) + "=" + example.good);
    const std::string after = to_toml(minimal(overrides), false);
    const std::string name = key.substr(key.rfind('.') + 1);
    const bool one_value_only = key == "optimizer.kind";
    EXPECT_EQ(after == before, one_value_only) << key;
    EXPECT_THAT(after, HasSubstr("\n" + name + " = ")) << key;
    EXPECT_EQ(to_toml(parse(after, "again.toml", {}), false), after) << key;
  }
}

TEST(Keys, EachRefusesWrongTypesAndValuesOutOfRange) {
  for (const auto& [key, example] : kExamples) {
    for (const char* bad : example.bad) {
      // In a file, where no bare word passes for a text.
      const size_t dot = key.rfind('.');
      const Key& known = *find_key(key.substr(0, dot), key.substr(dot + 1));
      const std::string message = refused_text(text_with(known, bad));
      EXPECT_THAT(message, HasSubstr(known.name)) << key << " = " << bad;
      EXPECT_TRUE(message.starts_with("some/run.toml")) << message;
    }
  }
}

TEST(Keys, WhatIsForeseenIsRefusedByNameAndTakesItsDefault) {
  for (const auto& [key, values] : kPlanned) {
    const std::string message = refused({key + "=" + values.first});
    EXPECT_THAT(message, HasSubstr(key));
    EXPECT_THAT(message, HasSubstr("foreseen but not built yet"));
    EXPECT_NO_THROW(minimal({key + "=" + values.second})) << key;
  }
}

TEST(Keys, ForeseenValuesAreRefusedByNameAndListed) {
  const std::vector<std::string> listed = unsupported();
  for (const auto& [key, _] : kPlanned) EXPECT_THAT(listed, testing::Contains(key));
  const std::vector<std::pair<std::string, std::string>> values = {
      {"task.kind", "regression"}, {"task.kind", "ordinal"}, {"task.kind", "survival"}};
  for (const auto& [key, value] : values) {
    EXPECT_THAT(listed, testing::Contains(fmt::format("{} = \"{}\"", key, value)));
    EXPECT_THAT(refused({typed(key) + "=" + value}),
                HasSubstr(fmt::format("\"{}\" is foreseen but not built yet", value)));
  }
  EXPECT_EQ(listed.size(), kPlanned.size() + values.size());
}

TEST(Keys, ADroppedFieldWouldBeSeen) {
  const Config config =
      minimal({"augment.translate=4", "distributed.backend=mpi", "optimizer.betas=[0.5, 0.25]",
               "task.digit.classes=3", "task.digit.kind=multilabel", "drop.ratio=0.7"});
  EXPECT_EQ(config.augment.translate, 4);
  EXPECT_EQ(config.distributed.backend, distributed::Backend::kMpi);
  EXPECT_EQ(config.optimizer.betas, (std::array<double, 2>{0.5, 0.25}));
  EXPECT_EQ(config.tasks.at(0).num_classes, 3);
  EXPECT_EQ(config.tasks.at(0).kind, model::TaskKind::kMultilabel);
  EXPECT_EQ(config.drop.ratio, "0.7");
  EXPECT_EQ(config.data.height, 256);
  EXPECT_EQ(config.training.epochs, 30);
}

}  // namespace
}  // namespace dbps::config
