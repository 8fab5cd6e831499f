#include "parity/probe.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <cstdio>
#include <exception>
#include <functional>

#include "base/error.h"
#include "model/weights.h"
#include "training/model_card.h"
#include "training/precision.h"
#include "training/preprocessing.h"

namespace dbps::parity {
namespace {

const std::map<std::string, std::function<void(Case&)>>& checks() {
  static const std::map<std::string, std::function<void(Case&)>> table = {
      {"resize", resize},
      {"patches", patches},
      {"jitter", jitter},
      {"embeddings", embeddings},
      {"batch_norm", batch_norm},
      {"encoder_training", encoder_training},
      {"projector", projector},
      {"scores", scores},
      {"aggregation", aggregation},
      {"gradients", gradients},
      {"detachment", detachment},
      {"scan_logits", scan_logits},
      {"scan_pictures", scan_pictures},
      {"losses", losses},
      {"learning_rate", learning_rate},
      {"adamw", adamw},
      {"counts", counts},
      {"metrics", metrics},
      {"first_steps", first_steps},
  };
  return table;
}

std::map<std::string, Case> read_cases(const std::string& path) {
  const model::WeightsFile file = model::read_weights(path);
  std::map<std::string, Case> cases;
  for (const auto& [name, parameters] : file.metadata) {
    cases[name] = {name, nlohmann::json::parse(parameters), {}, {}};
  }
  for (const model::NamedTensor& named : file.tensors) {
    const size_t slash = named.name.find('/');
    if (slash == std::string::npos || cases.count(named.name.substr(0, slash)) == 0) {
      throw DataError(path + ": tensor '" + named.name + "' belongs to no case");
    }
    cases.at(named.name.substr(0, slash)).in[named.name.substr(slash + 1)] = named.tensor;
  }
  return cases;
}

void run(const std::string& check, const std::string& input, const std::string& output) {
  const auto found = checks().find(check);
  if (found == checks().end()) throw ConfigError("there is no check '" + check + "'");
  std::vector<model::NamedTensor> results;
  for (auto& [name, c] : read_cases(input)) {
    found->second(c);
    for (const auto& [tensor, value] : c.out) results.push_back({name + "/" + tensor, value});
  }
  model::write_weights(output, results, {});
}

}  // namespace

const at::Tensor& Case::input(const std::string& tensor) const {
  const auto found = in.find(tensor);
  if (found == in.end()) throw DataError("case '" + name + "' lacks the tensor '" + tensor + "'");
  return found->second;
}

config::Config config_of(const Case& c) {
  return config::parse(c.parameters.at("config"), "case " + c.name, {});
}

std::unique_ptr<model::Model> model_of(const Case& c, const config::Config& config) {
  auto model = std::make_unique<model::Model>(
      model::ModelOptions{config.encoder, config.aggregator, config.tasks}, at::kCPU,
      training::tensor_type(config.training.precision), config.experiment.seed);
  training::load_initial_weights(*model, c.parameters.at("weights").get<std::string>(),
                                 /*reset_heads=*/false);
  return model;
}

}  // namespace dbps::parity

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: parity_probe CHECK INPUT.safetensors OUTPUT.safetensors\n");
    return 64;
  }
  at::set_num_threads(1);
  try {
    dbps::parity::run(argv[1], argv[2], argv[3]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "parity_probe %s: %s\n", argv[1], error.what());
    return 70;
  }
  return 0;
}
