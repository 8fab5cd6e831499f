#include "training/model_card.h"

#include <fmt/format.h>

#include "base/error.h"
#include "model/model_weights.h"
#include "training/slide_scale.h"

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

std::map<std::string, std::string> model_card(const config::Config& config,
                                              const std::optional<store::Settings>& slides,
                                              int64_t step, int64_t epoch) {
  std::map<std::string, std::string> card = {
      {"format", kFormat},
      {"config", config::to_toml(config, /*comments=*/false)},
      {"step", std::to_string(step)},
      {"epoch", std::to_string(epoch)}};
  write_slides(slides, card);
  return card;
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

std::optional<store::Settings> load_initial_weights(model::Model& model,
                                                    const std::filesystem::path& path,
                                                    bool reset_heads) {
  const model::WeightsFile file = model::read_model_weights(path);
  model::load_model(model.tensors(), file, path, reset_heads);
  return read_slides(file.metadata, path);
}

}  // namespace dbps::training
