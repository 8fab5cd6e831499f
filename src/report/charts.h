// Which curves a report shows, of one run or of several laid over each other.
#pragma once

#include <string>
#include <vector>

#include "report/run_reader.h"

namespace dbps::report {

// Loss, metrics of each task, learning rate, throughput: "" where the run has no such events.
std::string run_charts(const Run& run);

// Accuracy over the probability of the predicted class, with the expected calibration error: of
// every predictions-<split>.csv, else of the last evaluation; "" without either.
std::string calibration_charts(const Run& run);

// The curves of run_charts, a line a run; only metrics that at least one run measured.
std::string comparison_charts(const std::vector<Run>& runs);

// The mean of the last few per cent of the training losses, as the smoothed curve ends; NaN without
// any.
double final_training_loss(const Run& run);

// Pictures a second over all steps but the first, which warms caches up; NaN without any.
double throughput(const Run& run);

}  // namespace dbps::report
