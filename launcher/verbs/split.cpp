#include "ingest/split.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/csv.h"
#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "ingest/labels.h"
#include "launcher/verbs/verbs.h"
#include "store/reader.h"

namespace dbps::launcher {
namespace {

namespace fs = std::filesystem;

constexpr const char* kHelp = R"(Divides a store's pictures and writes a CSV for the key data.split.

Stratified by a label, patients kept whole (a column patient or case_id, or --patient-prefix), the same
for the same seed.
With --folds K the CSV has a column fold: with data.fold = f, fold f is validation and the others are
train; --test P keeps a share out of all folds.

Examples:
  dbps split store/ --validation 0.1 --test 0.2 --out splits.csv
  dbps split store/ --folds 5 --seed 1 --out folds.csv
  dbps split tcga_store/ --folds 5 --patient-prefix 12)";

struct Arguments {
  std::string store;
  std::string labels;
  std::string column;
  std::string out;
  ingest::SplitOptions options;
  size_t patient_prefix = 0;
  bool force = false;
};

size_t label_column(const CsvTable& table, const std::string& wanted) {
  if (const auto column = table.find_column(wanted.empty() ? "label" : wanted)) return *column;
  if (!wanted.empty()) {
    const std::string near = nearest(wanted, table.columns);
    throw ConfigError(fmt::format("{} has no column '{}'{}", table.path.string(), wanted,
                                  near.empty() ? "" : fmt::format("; did you mean '{}'?", near)));
  }
  throw ConfigError(
      fmt::format("{} has no column 'label': name one with --column", table.path.string()));
}

// What a row says, else the first characters of the picture's own name, where they were asked for.
std::string patient_of(const std::string& said, const std::string& id, size_t prefix) {
  if (!said.empty() || prefix == 0) return said;
  return fs::path(id).filename().string().substr(0, prefix);
}

// The rows of the labels whose picture is in the store.
std::vector<ingest::LabelledPicture> read_pictures(const Arguments& arguments) {
  const store::Reader reader(arguments.store);
  const CsvTable table = read_csv(arguments.labels.empty() ? ingest::labels_path(arguments.store)
                                                           : fs::path(arguments.labels));
  const auto id = table.find_any({"id", "slide_id", "path"});
  if (!id) throw DataError(fmt::format("{} has no column 'id'", table.path.string()));
  const auto patient = table.find_any({"patient", "case_id"});
  const size_t label = label_column(table, arguments.column);
  std::vector<ingest::LabelledPicture> pictures;
  std::map<std::string, int> line_of;
  for (const CsvRow& row : table.rows) {
    std::string name = trim(row.fields[*id]);
    if (reader.find_bag(name) < 0) name = without_extension(name);
    if (reader.find_bag(name) < 0) continue;
    const auto [first, is_new] = line_of.emplace(name, row.line);
    if (!is_new) {
      throw DataError(fmt::format("{}: lines {} and {} both speak of '{}'", table.path.string(),
                                  first->second, row.line, name));
    }
    const std::string said = patient ? trim(row.fields[*patient]) : "";
    pictures.push_back(
        {name, trim(row.fields[label]), patient_of(said, name, arguments.patient_prefix)});
  }
  if (pictures.empty()) {
    throw DataError(fmt::format("{} names no picture of {}", table.path.string(), arguments.store));
  }
  return pictures;
}

void run(const Arguments& arguments, const Context& context) {
  const fs::path out =
      arguments.out.empty() ? fs::path(arguments.store) / "split.csv" : fs::path(arguments.out);
  if (fs::exists(out) && !arguments.force) {
    throw ConfigError(fmt::format("{} is there already: --force replaces it", out.string()));
  }
  if (!arguments.out.empty()) check_folder_of(out);
  const auto assignments = ingest::make_split(read_pictures(arguments), arguments.options);
  std::map<std::string, int64_t> count;
  for (const ingest::Assignment& assignment : assignments) {
    ++count[assignment.fold < 0 ? assignment.split : fmt::format("fold {}", assignment.fold)];
  }
  write_file_atomic(out, ingest::split_csv(assignments, arguments.options));
  if (context.json) {
    fmt::print("{}\n", nlohmann::json{{"file", out.string()}, {"pictures", count}}.dump());
    return;
  }
  for (const auto& [name, pictures] : count) fmt::print("{:12} {:8}\n", name, pictures);
  fmt::print("{}: use it with data.split = \"{}\"\n", out.string(), out.string());
}

}  // namespace

void add_split(CLI::App& app, Context& context) {
  auto arguments = std::make_shared<Arguments>();
  app.footer(kHelp);
  app.add_option("STORE", arguments->store, "The store's folder")->required();
  app.add_option("--labels", arguments->labels, "CSV of labels; STORE/labels.csv by default");
  app.add_option("--column", arguments->column, "The label to stratify by; 'label' by default");
  app.add_option("--out", arguments->out, "The CSV to write; STORE/split.csv by default");
  app.add_option("--validation", arguments->options.validation, "Share of validation")
      ->capture_default_str();
  app.add_option("--test", arguments->options.test, "Share of test")->capture_default_str();
  app.add_option("--folds", arguments->options.folds, "Number of folds, in place of --validation")
      ->check(CLI::Range(2, 1'000'000));
  app.add_option("--patient-prefix", arguments->patient_prefix,
                 "Where no column says the patient, so many first characters of the picture's name "
                 "do; TCGA: 12");
  app.add_option("--seed", arguments->options.seed, "Decides who goes where")
      ->capture_default_str();
  app.add_flag("--force", arguments->force, "Replace the CSV when it is there");
  app.callback([arguments, &context] { run(*arguments, context); });
}

}  // namespace dbps::launcher
