// Encoders and aggregators by name. A new one: its file, its factory in encoders.h or
// aggregators.h, and a line here.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "model/aggregators.h"
#include "model/encoders.h"

namespace dbps::model {
namespace {

template <typename Factory>
using Table = std::vector<std::pair<std::string, Factory>>;

Table<EncoderFactory> encoder_table() {
  return {{"resnet18", make_resnet18},
          {"resnet50", make_resnet50},
          {"tiny", make_tiny},
          {"features", make_features}};
}

Table<AggregatorFactory> aggregator_table() {
  return {{"dual_attention", make_dual_attention},
          {"cross_attention", make_cross_attention},
          {"gated_attention", make_gated_attention},
          {"mean", make_mean},
          {"top_mil", make_top_mil}};
}

template <typename Factory>
std::vector<std::string> names(const Table<Factory>& table) {
  std::vector<std::string> kinds;
  for (const auto& [kind, factory] : table) kinds.push_back(kind);
  return kinds;
}

template <typename Factory>
Factory find(const Table<Factory>& table, const std::string& key, const std::string& wanted) {
  for (const auto& [kind, factory] : table) {
    if (kind == wanted) return factory;
  }
  throw ConfigError(
      fmt::format("{} = '{}' is not known; there are {}", key, wanted, join_words(names(table))));
}

}  // namespace

const std::vector<std::string>& encoder_kinds() {
  static const std::vector<std::string> kinds = names(encoder_table());
  return kinds;
}

std::unique_ptr<Encoder> make_encoder(const EncoderOptions& options, at::TensorOptions tensor,
                                      int64_t seed, BatchStatistics& statistics) {
  return find(encoder_table(), "encoder.kind", options.kind)(options, tensor, seed, statistics);
}

const std::vector<std::string>& aggregator_kinds() {
  static const std::vector<std::string> kinds = names(aggregator_table());
  return kinds;
}

std::unique_ptr<Aggregator> make_aggregator(const AggregatorOptions& options, int64_t width,
                                            int64_t num_tasks, at::TensorOptions tensor,
                                            int64_t seed) {
  return find(aggregator_table(), "aggregator.kind", options.kind)(options, width, num_tasks,
                                                                   tensor, seed);
}

}  // namespace dbps::model
