#include "training/slide_scale.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <tuple>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "store/manifest.h"

namespace dbps::training {
namespace {

constexpr const char* kKey = "slides";

bool is_same_scale(double mpp, double wanted) {
  return std::abs(mpp / wanted - 1) <= store::kSameScale;
}

// A store that was brought to one scale has it; else what its bags share.
double common_mpp(const store::Reader& store) {
  if (store.settings().mpp > 0) return store.settings().mpp;
  std::vector<double> all;
  for (int64_t bag = 0; bag < store.num_bags(); ++bag) all.push_back(store.bag(bag).mpp);
  if (all.empty()) return 0;
  std::sort(all.begin(), all.end());
  const double middle = all[all.size() / 2];
  const bool is_shared =
      middle > 0 && is_same_scale(all.front(), middle) && is_same_scale(all.back(), middle);
  return is_shared ? middle : 0;
}

std::string remedy(const store::Settings& settings, double mpp) {
  if (settings.kind == store::Kind::kFeatures) {
    return fmt::format("give features of tiles at {:.4g}", mpp);
  }
  return fmt::format("ingest the slides with --mpp {:.4g}", mpp);
}

void check_scale(const store::Settings& slides, const std::string& model,
                 const store::Reader& store) {
  if (slides.mpp == 0) return;
  const store::Settings& settings = store.settings();
  for (int64_t index = 0; index < store.num_bags(); ++index) {
    const store::Bag& bag = store.bag(index);
    const double mpp = settings.mpp > 0 ? settings.mpp : bag.mpp;
    if (mpp == 0 || is_same_scale(mpp, slides.mpp)) continue;
    throw ConfigError(fmt::format("{}: '{}' has {:.4g} microns a pixel, but {} is of {:.4g}: {}",
                                  store.folder().string(), bag.id, mpp, model, slides.mpp,
                                  remedy(settings, slides.mpp)));
  }
}

// What computes the same but for rounding.
bool is_same_encoder(const store::EncoderOrigin& a, const store::EncoderOrigin& b) {
  return std::tie(a.kind, a.hash, a.stages, a.projector, a.input) ==
         std::tie(b.kind, b.hash, b.stages, b.projector, b.input);
}

std::string whole_text(const store::EncoderOrigin& origin) {
  return fmt::format("{}, projector {}, {}", store::origin_text(origin), origin.projector,
                     origin.input);
}

void check_encoder(const store::EncoderOrigin& seen, const std::string& model,
                   const store::Reader& store) {
  const store::EncoderOrigin& made = store.settings().encoder;
  const std::string folder = store.folder().string();
  if (is_same_encoder(made, seen)) return;
  if (made.kind.empty() || seen.kind.empty()) {
    log::warning(
        "{} does not say which encoder made its vectors, {} does ({}): see to it that they are the "
        "same",
        made.kind.empty() ? folder : model, made.kind.empty() ? model : folder,
        store::origin_text(made.kind.empty() ? seen : made));
    return;
  }
  const bool alike = store::origin_text(made) == store::origin_text(seen);
  throw ConfigError(fmt::format(
      "{} holds vectors of {}, but {} is of vectors of {}: extract them with its encoder", folder,
      alike ? whole_text(made) : store::origin_text(made), model,
      alike ? whole_text(seen) : store::origin_text(seen)));
}

}  // namespace

std::optional<store::Settings> slides_of(const data::Dataset& dataset) {
  if (dataset.kind() == store::Kind::kImages) return std::nullopt;
  const store::Reader& first = dataset.store(0);
  store::Settings settings = first.settings();
  settings.mpp = common_mpp(first);
  for (int64_t other = 1; other < dataset.num_stores(); ++other) {
    check_seen(settings, first.folder().string(), dataset.store(other));
  }
  if (settings.mpp > 0) settings.tiles.level = 0;
  return settings;
}

void check_seen(const std::optional<store::Settings>& seen, const std::string& model,
                const store::Reader& store) {
  if (seen) check_scale(*seen, model, store);
  const bool vectors = !seen || seen->kind == store::Kind::kFeatures;
  if (vectors && store.settings().kind == store::Kind::kFeatures) {
    check_encoder(seen ? seen->encoder : store::EncoderOrigin(), model, store);
  }
}

void check_seen(const std::optional<store::Settings>& seen, const std::string& model,
                const data::Dataset& dataset) {
  for (int64_t i = 0; i < dataset.num_stores(); ++i) check_seen(seen, model, dataset.store(i));
}

void write_slides(const std::optional<store::Settings>& slides,
                  std::map<std::string, std::string>& metadata) {
  if (slides) metadata[kKey] = store::settings_to_text(*slides);
}

std::optional<store::Settings> read_slides(const std::map<std::string, std::string>& metadata,
                                           const std::filesystem::path& path) {
  const auto found = metadata.find(kKey);
  if (found == metadata.end()) return std::nullopt;
  try {
    return store::settings_from_text(found->second);
  } catch (const DataError& error) {
    throw DataError(
        fmt::format("{}: its header's '{}' cannot be read: {}", path.string(), kKey, error.what()));
  }
}

}  // namespace dbps::training
