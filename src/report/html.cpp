#include "report/html.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "report/charts.h"
#include "report/page.h"
#include "report/results.h"
#include "report/run_reader.h"

namespace dbps::report {

namespace fs = std::filesystem;

namespace {

constexpr size_t kMaps = 12;

std::string fact(const std::string& title, const std::string& value, const std::string& note) {
  return fmt::format("<div><dt>{}</dt><dd>{}{}</dd></div>", escape(title), escape(value),
                     note.empty() ? "" : "<small>" + escape(note) + "</small>");
}

double last_epoch(const Run& run) {
  double epoch = std::nan("");
  for (const StepEvent& step : run.steps) epoch = std::fmax(epoch, step.epoch);
  for (const EvaluationEvent& event : run.evaluations) epoch = std::fmax(epoch, event.epoch);
  return epoch;
}

double last_step(const Run& run) {
  double last = std::nan("");
  for (const StepEvent& step : run.steps) last = std::fmax(last, step.step);
  return last;
}

std::string facts(const Run& run) {
  std::string out;
  if (std::isfinite(run.best_value)) {
    out += fact("Best " + metric_title(run.best_metric), metric_text(run.best_value),
                "epoch " + number_text(run.best_epoch));
  }
  for (auto event = run.evaluations.rbegin(); event != run.evaluations.rend(); ++event) {
    if (event->split != "validation" || !std::isfinite(event->loss)) continue;
    out += fact("Validation loss", metric_text(event->loss), "epoch " + number_text(event->epoch));
    break;
  }
  const double training_loss = final_training_loss(run);
  if (std::isfinite(training_loss)) {
    out += fact("Training loss", metric_text(training_loss), "smoothed, at the end");
  }
  const double rate = throughput(run);
  if (std::isfinite(rate)) out += fact("Pictures a second", number_text(rate), "while training");
  double peak = 0;
  for (const StepEvent& step : run.steps) peak = std::fmax(peak, step.device_bytes_peak);
  if (peak > 0) out += fact("Tensor memory", format_bytes(peak), "peak of a training step");
  return out.empty() ? "" : "<dl class=\"facts\">" + out + "</dl>\n";
}

std::string lede(const Run& run) {
  std::string words = run.ended ? "Finished" : "Not finished";
  if (std::isfinite(last_epoch(run))) {
    words += fmt::format(": epoch {}, step {}", number_text(last_epoch(run)),
                         number_text(last_step(run)));
  }
  if (std::isfinite(run.seconds)) words += fmt::format(", {}", format_seconds(run.seconds));
  if (run.resumes > 0) {
    words += fmt::format(", resumed {} time{}", run.resumes, run.resumes == 1 ? "" : "s");
  }
  return fmt::format("<p class=\"lede\">{}.</p>\n", words);
}

std::string remarks(const Run& run) {
  if (run.remarks.empty()) return "";
  std::string out = "<ul class=\"remarks\">";
  for (const std::string& remark : run.remarks) out += fmt::format("<li>{}</li>", escape(remark));
  return out + "</ul>\n";
}

// "test: " of what `eval` has drawn.
std::string split_of(const fs::path& map) {
  const std::string folder = map.parent_path().filename().string();
  const bool is_split = folder == "train" || folder == "validation" || folder == "test";
  return is_split ? folder + ": " : "";
}

// What the pictures show, by the names that training/heat_maps.h gives them.
std::string maps_note(bool heat) {
  if (!heat) {
    return "The picture, its salient patches, its sub-salient ones, and both; dimmed: what was "
           "scanned and left. Best and worst: the pictures of lowest and highest loss.";
  }
  return "Overlays: the attention that each tile is paid, in times the mean of its slide; what has "
         "no colour was not looked at. Tops: the tiles that are paid most, framed in orange where "
         "they were salient. Best and worst: the slides of lowest and highest loss.";
}

std::string maps(const Run& run) {
  std::string out;
  bool heat = false;
  for (size_t i = 0; i < std::min(kMaps, run.maps.size()); ++i) {
    std::vector<uint8_t> bytes;
    try {
      bytes = read_file(run.maps[i]);
    } catch (const DataError&) {
      continue;  // gone since the folder was listed
    }
    const bool png = bytes.size() > 1 && bytes[0] == 0x89 && bytes[1] == 'P';
    const std::string stem = run.maps[i].stem().string();
    heat = heat || stem.ends_with("-overlay");
    const std::string caption = escape(split_of(run.maps[i]) + stem);
    out += fmt::format(
        "<figure><img alt=\"Selected patches of {0}\" src=\"data:image/{1};base64,{2}\">"
        "<figcaption>{0}</figcaption></figure>\n",
        caption, png ? "png" : "jpeg", base64(bytes));
  }
  if (out.empty()) return "";
  const bool evaluated = !split_of(run.maps.front()).empty();  // its pictures come first
  const std::string epoch =
      run.maps_epoch >= 0
          ? fmt::format(" {}fter epoch {}.", evaluated ? "Those without a split's name: a" : "A",
                        run.maps_epoch)
          : "";
  const std::string more =
      run.maps.size() > kMaps ? fmt::format(" The first {} of {} pictures.", kMaps, run.maps.size())
                              : "";
  return fmt::format("<div class=\"maps\">\n{}</div><p class=\"note\">{}{}{}</p>\n", out,
                     maps_note(heat), epoch, more);
}

std::string provenance(const Run& run) {
  if (run.provenance.empty()) return "";
  std::string rows;
  for (const auto& [key, value] : run.provenance) {
    rows +=
        fmt::format("<tr><th scope=\"row\">{}</th><td>{}</td></tr>", escape(key), escape(value));
  }
  return "<table class=\"provenance\"><tbody>" + rows + "</tbody></table>\n";
}

std::string configuration(const Run& run) {
  if (run.config.empty()) return "";
  return fmt::format(
      "<details><summary>Configuration</summary><pre tabindex=\"0\">{}</pre></details>\n",
      escape(run.config));
}

std::string run_body(const Run& run) {
  return lede(run) + remarks(run) + facts(run) + section("Curves", run_charts(run)) +
         section("Metrics", metrics_table(run)) +
         section("Confusion and classes", confusion_tables(run)) +
         section("Calibration", calibration_charts(run)) + section("Selected patches", maps(run)) +
         section("Time", phases_table(run)) +
         section("Provenance", provenance(run) + configuration(run));
}

std::string head(const std::string& kicker, const std::string& title) {
  return fmt::format("<p class=\"kicker\">{}</p>\n<h1>{}</h1>\n", escape(kicker), escape(title));
}

// Folders of one name from different places get their place into the name.
void tell_apart(std::vector<Run>& runs, const std::vector<fs::path>& folders) {
  std::map<std::string, int> seen;
  for (const Run& run : runs) ++seen[run.name];
  for (size_t i = 0; i < runs.size(); ++i) {
    if (seen[runs[i].name] > 1) runs[i].name = folders[i].lexically_normal().string();
  }
}

}  // namespace

std::string render_report(const std::vector<fs::path>& run_folders) {
  DBPS_CHECK(!run_folders.empty(), "a report needs a run");
  std::vector<Run> runs;
  for (const fs::path& folder : run_folders) runs.push_back(read_run(folder));
  if (runs.size() == 1) return page(runs[0].name, head("Run", runs[0].name) + run_body(runs[0]));

  tell_apart(runs, run_folders);
  std::string title = runs[0].name;
  for (size_t i = 1; i < runs.size(); ++i) title += ", " + runs[i].name;
  std::string body = head("Comparison", fmt::format("{} runs", runs.size())) +
                     fmt::format("<p class=\"lede\">{}</p>\n", escape(title)) +
                     section("Figures", comparison_table(runs)) +
                     section("Curves", comparison_charts(runs));
  std::string details;
  for (const Run& run : runs) {
    details += fmt::format(
        "<details class=\"run\"><summary>{}</summary><div class=\"inside\">{}</div></details>\n",
        escape(run.name), run_body(run));
  }
  return page(title, body + section("Each run", details));
}

}  // namespace dbps::report
