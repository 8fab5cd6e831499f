// Metrics over all pictures of a split, exact: computed from every picture's probabilities.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace dbps::report {

// Outputs of one task for n pictures; rows without a label are left out by the caller.
struct TaskOutputs {
  std::string kind;                          // "multiclass" | "multilabel" | "binary"
  std::vector<std::string> classes;          // C names; binary: the two classes
  std::vector<std::vector<double>> probabilities;  // n x C (binary: n x 1, of the positive class)
  std::vector<std::vector<double>> labels;   // n x 1 class index; multilabel: n x C of 0 / 1
};

// accuracy, auc (macro one-vs-rest for C > 2; absent when undefined), macro_f1, balanced_accuracy,
// kappa, quadratic_kappa; multilabel: exact_match, auc, macro_f1 at 0.5. Equal to scikit-learn's to
// 1e-9, ties counted half.
std::map<std::string, double> compute_metrics(const TaskOutputs& outputs);

// rows: truth, columns: prediction. Multiclass and binary.
std::vector<std::vector<int64_t>> confusion(const TaskOutputs& outputs);

}  // namespace dbps::report
