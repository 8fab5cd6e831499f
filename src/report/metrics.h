// Metrics over all pictures of a split, exact: computed from every picture's probabilities.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace dbps::report {

// Outputs of one task for n pictures; rows without a label are left out by the caller.
struct TaskOutputs {
  std::string kind;                                // "multiclass" | "multilabel" | "binary"
  std::vector<std::string> classes;                // C names; binary: the two classes
  std::vector<std::vector<double>> probabilities;  // n x C (binary: n x 1, of the positive class)
  std::vector<std::vector<double>> labels;         // n x 1 class index; multilabel: n x C of 0 / 1
};

// accuracy, auc (macro one-vs-rest for C > 2; absent when undefined), macro_f1, balanced_accuracy,
// kappa, quadratic_kappa; multilabel: exact_match, auc, macro_f1 at 0.5. Equal to scikit-learn's to
// 1e-9, ties counted half.
//
// A picture's prediction is its first most probable class; binary and multilabel: probability >
// 0.5, so that a tie goes to the class without, as in scikit-learn's own classifiers. Where
// scikit-learn refuses or gives NaN, this goes on with what is defined: auc is the mean over the
// classes of which the split holds both pictures with and without; kappa is absent when truth and
// prediction are one and the same class throughout. quadratic_kappa weighs by the distance of class
// indices among all C, as scikit-learn's does with labels=range(C): without that it numbers only
// the classes that occur, and a grade missing from a split would bring its neighbours together. No
// pictures: no metrics. Throws RuntimeFault when a probability is not finite.
std::map<std::string, double> compute_metrics(const TaskOutputs& outputs);

// What compute_metrics may give for a kind of task; one that is undefined there is absent.
const std::vector<std::string>& metric_names(const std::string& kind);

// Of class `index` of a picture; multiclass and binary.
double class_probability(const TaskOutputs& outputs, size_t row, size_t index);

// rows: truth, columns: prediction. Multiclass and binary.
std::vector<std::vector<int64_t>> confusion(const TaskOutputs& outputs);

// Of the pictures whose predicted class has a probability above one multiple of 1 / bins, up to the
// next.
struct CalibrationBin {
  int64_t pictures = 0;
  double confidence = 0;  // mean probability of the predicted class
  double accuracy = 0;
};
constexpr int kCalibrationBins = 10;

// How far probabilities can be believed (Guo et al., "On Calibration of Modern Neural Networks",
// ICML 2017, section 2): the bins that hold pictures, from low to high. Multiclass and binary.
std::vector<CalibrationBin> calibration(const TaskOutputs& outputs);

// Equation 3 there: mean over the pictures of their bin's |accuracy - confidence|; 0 of none.
double expected_calibration_error(const std::vector<CalibrationBin>& bins);

// The probability that a picture with the label scores above one without, ties counted half;
// nothing when one of the two kinds is missing. Scores must be finite.
std::optional<double> roc_auc(const std::vector<double>& scores, const std::vector<bool>& positive);

// One class against the rest, from a confusion matrix; 0 where nothing was found or predicted.
struct ClassFigures {
  int64_t pictures = 0;  // whose truth it is
  double precision = 0;
  double recall = 0;
  double f1 = 0;
};
std::vector<ClassFigures> class_figures(const std::vector<std::vector<int64_t>>& confusion);

}  // namespace dbps::report
