// What `predict` and `explain` have in common: all but their names and what they draw.
#pragma once

#include <string>
#include <vector>

#include "launcher/verb.h"
#include "training/trained_model.h"

namespace dbps::launcher {

struct PredictOptions {
  training::ModelSource source;
  std::string model;
  std::string weights;
  std::vector<std::string> inputs;
  std::string maps;          // a folder; "": nothing is drawn
  bool every_patch = false;  // heat maps of pictures too
  double slide_mpp = 0;
};

void add_predict_options(CLI::App& app, PredictOptions& options);

// A JSON line an input on standard output, in input order, and what is to be drawn. Collective:
// every rank calls, and takes inputs of its own. Throws DataError, when all are done, where some
// could not be predicted.
void run_prediction(const PredictOptions& options, Context& context);

}  // namespace dbps::launcher
