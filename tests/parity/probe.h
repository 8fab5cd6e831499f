// Runs one part of the program on given tensors, so that a reading of the method in another
// language can be laid beside it:
//
//   parity_probe CHECK INPUT.safetensors OUTPUT.safetensors
//
// INPUT holds the tensors of many cases as "<case>/<name>", and in its metadata each case's
// parameters as JSON. OUTPUT holds what the check gives, named in the same way. A check that needs
// a model is given a configuration ("config", TOML) and a file of weights ("weights"), as a user
// gives them.
//
// Shapes: B bags, N patches a bag, n rows, C channels, p patch side, D width, T tokens, H heads.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "config/config.h"
#include "model/model.h"

namespace dbps::parity {

struct Case {
  std::string name;
  nlohmann::json parameters;
  std::map<std::string, at::Tensor> in;
  std::map<std::string, at::Tensor> out;

  // Throws DataError naming case and tensor.
  const at::Tensor& input(const std::string& tensor) const;
  bool has(const std::string& tensor) const { return in.count(tensor) > 0; }
};

config::Config config_of(const Case& c);
// The configuration's model with the case's weights.
std::unique_ptr<model::Model> model_of(const Case& c, const config::Config& config);

// Pictures (checks 1 to 3).
void resize(Case& c);
void patches(Case& c);
void jitter(Case& c);

// The model (checks 4 to 7, 9 and 10).
void embeddings(Case& c);
void batch_norm(Case& c);
void encoder_training(Case& c);
void projector(Case& c);
void scores(Case& c);
void aggregation(Case& c);
void gradients(Case& c);
void detachment(Case& c);

// Selection (check 8).
void scan_logits(Case& c);
void scan_pictures(Case& c);

// Training and figures (checks 11 to 16).
void losses(Case& c);
void learning_rate(Case& c);
void adamw(Case& c);
void counts(Case& c);
void metrics(Case& c);
void first_steps(Case& c);

}  // namespace dbps::parity
