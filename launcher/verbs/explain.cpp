// `dbps explain RUN|MODEL.safetensors INPUT... --maps DIR`
#include <CLI/CLI.hpp>
#include <memory>

#include "launcher/predicting.h"
#include "launcher/verbs/verbs.h"

namespace dbps::launcher {
namespace {

constexpr const char* kHelp = R"(Writes to DIR, for each input (a / of its id becomes _):

  ID-overlay.png   attention as colour over the picture, or the slide made small
  ID-top.png       the patches that are paid most attention
  ID-scores.csv    index,x,y,width,height,score,rank,selected of every patch
  ID.geojson       the same as detections that QuPath opens
  ID-heat.tif      the colours as a pyramidal TIFF, aligned with the slide

Scores are head-mean attention of one softmax over all patches; places are pixels of the source (of
a slide, of level 0). Standard output is that of `dbps predict`.

Examples:
  dbps explain runs/slides slides/ --maps maps
  dbps explain demo.safetensors holiday.jpg --maps maps)";

}  // namespace

void add_explain(CLI::App& app, Context& context) {
  auto options = std::make_shared<PredictOptions>();
  options->every_patch = true;
  app.description("Predict, and draw the attention that is paid to every patch.");
  add_predict_options(app, *options);
  app.add_option("--maps", options->maps, "The folder to write to; made when it is not there")
      ->required();
  app.footer(kHelp);
  app.callback([options, &context] { run_prediction(*options, context); });
}

}  // namespace dbps::launcher
