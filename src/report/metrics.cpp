#include "report/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"

namespace dbps::report {
namespace {

using Counts = std::vector<std::vector<int64_t>>;

constexpr double kThreshold = 0.5;

double ratio(double numerator, double denominator) {
  return denominator > 0 ? numerator / denominator : 0.0;
}

size_t class_count(const TaskOutputs& outputs) {
  return outputs.kind == "binary" ? 2 : outputs.classes.size();
}

void check(const TaskOutputs& outputs) {
  const bool multilabel = outputs.kind == "multilabel";
  const size_t columns = outputs.kind == "binary" ? 1 : outputs.classes.size();
  const size_t label_columns = multilabel ? outputs.classes.size() : 1;
  DBPS_CHECK(outputs.probabilities.size() == outputs.labels.size(),
             "as many rows of probabilities as of labels");
  for (size_t row = 0; row < outputs.labels.size(); ++row) {
    DBPS_CHECK(outputs.probabilities[row].size() == columns, "a probability a class");
    DBPS_CHECK(outputs.labels[row].size() == label_columns, "a label a picture, or one a class");
    for (const double probability : outputs.probabilities[row]) {
      if (!std::isfinite(probability)) {
        throw RuntimeFault(fmt::format(
            "no metrics: the probability in row {} is {}; the weights have probably diverged", row,
            probability));
      }
    }
    const double limit = multilabel ? 2 : static_cast<double>(class_count(outputs));
    for (const double label : outputs.labels[row]) {
      DBPS_CHECK(label >= 0 && label < limit, "a label within the classes");
    }
  }
}

size_t prediction(const TaskOutputs& outputs, size_t row) {
  const std::vector<double>& p = outputs.probabilities[row];
  if (outputs.kind == "binary") return p[0] > kThreshold ? 1 : 0;
  return static_cast<size_t>(std::max_element(p.begin(), p.end()) - p.begin());
}

// Of class `index` against the rest, column `column` of the probabilities.
std::optional<double> class_auc(const TaskOutputs& outputs, size_t index, size_t column) {
  std::vector<double> scores;
  std::vector<bool> positive;
  for (size_t row = 0; row < outputs.labels.size(); ++row) {
    const std::vector<double>& label = outputs.labels[row];
    scores.push_back(outputs.probabilities[row][column]);
    positive.push_back(outputs.kind == "multilabel" ? label[index] == 1
                                                    : static_cast<size_t>(label[0]) == index);
  }
  return roc_auc(scores, positive);
}

std::optional<double> mean_auc(const TaskOutputs& outputs) {
  if (outputs.kind == "binary") return class_auc(outputs, 1, 0);
  if (outputs.kind == "multiclass" && outputs.classes.size() == 2) return class_auc(outputs, 1, 1);
  double sum = 0;
  int defined = 0;
  for (size_t c = 0; c < outputs.classes.size(); ++c) {
    if (const auto auc = class_auc(outputs, c, c)) {
      sum += *auc;
      ++defined;
    }
  }
  if (defined == 0) return std::nullopt;
  return sum / defined;
}

// 1 - sum(weight * observed) / sum(weight * expected by chance).
std::optional<double> kappa(const Counts& counts, bool quadratic) {
  const size_t size = counts.size();
  std::vector<double> truth(size, 0), predicted(size, 0);
  double total = 0;
  for (size_t i = 0; i < size; ++i) {
    for (size_t j = 0; j < size; ++j) {
      const auto count = static_cast<double>(counts[i][j]);
      truth[i] += count;
      predicted[j] += count;
      total += count;
    }
  }
  double observed = 0, expected = 0;
  for (size_t i = 0; i < size; ++i) {
    for (size_t j = 0; j < size; ++j) {
      const double distance = static_cast<double>(i) - static_cast<double>(j);
      const double weight = quadratic ? distance * distance : (i == j ? 0.0 : 1.0);
      observed += weight * static_cast<double>(counts[i][j]);
      expected += weight * truth[i] * predicted[j] / total;
    }
  }
  if (expected == 0) return std::nullopt;
  return 1 - observed / expected;
}

std::map<std::string, double> single_label_metrics(const TaskOutputs& outputs) {
  const Counts counts = confusion(outputs);
  const std::vector<ClassFigures> figures = class_figures(counts);
  int64_t right = 0;
  double f1_sum = 0, recall_sum = 0;
  int seen = 0, in_truth = 0;
  for (size_t c = 0; c < counts.size(); ++c) {
    right += counts[c][c];
    int64_t predicted = 0;
    for (const auto& row : counts) predicted += row[c];
    // A class that stands neither in the truth nor among the predictions has no F1.
    if (figures[c].pictures + predicted > 0) {
      f1_sum += figures[c].f1;
      ++seen;
    }
    if (figures[c].pictures > 0) {
      recall_sum += figures[c].recall;
      ++in_truth;
    }
  }
  std::map<std::string, double> metrics{
      {"accuracy", static_cast<double>(right) / static_cast<double>(outputs.labels.size())},
      {"macro_f1", f1_sum / seen},
      {"balanced_accuracy", recall_sum / in_truth}};
  if (const auto value = kappa(counts, false)) metrics["kappa"] = *value;
  if (const auto value = kappa(counts, true)) metrics["quadratic_kappa"] = *value;
  return metrics;
}

std::map<std::string, double> multilabel_metrics(const TaskOutputs& outputs) {
  const size_t classes = outputs.classes.size();
  std::vector<double> hits(classes, 0), claims(classes, 0), truths(classes, 0);
  int64_t exact = 0;
  for (size_t row = 0; row < outputs.labels.size(); ++row) {
    bool all = true;
    for (size_t c = 0; c < classes; ++c) {
      const bool claimed = outputs.probabilities[row][c] > kThreshold;
      const bool true_label = outputs.labels[row][c] == 1;
      hits[c] += claimed && true_label;
      claims[c] += claimed;
      truths[c] += true_label;
      all = all && claimed == true_label;
    }
    exact += all;
  }
  double f1_sum = 0;
  for (size_t c = 0; c < classes; ++c) f1_sum += ratio(2 * hits[c], claims[c] + truths[c]);
  return {{"exact_match", static_cast<double>(exact) / static_cast<double>(outputs.labels.size())},
          {"macro_f1", f1_sum / static_cast<double>(classes)}};
}

}  // namespace

double class_probability(const TaskOutputs& outputs, size_t row, size_t index) {
  const std::vector<double>& p = outputs.probabilities[row];
  if (p.size() > 1) return p[index];
  return index == 1 ? p[0] : 1 - p[0];
}

std::vector<CalibrationBin> calibration(const TaskOutputs& outputs) {
  check(outputs);
  DBPS_CHECK(outputs.kind != "multilabel", "a multilabel picture has no one predicted class");
  std::vector<CalibrationBin> bins(kCalibrationBins);
  for (size_t row = 0; row < outputs.labels.size(); ++row) {
    const size_t predicted = prediction(outputs, row);
    const double confidence = class_probability(outputs, row, predicted);
    int bin = 0;
    while (bin + 1 < kCalibrationBins && confidence > (bin + 1) * (1.0 / kCalibrationBins)) ++bin;
    ++bins[bin].pictures;
    bins[bin].confidence += confidence;
    bins[bin].accuracy += outputs.labels[row][0] == static_cast<double>(predicted) ? 1 : 0;
  }
  std::erase_if(bins, [](const CalibrationBin& bin) { return bin.pictures == 0; });
  for (CalibrationBin& bin : bins) {
    bin.confidence /= static_cast<double>(bin.pictures);
    bin.accuracy /= static_cast<double>(bin.pictures);
  }
  return bins;
}

double expected_calibration_error(const std::vector<CalibrationBin>& bins) {
  double error = 0;
  int64_t pictures = 0;
  for (const CalibrationBin& bin : bins) {
    error += static_cast<double>(bin.pictures) * std::abs(bin.accuracy - bin.confidence);
    pictures += bin.pictures;
  }
  return ratio(error, static_cast<double>(pictures));
}

std::optional<double> roc_auc(const std::vector<double>& scores,
                              const std::vector<bool>& positive) {
  DBPS_CHECK(scores.size() == positive.size(), "a score a label");
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scores[a] < scores[b]; });
  // Twice the number of (negative, positive) pairs in the right order; whole numbers stay exact.
  double wins_twice = 0, negatives = 0, positives = 0;
  for (size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    double tied_positives = 0, tied_negatives = 0;
    for (end = begin; end < order.size() && scores[order[end]] == scores[order[begin]]; ++end) {
      (positive[order[end]] ? tied_positives : tied_negatives) += 1;
    }
    wins_twice += tied_positives * (2 * negatives + tied_negatives);
    negatives += tied_negatives;
    positives += tied_positives;
  }
  if (negatives == 0 || positives == 0) return std::nullopt;
  return wins_twice / (2 * negatives * positives);
}

Counts confusion(const TaskOutputs& outputs) {
  DBPS_CHECK(outputs.kind != "multilabel", "a confusion matrix needs one label a picture");
  check(outputs);
  const size_t classes = class_count(outputs);
  Counts counts(classes, std::vector<int64_t>(classes, 0));
  for (size_t row = 0; row < outputs.labels.size(); ++row) {
    ++counts[static_cast<size_t>(outputs.labels[row][0])][prediction(outputs, row)];
  }
  return counts;
}

std::vector<ClassFigures> class_figures(const Counts& confusion) {
  std::vector<ClassFigures> figures(confusion.size());
  for (size_t c = 0; c < confusion.size(); ++c) {
    int64_t predicted = 0;
    for (const auto& row : confusion) predicted += row[c];
    ClassFigures& figure = figures[c];
    figure.pictures = std::accumulate(confusion[c].begin(), confusion[c].end(), int64_t{0});
    const auto hits = static_cast<double>(confusion[c][c]);
    figure.precision = ratio(hits, static_cast<double>(predicted));
    figure.recall = ratio(hits, static_cast<double>(figure.pictures));
    figure.f1 = ratio(2 * hits, static_cast<double>(predicted + figure.pictures));
  }
  return figures;
}

const std::vector<std::string>& metric_names(const std::string& kind) {
  static const std::vector<std::string> kSingleLabel = {"accuracy", "auc",      "balanced_accuracy",
                                                        "kappa",    "macro_f1", "quadratic_kappa"};
  static const std::vector<std::string> kMultilabel = {"auc", "exact_match", "macro_f1"};
  return kind == "multilabel" ? kMultilabel : kSingleLabel;
}

std::map<std::string, double> compute_metrics(const TaskOutputs& outputs) {
  const bool multilabel = outputs.kind == "multilabel";
  DBPS_CHECK(multilabel || outputs.kind == "multiclass" || outputs.kind == "binary",
             "a task's kind is multiclass, multilabel or binary, not " + outputs.kind);
  check(outputs);
  if (outputs.labels.empty()) return {};
  std::map<std::string, double> metrics =
      multilabel ? multilabel_metrics(outputs) : single_label_metrics(outputs);
  if (const auto auc = mean_auc(outputs)) metrics["auc"] = *auc;
  return metrics;
}

}  // namespace dbps::report
