#include "report/results.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <set>

#include "base/text.h"
#include "report/charts.h"
#include "report/page.h"

namespace dbps::report {
namespace {

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();
constexpr size_t kMatrixClasses = 30;
constexpr size_t kConfusedPairs = 20;
constexpr size_t kClassesAbreast = 8;  // a larger matrix takes the page's whole width

using Rows = std::map<std::pair<std::string, std::string>, double>;  // task, metric -> value

struct Column {
  std::string title;
  Rows values;
};

Rows rows_of(const EvaluationEvent& event) {
  Rows rows;
  if (std::isfinite(event.loss)) rows[{"", "loss"}] = event.loss;
  for (const auto& [task, metrics] : event.tasks) {
    for (const auto& [metric, value] : metrics) rows[{task, metric}] = value;
  }
  return rows;
}

const EvaluationEvent* last_of(const Run& run, const std::string& split) {
  const auto found = std::find_if(run.evaluations.rbegin(), run.evaluations.rend(),
                                  [&](const auto& event) { return event.split == split; });
  return found == run.evaluations.rend() ? nullptr : &*found;
}

std::string row_title(const std::string& task, const std::string& metric, bool name_task) {
  const std::string title = metric_title(metric);
  return name_task && !task.empty() ? task + ": " + title : title;
}

bool several_tasks(const std::set<std::pair<std::string, std::string>>& names) {
  std::set<std::string> tasks;
  for (const auto& [task, metric] : names) {
    if (!task.empty()) tasks.insert(task);
  }
  return tasks.size() > 1;
}

std::vector<Column> metric_columns(const Run& run) {
  std::vector<Column> columns;
  std::vector<std::string> splits;
  for (const EvaluationEvent& event : run.evaluations) {
    if (std::find(splits.begin(), splits.end(), event.split) == splits.end()) {
      splits.push_back(event.split);
    }
  }
  for (const std::string& split : splits) {
    const EvaluationEvent& last = *last_of(run, split);
    const auto best = std::find_if(
        run.evaluations.begin(), run.evaluations.end(),
        [&](auto& event) { return event.split == split && event.epoch == run.best_epoch; });
    if (best != run.evaluations.end() && best->epoch != last.epoch) {
      columns.push_back(
          {fmt::format("{}, best epoch ({})", split, number_text(best->epoch)), rows_of(*best)});
    }
    columns.push_back({fmt::format("{}, epoch {}", split, number_text(last.epoch)), rows_of(last)});
  }
  for (const Predictions& predictions : run.predictions) {
    Rows rows;
    for (const auto& [metric, value] : compute_metrics(predictions.outputs)) {
      rows[{predictions.task, metric}] = value;
    }
    columns.push_back({fmt::format("predictions-{}.csv", predictions.split), std::move(rows)});
  }
  return columns;
}

std::string matrix_html(const ConfusionMatrix& matrix) {
  std::string out =
      "<div class=\"scroll\"><table class=\"matrix\"><thead><tr><th scope=\"col\">truth \\ "
      "prediction</th>";
  for (const std::string& name : matrix.classes) {
    out += fmt::format("<th scope=\"col\">{}</th>", escape(name));
  }
  out += "</tr></thead><tbody>";
  for (size_t i = 0; i < matrix.classes.size(); ++i) {
    int64_t total = 0;
    for (const int64_t count : matrix.counts[i]) total += count;
    out += fmt::format("<tr><th scope=\"row\">{}</th>", escape(matrix.classes[i]));
    for (size_t j = 0; j < matrix.classes.size(); ++j) {
      const int64_t count = matrix.counts[i][j];
      const double share = total > 0 ? static_cast<double>(count) / static_cast<double>(total) : 0;
      out += fmt::format(
          "<td{} style=\"background:rgba(var(--shade),{:.3f})\" title=\"{} taken for {}: {} of {} "
          "({:.1f} %)\">{}</td>",
          i == j ? " class=\"right\"" : "", 0.04 + 0.5 * share, escape(matrix.classes[i]),
          escape(matrix.classes[j]), count, total, 100 * share, count);
    }
    out += "</tr>";
  }
  return out + "</tbody></table></div>";
}

// For a matrix too large to read.
std::string confused_pairs_html(const ConfusionMatrix& matrix) {
  struct Pair {
    int64_t count;
    size_t truth, taken_for;
  };
  std::vector<Pair> pairs;
  for (size_t i = 0; i < matrix.classes.size(); ++i) {
    for (size_t j = 0; j < matrix.classes.size(); ++j) {
      if (i != j && matrix.counts[i][j] > 0) pairs.push_back({matrix.counts[i][j], i, j});
    }
  }
  std::stable_sort(pairs.begin(), pairs.end(),
                   [](const Pair& a, const Pair& b) { return a.count > b.count; });
  if (pairs.size() > kConfusedPairs) pairs.resize(kConfusedPairs);
  std::string out =
      "<div class=\"scroll\"><table><thead><tr><th scope=\"col\">Truth</th><th "
      "scope=\"col\">Taken for</th><th scope=\"col\">Pictures</th></tr></thead><tbody>";
  for (const Pair& pair : pairs) {
    out += fmt::format("<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td></tr>",
                       escape(matrix.classes[pair.truth]), escape(matrix.classes[pair.taken_for]),
                       pair.count);
  }
  return out + "</tbody></table></div><p class=\"note\">The most frequent confusions.</p>";
}

// `auc` is empty where only counts are known.
std::string class_table(const ConfusionMatrix& matrix, const std::vector<double>& auc) {
  const std::vector<ClassFigures> figures = class_figures(matrix.counts);
  std::string out =
      "<div class=\"scroll\"><table class=\"wide\"><thead><tr><th scope=\"col\">Class</th><th "
      "scope=\"col\">Pictures</th><th scope=\"col\">Precision</th><th scope=\"col\">Recall</th><th "
      "scope=\"col\">F1</th>";
  if (!auc.empty()) out += "<th scope=\"col\">ROC AUC</th>";
  out += "</tr></thead><tbody>";
  for (size_t c = 0; c < figures.size(); ++c) {
    out += fmt::format("<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td>",
                       escape(matrix.classes[c]), figures[c].pictures,
                       metric_text(figures[c].precision), metric_text(figures[c].recall),
                       metric_text(figures[c].f1));
    if (!auc.empty()) out += fmt::format("<td>{}</td>", metric_text(auc[c]));
    out += "</tr>";
  }
  return out + "</tbody></table></div>";
}

std::vector<double> auc_by_class(const TaskOutputs& outputs) {
  std::vector<double> figures;
  for (size_t c = 0; c < outputs.classes.size(); ++c) {
    std::vector<double> scores;
    std::vector<bool> positive;
    for (size_t row = 0; row < outputs.labels.size(); ++row) {
      scores.push_back(class_probability(outputs, row, c));
      positive.push_back(outputs.labels[row][0] == static_cast<double>(c));
    }
    figures.push_back(roc_auc(scores, positive).value_or(kMissing));
  }
  return figures;
}

std::string confusion_html(const std::string& title, const ConfusionMatrix& matrix,
                           const std::vector<double>& auc) {
  return fmt::format(
      "<h3>{}</h3><div class=\"{}\"><div>{}</div><div>{}</div></div>\n", escape(title),
      matrix.classes.size() <= kClassesAbreast ? "pair" : "stack",
      matrix.classes.size() <= kMatrixClasses ? matrix_html(matrix) : confused_pairs_html(matrix),
      class_table(matrix, auc));
}

std::string difference_text(double value, double reference) {
  if (!std::isfinite(value) || !std::isfinite(reference)) return "";
  const double difference = value - reference;
  if (std::abs(difference) < 0.0005) return "<small>\u00b10.000</small>";
  return fmt::format("<small>{}{:.3f}</small>", difference < 0 ? "\u2212" : "+",
                     std::abs(difference));
}

std::string comparison_row(const std::string& title, const std::vector<double>& values,
                           const std::function<std::string(double)>& text, bool differences) {
  std::string row = fmt::format("<tr><th scope=\"row\">{}</th>", escape(title));
  for (size_t i = 0; i < values.size(); ++i) {
    row += fmt::format("<td>{}{}</td>", text(values[i]),
                       differences && i > 0 ? difference_text(values[i], values[0]) : "");
  }
  return row + "</tr>";
}

}  // namespace

std::string metrics_table(const Run& run) {
  const std::vector<Column> columns = metric_columns(run);
  std::set<std::pair<std::string, std::string>> names;
  for (const Column& column : columns) {
    for (const auto& [name, value] : column.values) names.insert(name);
  }
  if (names.empty()) return "";
  std::string out =
      "<div class=\"scroll\"><table class=\"words\"><thead><tr><th scope=\"col\">Metric</th>";
  for (const Column& column : columns) {
    out += fmt::format("<th scope=\"col\">{}</th>", escape(column.title));
  }
  out += "</tr></thead><tbody>";
  for (const auto& name : names) {
    out += fmt::format("<tr><th scope=\"row\">{}</th>",
                       escape(row_title(name.first, name.second, several_tasks(names))));
    for (const Column& column : columns) {
      const auto value = column.values.find(name);
      out += fmt::format("<td>{}</td>",
                         metric_text(value == column.values.end() ? kMissing : value->second));
    }
    out += "</tr>";
  }
  return out + "</tbody></table></div>\n";
}

std::string confusion_tables(const Run& run) {
  std::string out;
  for (const Predictions& predictions : run.predictions) {
    out += confusion_html(title_of(predictions),
                          {predictions.outputs.classes, confusion(predictions.outputs)},
                          auc_by_class(predictions.outputs));
  }
  if (!out.empty()) return out;
  const auto last = std::find_if(run.evaluations.rbegin(), run.evaluations.rend(),
                                 [](const auto& event) { return !event.confusion.empty(); });
  if (last == run.evaluations.rend()) return "";
  for (const auto& [task, matrix] : last->confusion) {
    out += confusion_html(title_of(*last, task), matrix, {});
  }
  return out;
}

std::string phases_table(const Run& run) {
  static const std::vector<std::string> kOrder{"read",     "scan",   "forward",
                                               "backward", "reduce", "optimizer"};
  std::map<std::string, double> sums;
  double total = 0, named = 0, waited = 0;
  for (const StepEvent& step : run.steps) {
    if (std::isfinite(step.seconds)) total += step.seconds;
    waited += step.read_wait;
    for (const auto& [phase, seconds] : step.phases) {
      sums[phase] += seconds;
      named += seconds;
    }
  }
  if (sums.empty()) return "";
  std::vector<std::pair<std::string, double>> rows;
  for (const std::string& phase : kOrder) {
    if (const auto found = sums.find(phase); found != sums.end()) {
      rows.emplace_back(*found);
      sums.erase(found);
    }
  }
  rows.insert(rows.end(), sums.begin(), sums.end());
  if (total > named) rows.emplace_back("other", total - named);
  const double whole = std::max({total, named, 1e-12});
  const auto steps = static_cast<double>(run.steps.size());
  std::string out =
      "<div class=\"scroll\"><table class=\"wide bars\"><thead><tr><th scope=\"col\">Phase</th><th "
      "scope=\"col\"></th><th scope=\"col\">Share</th><th scope=\"col\">A step</th><th "
      "scope=\"col\">All</th></tr></thead><tbody>";
  for (const auto& [phase, seconds] : rows) {
    out += fmt::format(
        "<tr><th scope=\"row\">{}</th><td class=\"track\"><span class=\"bar\" "
        "style=\"width:{:.1f}%\"></span></td><td>{:.1f} %</td><td>{:.1f} ms</td><td>{}</td></tr>",
        escape(phase), 100 * seconds / whole, 100 * seconds / whole, 1000 * seconds / steps,
        format_seconds(seconds));
  }
  out += "</tbody></table></div>\n";
  if (std::isfinite(waited)) {
    out += fmt::format(
        "<p>{:.1f} % of the time no batch was ready and the step waited for data.</p>\n",
        100 * waited / whole);
  }
  return out;
}

std::string comparison_table(const std::vector<Run>& runs) {
  std::vector<Rows> columns;
  std::set<std::pair<std::string, std::string>> names;
  std::string head = "<th scope=\"col\">Last validation</th>";
  for (const Run& run : runs) {
    const EvaluationEvent* last = last_of(run, "validation");
    columns.push_back(last != nullptr ? rows_of(*last) : Rows());
    for (const auto& [name, value] : columns.back()) names.insert(name);
    head += fmt::format("<th scope=\"col\">{}</th>", escape(run.name));
  }
  std::string body;
  for (const auto& name : names) {
    std::vector<double> values;
    for (const Rows& column : columns) {
      const auto value = column.find(name);
      values.push_back(value == column.end() ? kMissing : value->second);
    }
    body += comparison_row(row_title(name.first, name.second, several_tasks(names)), values,
                           metric_text, true);
  }
  const auto figure = [&](const auto& of) {
    std::vector<double> values;
    for (const Run& run : runs) values.push_back(of(run));
    return values;
  };
  body += comparison_row("Training loss, smoothed", figure(final_training_loss), metric_text, true);
  body += comparison_row("Best value of the monitored metric",
                         figure([](const Run& run) { return run.best_value; }), metric_text, true);
  body += comparison_row(
      "Steps", figure([](const Run& run) { return static_cast<double>(run.steps.size()); }),
      number_text, false);
  body += comparison_row("Pictures a second", figure(throughput), number_text, false);
  return fmt::format(
      "<div class=\"scroll\"><table class=\"words\"><thead><tr>{}</tr></thead><tbody>{}</tbody>"
      "</table></div><p class=\"note\">Small figures: the difference from {}.</p>\n",
      head, body, escape(runs.front().name));
}

}  // namespace dbps::report
