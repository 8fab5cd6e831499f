// make_tiles FOLDER key=value ...: a store of made-up slides, for the tests of the whole program
// and for measurements. Half of the slides are tumours; of the train, validation and test splits
// each.
//   slides=24 validation=8 test=8 least=20 most=60 (tiles, log-uniform) tile=32 jpeg=0 pool=0
//   parts=1 (of every third slide) lesions=0.1 seed=1
#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <map>

#include "support/tile_store.h"

using dbps::RandomStream;
using namespace dbps::data;

int main(int argc, char** argv) {
  std::map<std::string, double> given = {
      {"slides", 24}, {"validation", 8}, {"test", 8},  {"least", 20},    {"most", 60}, {"tile", 32},
      {"jpeg", 0},    {"pool", 0},       {"parts", 1}, {"lesions", 0.1}, {"seed", 1}};
  if (argc < 2) return 64;
  for (int i = 2; i < argc; ++i) {
    const std::string text = argv[i];
    const size_t equals = text.find('=');
    if (equals == std::string::npos || !given.contains(text.substr(0, equals))) return 64;
    given[text.substr(0, equals)] = std::atof(text.c_str() + equals + 1);
  }
  RandomStream random(static_cast<uint64_t>(given["seed"]), dbps::Purpose::kDemo);
  std::vector<MadeSlide> slides;
  for (const char* split : {"train", "validation", "test"}) {
    const auto count =
        static_cast<int64_t>(given[split == std::string("train") ? "slides" : split]);
    for (int64_t i = 0; i < count; ++i) {
      MadeSlide slide;
      slide.id = fmt::format("{}-{:03}", split, i);
      slide.split = split;
      slide.tumour = i % 2 == 1;
      slide.tiles =
          std::llround(std::exp(random.uniform(std::log(given["least"]), std::log(given["most"]))));
      slide.parts = i % 3 == 0 ? static_cast<int64_t>(given["parts"]) : 1;
      slides.push_back(slide);
    }
  }
  MadeTiles how;
  how.tile_size = static_cast<int64_t>(given["tile"]);
  how.codec = given["jpeg"] > 0 ? dbps::store::Codec::kJpeg : dbps::store::Codec::kPng;
  how.pool = static_cast<int64_t>(given["pool"]);
  how.lesion_share = given["lesions"];
  make_tile_store(argv[1], slides, how);
  return 0;
}
