// The figures of a report: tables of metrics, confusion, classes and time.
#pragma once

#include <string>
#include <vector>

#include "report/run_reader.h"

namespace dbps::report {

// Every split's last metrics, and those of the best epoch; "" without any.
std::string metrics_table(const Run& run);

// Confusion matrix and per-class figures, of every predictions-<split>.csv, else of the last
// evaluation; "" without either.
std::string confusion_tables(const Run& run);

// Where the time of the steps went; "" without steps.
// With the share of time waited for data, where every step tells it.
std::string phases_table(const Run& run);

// Last validation metrics, losses and speed of each run, with differences from the first.
std::string comparison_table(const std::vector<Run>& runs);

}  // namespace dbps::report
