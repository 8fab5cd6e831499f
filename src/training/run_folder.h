// A run's folder: `<output>/<name>/` (interface.md). Rank 0 writes what all read; every rank its
// own log.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "config/config.h"
#include "data/dataset.h"
#include "distributed/world.h"
#include "report/sinks.h"
#include "training/run_state.h"

namespace dbps::training {

struct RunFolder {
  std::filesystem::path path;

  std::filesystem::path config() const { return path / "config.toml"; }
  std::filesystem::path provenance() const { return path / "provenance.json"; }
  std::filesystem::path log() const { return path / "log.txt"; }
  std::filesystem::path metrics() const { return path / "metrics.jsonl"; }
  std::filesystem::path maps() const { return path / "maps"; }
  std::filesystem::path report() const { return path / "report.html"; }
  std::filesystem::path rank_log(int rank) const;
  std::filesystem::path predictions(data::Split split) const;
  // Whether a run has begun here.
  bool begun() const;
  // Whether a run that has begun can no longer be seen: removed, or its file system is gone.
  // Nothing may then be made at its path.
  bool vanished() const;
};

// Versions, devices, hosts, ranks, store, command line, start. Collective: hosts are gathered; rank
// 0 writes.
void write_provenance(const RunFolder& folder, const config::Config& config,
                      const data::Dataset& dataset, distributed::World& world,
                      const std::string& program_version, const std::string& command_line);

}  // namespace dbps::training
