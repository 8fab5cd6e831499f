// `dbps predict RUN|MODEL.safetensors INPUT...`
#include <CLI/CLI.hpp>
#include <memory>

#include "launcher/predicting.h"
#include "launcher/verbs/verbs.h"

namespace dbps::launcher {

void add_predict(CLI::App& app, Context& context) {
  auto options = std::make_shared<PredictOptions>();
  app.description(
      "Predict pictures, slides, folders of them or stores; one JSON line each, with what was "
      "selected. A model that was trained on tiles cuts a slide's file as its own slides were cut; "
      "one of features reads .npy, .safetensors, HDF5 and .pt files and stores of those.");
  add_predict_options(app, *options);
  app.add_option("--maps", options->maps,
                 "A folder for pictures of what was selected; of slides for heat maps, as explain "
                 "draws them");
  app.footer(
      "Examples:\n"
      "  dbps predict runs/demo-0 holiday.jpg --maps maps\n"
      "  dbps predict runs/slides slide.svs --maps maps\n"
      "  mpirun -n 2 dbps predict demo.safetensors pictures/ > predictions.jsonl");
  app.callback([options, &context] { run_prediction(*options, context); });
}

}  // namespace dbps::launcher
