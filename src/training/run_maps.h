// The pictures in a run's folder of what was selected: of the pictures or slides that were told
// best and worst, and of some other pictures.
#pragma once

#include <filesystem>
#include <functional>

#include "config/config.h"
#include "data/dataset.h"
#include "training/evaluation.h"

namespace dbps::training {

// Whether an evaluation must keep the attention of every patch for these.
bool draws_attention(const config::Config& config, const data::Dataset& dataset);

// Draws report.maps_per_epoch of the evaluation's slides: those of lowest and highest loss, as
// 1-best-ID, 1-worst-ID, 2-best-ID, ..., each on the rank that predicted it. Of pictures half as
// many of these, and others at even distances, all on rank 0. Features are not drawn. Tells
// `between` after each. Not collective; what cannot be drawn is warned about.
void draw_run_maps(const std::filesystem::path& folder, const config::Config& config,
                   const data::Dataset& dataset, const Evaluation& evaluation, int rank,
                   const std::function<void()>& between);

}  // namespace dbps::training
