// Opening a store of slides and planning an epoch on it, beside a loop that does nothing but read
// and checksum the store's tables once.
#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "base/crc32c.h"
#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "bench/benchmark.h"
#include "data/cut.h"
#include "data/dataset.h"
#include "data/plan.h"
#include "store/manifest.h"

namespace dbps::bench {
namespace {

namespace fs = std::filesystem;

data::DataOptions data_options(const Settings& settings) {
  data::DataOptions options;
  options.store = {settings.store};
  options.resize = data::Resize::kNone;
  options.fraction_validation = 0;
  return options;
}

std::unique_ptr<data::Dataset> open_dataset(const Settings& settings) {
  auto dataset = std::make_unique<data::Dataset>(
      data_options(settings), std::vector<data::TaskColumn>{{"label", "label", "multiclass", {}}});
  if (dataset->kind() == store::Kind::kTiles) return dataset;
  throw ConfigError(fmt::format("bench plan measures a store of tiles, and {} holds {}",
                                settings.store, store::kind_name(dataset->kind())));
}

// As the paper's training on CAMELYON16 drops and balances: which tiles of which slide come when.
int64_t plan_all(const data::Dataset& dataset, const Settings& settings, int64_t epoch) {
  data::LoaderOptions options;
  options.data = data_options(settings);
  options.data.patch_size = dataset.tile_size();
  options.data.patch_stride = dataset.tile_size();
  options.augment.translate = 0;
  options.drop.ratio = "0.1";
  options.salient = 1000;
  options.epoch = epoch;
  std::vector<int64_t> pictures, patches;
  for (size_t i = 0; i < dataset.pictures().size(); ++i) {
    pictures.push_back(static_cast<int64_t>(i));
    patches.push_back(data::count_patches(dataset, pictures.back(), options).kept);
  }
  data::PlanOptions how;
  how.micro_batches = 4;
  int64_t kept = 0;
  for (const data::StepPlan& step : data::plan_epoch(dataset, pictures, patches, how, epoch)) {
    dataset.forget_tables();  // as the loader does
    for (const std::vector<int64_t>& share : step.micro_batches) {
      for (const int64_t picture : share) {
        kept += static_cast<int64_t>(data::plan_cut(dataset, picture, options).bag.index.size());
      }
    }
  }
  return kept;
}

// All that lies outside the shards' pixels.
void read_tables(const fs::path& folder) {
  std::vector<uint8_t> piece(4 << 20);
  for (const store::ShardEntry& shard : store::read_manifest(folder).shards) {
    const fs::path path = folder / shard.name;
    const FileDescriptor file = open_for_reading(path);
    const auto read = [&](uint64_t from, uint64_t to) {
      for (uint64_t at = from; at < to; at += piece.size()) {
        const size_t bytes = std::min<uint64_t>(piece.size(), to - at);
        pread_exactly(file.get(), piece.data(), bytes, at, path);
        crc32c(piece.data(), bytes);
      }
    };
    read(0, shard.blob_offset);
    read(shard.blob_offset + shard.blob_bytes, shard.bytes);
  }
}

double peak_gigabytes() {
  std::ifstream status("/proc/self/status");
  std::string word;
  while (status >> word) {
    double kilobytes = 0;
    if (word == "VmHWM:" && status >> kilobytes) return kilobytes * 1024 / 1e9;
  }
  return 0;
}

double seconds_of(const Measured& measured, double amount) {
  return amount / spread_of(measured.rates).median;
}

}  // namespace

Report run_plan(const Settings& settings) {
  const std::unique_ptr<data::Dataset> dataset = open_dataset(settings);
  int64_t tiles = 0;
  for (size_t i = 0; i < dataset->pictures().size(); ++i) {
    tiles += dataset->whole_bag(static_cast<int64_t>(i)).num_tiles();
  }
  const double millions = static_cast<double>(tiles) / 1e6;
  Report report;
  report.of = fmt::format("{:.3g} million tiles in {}", millions,
                          counted(static_cast<int64_t>(dataset->pictures().size()), "slide"));
  const Contender open{"open the store",
                       [&] {
                         open_dataset(settings);
                         return millions;
                       },
                       nullptr};
  const Contender bare{"pread + CRC32C of its tables",
                       [&] {
                         read_tables(settings.store);
                         return millions;
                       },
                       nullptr};
  int64_t epoch = 0;
  const Contender plan{"plan an epoch",
                       [&] {
                         plan_all(*dataset, settings, epoch++);
                         return millions;
                       },
                       nullptr};
  report.comparisons.push_back(
      compare("1 thread", "million tiles/s", open, {{bare, 0}, {plan, 0}}, pacing_of(settings)));
  const Comparison& found = report.comparisons.back();
  report.notes = {fmt::format(
      "{:.2f} s to open, {:.2f} s to plan an epoch; {:.2f} GB of memory at the peak, the program "
      "itself included",
      seconds_of(found.subject, millions), seconds_of(found.limits[1].measured, millions),
      peak_gigabytes())};
  return report;
}

}  // namespace dbps::bench
