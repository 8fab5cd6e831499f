// `report.html`: one self-contained page from a run's folder.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace dbps::report {

// Reads config.toml, provenance.json, metrics.jsonl, predictions-*.csv and maps/ of each run; one
// run: its page; several: a comparison on top. Missing files leave their section out. Throws
// DataError for a folder that is no run.
std::string render_report(const std::vector<std::filesystem::path>& run_folders);

}  // namespace dbps::report
