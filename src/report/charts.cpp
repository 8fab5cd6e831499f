#include "report/charts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "report/page.h"
#include "report/svg.h"

namespace dbps::report {
namespace {

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();
constexpr char kValidation[] = "validation";

std::vector<Point> of_steps(const Run& run, double StepEvent::*figure) {
  std::vector<Point> points;
  for (const StepEvent& step : run.steps) points.push_back({step.step, step.*figure});
  return points;
}

// An exponential mean over about 3 % of the curve, corrected for its start; gaps stay gaps.
std::vector<Point> smooth(std::vector<Point> points) {
  const double window = std::max(1.0, 0.03 * static_cast<double>(points.size()));
  const double keep = 1 - 1 / window;
  double mean = 0, weight = 0;
  for (Point& point : points) {
    if (!std::isfinite(point.y)) continue;
    mean = keep * mean + (1 - keep) * point.y;
    weight = keep * weight + (1 - keep);
    point.y = mean / weight;
  }
  return points;
}

std::vector<Point> validation_loss(const Run& run) {
  std::vector<Point> points;
  for (const EvaluationEvent& event : run.evaluations) {
    if (event.split == kValidation) points.push_back({event.step, event.loss});
  }
  return points;
}

std::vector<Point> validation_metric(const Run& run, const std::string& task,
                                     const std::string& metric) {
  std::vector<Point> points;
  for (const EvaluationEvent& event : run.evaluations) {
    if (event.split != kValidation) continue;
    const auto metrics = event.tasks.find(task);
    if (metrics == event.tasks.end()) continue;
    const auto value = metrics->second.find(metric);
    points.push_back({event.epoch, value == metrics->second.end() ? kMissing : value->second});
  }
  return points;
}

// Task, metric; the loss of a task is left to the chart of losses.
std::set<std::pair<std::string, std::string>> measured(const std::vector<Run>& runs) {
  std::set<std::pair<std::string, std::string>> names;
  for (const Run& run : runs) {
    for (const EvaluationEvent& event : run.evaluations) {
      if (event.split != kValidation) continue;
      for (const auto& [task, metrics] : event.tasks) {
        for (const auto& [metric, value] : metrics) {
          if (metric != "loss") names.emplace(task, metric);
        }
      }
    }
  }
  return names;
}

std::vector<Point> rate(const Run& run) {
  std::vector<Point> points;
  for (const StepEvent& step : run.steps) {
    points.push_back({step.step, step.seconds > 0 ? step.images / step.seconds : kMissing});
  }
  return smooth(std::move(points));
}

std::string calibration_chart(const std::string& of, const std::vector<CalibrationBin>& bins) {
  Chart chart{fmt::format("{}: error {}", of, metric_text(expected_calibration_error(bins))),
              "probability of the predicted class",
              {{"as it should be", {{0, 0}, {1, 1}}, Series::Style::kFaint, 0},
               {"accuracy", {}, Series::Style::kMarked, 0}},
              true};
  for (const CalibrationBin& bin : bins) {
    chart.series.back().points.push_back({bin.confidence, bin.accuracy});
  }
  return bins.empty() ? "" : line_chart(chart);
}

std::string grid(const std::string& charts) {
  return charts.empty() ? "" : "<div class=\"charts\">\n" + charts + "</div>\n";
}

}  // namespace

double final_training_loss(const Run& run) {
  const std::vector<Point> points = smooth(of_steps(run, &StepEvent::loss));
  const auto last = std::find_if(points.rbegin(), points.rend(),
                                 [](const Point& point) { return std::isfinite(point.y); });
  return last == points.rend() ? kMissing : last->y;
}

double throughput(const Run& run) {
  double images = 0, seconds = 0;
  for (size_t i = run.steps.size() > 1 ? 1 : 0; i < run.steps.size(); ++i) {
    const StepEvent& step = run.steps[i];
    if (!std::isfinite(step.images) || !std::isfinite(step.seconds)) continue;
    images += step.images;
    seconds += step.seconds;
  }
  return seconds > 0 ? images / seconds : kMissing;
}

std::string run_charts(const Run& run) {
  const std::vector<Point> losses = of_steps(run, &StepEvent::loss);
  std::string charts =
      line_chart({"Loss",
                  "step",
                  {{"training, each step", losses, Series::Style::kFaint, 0},
                   {"training, smoothed", smooth(losses), Series::Style::kLine, 0},
                   {"validation", validation_loss(run), Series::Style::kMarked, 1}},
                  false});
  const auto names = measured({run});
  std::set<std::string> tasks;
  for (const auto& [task, metric] : names) tasks.insert(task);
  for (const std::string& task : tasks) {
    Chart chart{tasks.size() > 1 ? "Validation metrics: " + task : "Validation metrics",
                "epoch",
                {},
                false};
    for (const auto& [owner, metric] : names) {
      if (owner != task) continue;
      chart.series.push_back({metric_title(metric), validation_metric(run, task, metric),
                              Series::Style::kMarked, static_cast<int>(chart.series.size())});
    }
    charts += line_chart(chart);
  }
  charts += line_chart(
      {"Learning rate",
       "step",
       {{"learning rate", of_steps(run, &StepEvent::learning_rate), Series::Style::kLine, 2}},
       true});
  charts += line_chart(
      {"Pictures a second", "step", {{"smoothed", rate(run), Series::Style::kLine, 3}}, true});
  return grid(charts);
}

std::string calibration_charts(const Run& run) {
  std::string charts;
  for (const Predictions& predictions : run.predictions) {
    charts += calibration_chart(title_of(predictions), calibration(predictions.outputs));
  }
  if (charts.empty()) {
    const auto last = std::find_if(run.evaluations.rbegin(), run.evaluations.rend(),
                                   [](const auto& event) { return !event.calibration.empty(); });
    if (last == run.evaluations.rend()) return "";
    for (const auto& [task, bins] : last->calibration) {
      charts += calibration_chart(title_of(*last, task), bins);
    }
  }
  if (charts.empty()) return "";
  return grid(charts) +
         fmt::format(
             "<p class=\"note\">Pictures in {} bins by the probability of their predicted class. "
             "Below the "
             "diagonal the model is too sure of itself, above it not sure enough. The error is the "
             "mean "
             "distance from it over all pictures (expected calibration error).</p>\n",
             kCalibrationBins);
}

std::string comparison_charts(const std::vector<Run>& runs) {
  const auto overlay = [&](const std::string& title, const char* x_label, Series::Style style,
                           bool from_zero, const auto& points) {
    Chart chart{title, x_label, {}, from_zero};
    for (size_t i = 0; i < runs.size(); ++i) {
      chart.series.push_back({runs[i].name, points(runs[i]), style, static_cast<int>(i)});
    }
    return line_chart(chart);
  };
  std::string charts =
      overlay("Training loss, smoothed", "step", Series::Style::kLine, false,
              [](const Run& run) { return smooth(of_steps(run, &StepEvent::loss)); });
  charts += overlay("Validation loss", "step", Series::Style::kMarked, false, validation_loss);
  const auto names = measured(runs);
  const bool several_tasks = !names.empty() && names.begin()->first != names.rbegin()->first;
  for (const auto& [task, metric] : names) {
    const std::string title = "Validation: " + metric_title(metric);
    charts +=
        overlay(several_tasks ? title + " of " + task : title, "epoch", Series::Style::kMarked,
                false, [&, task = task, metric = metric](const Run& run) {
                  return validation_metric(run, task, metric);
                });
  }
  charts += overlay("Learning rate", "step", Series::Style::kLine, true,
                    [](const Run& run) { return of_steps(run, &StepEvent::learning_rate); });
  charts += overlay("Pictures a second", "step", Series::Style::kLine, true, rate);
  return grid(charts);
}

}  // namespace dbps::report
