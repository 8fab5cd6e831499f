// `dbps report RUN...`
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "launcher/verb.h"
#include "launcher/verbs/verbs.h"
#include "report/html.h"

namespace dbps::launcher {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::vector<std::string> runs;
  std::string output;
};

fs::path output_path(const Options& options) {
  if (!options.output.empty()) return options.output;
  return options.runs.size() == 1 ? fs::path(options.runs[0]) / "report.html"
                                  : fs::path("report.html");
}

void run_report(const Options& options, const Context& context) {
  const fs::path path = output_path(options);
  check_folder_of(path);
  const std::string page = report::render_report({options.runs.begin(), options.runs.end()});
  write_file_atomic(path, page);
  if (context.json) {
    fmt::print("{}\n", nlohmann::json{{"file", path.string()}, {"runs", options.runs}}.dump());
  } else {
    fmt::print("{}\n", path.string());
  }
}

}  // namespace

void add_report(CLI::App& app, Context& context) {
  auto options = std::make_shared<Options>();
  app.description("Write one self-contained HTML page of runs: curves, metrics, confusion, calibration, maps.");
  app.add_option("RUN", options->runs, "Folders of runs; several are compared")->required();
  app.add_option(
      "--output", options->output,
      "The page; by default report.html in the run's folder, of several runs in this one");
  app.footer(
      "Examples:\n"
      "  dbps report runs/demo-0\n"
      "  dbps report runs/dbps runs/ips --output comparison.html");
  app.callback([options, &context] { run_report(*options, context); });
}

}  // namespace dbps::launcher
