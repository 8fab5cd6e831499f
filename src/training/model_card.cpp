#include "training/model_card.h"

#include <fmt/format.h>

#include "base/error.h"
#include "model/model_weights.h"

namespace dbps::training {
namespace {

constexpr const char* kFormat = "dbps model 1";

std::vector<model::NamedTensor> named(
    const std::vector<std::pair<std::string, at::Tensor>>& pairs) {
  std::vector<model::NamedTensor> tensors;
  for (const auto& [name, tensor] : pairs) tensors.push_back({name, tensor});
  return tensors;
}

}  // namespace

std::map<std::string, std::string> model_card(const config::Config& config, int64_t step,
                                              int64_t epoch) {
  return {{"format", kFormat},
          {"config", config::to_toml(config, /*comments=*/false)},
          {"step", std::to_string(step)},
          {"epoch", std::to_string(epoch)}};
}

config::Config config_of_card(const std::map<std::string, std::string>& metadata,
                              const std::filesystem::path& path) {
  const auto format = metadata.find("format");
  const auto config = metadata.find("config");
  if (format == metadata.end() || format->second != kFormat || config == metadata.end()) {
    throw DataError(fmt::format(
        "{} does not say which model it holds: it was not written by this version of dbps; give a "
        "configuration and --weights {} instead",
        path.string(), path.string()));
  }
  return config::parse(config->second, path.string(), {});
}

void copy_by_name(const std::vector<std::pair<std::string, at::Tensor>>& into,
                  const std::vector<std::pair<std::string, at::Tensor>>& from,
                  const std::filesystem::path& path) {
  model::load_into(named(into), {named(from), {}}, path);
}

void load_initial_weights(model::Model& model, const std::filesystem::path& path,
                          bool reset_heads) {
  model::load_model(model.tensors(), model::read_model_weights(path), path, reset_heads);
}

}  // namespace dbps::training
