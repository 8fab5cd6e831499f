// Files of feature vectors as bags.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

#include "base/error.h"
#include "base/files.h"
#include "base/parallel.h"
#include "ingest/bag_maker.h"
#include "ingest/feature_file.h"
#include "store/manifest.h"

namespace dbps::ingest {
namespace {

namespace fs = std::filesystem;

struct Form {
  int64_t width = 0;
  FloatType type = FloatType::kFloat32;
  int64_t patch_size = 0;
};

// Nothing of a file that cannot be read: it fails by name when its turn comes.
std::vector<std::optional<Form>> forms_of(const SourceList& sources, int jobs) {
  std::vector<std::optional<Form>> forms(sources.pictures.size());
  parallel_for(static_cast<int64_t>(forms.size()), jobs, [&](int64_t i) {
    const SourcePicture& source = sources.pictures[i];
    try {
      const FeatureFile file = open_features(source.path, source.member);
      forms[i] = {file.width, file.type, file.frame.size};
    } catch (const DataError&) {
    }
  });
  return forms;
}

// The patch size that all files give that give one; 0: none does, or they differ.
int64_t common_patch_size(const std::vector<std::optional<Form>>& forms) {
  int64_t size = 0;
  for (const auto& form : forms) {
    if (!form || form->patch_size == 0) continue;
    if (size != 0 && form->patch_size != size) return 0;
    size = form->patch_size;
  }
  return size;
}

// The width that most files have (of equals the one that comes first), whether all of those hold
// float16, and the size of their patches.
store::Settings settings_of_sources(const SourceList& sources, int jobs) {
  const std::vector<std::optional<Form>> forms = forms_of(sources, jobs);
  std::map<int64_t, int64_t> files;
  for (const auto& form : forms) {
    if (form) ++files[form->width];
  }
  store::Settings settings;
  settings.kind = store::Kind::kFeatures;
  settings.quality = 0;
  settings.channels = 1;
  int64_t most = 0;
  for (const auto& form : forms) {
    if (!form || files[form->width] <= most) continue;
    most = files[form->width];
    settings.channels = static_cast<int>(form->width);
  }
  const bool halves = std::all_of(forms.begin(), forms.end(), [&](const auto& form) {
    return !form || form->width != settings.channels || form->type == FloatType::kFloat16;
  });
  settings.pixel_type = halves ? "float16" : "float32";
  settings.tile_size = common_patch_size(forms);
  return settings;
}

store::Settings find_settings(const SourceList& sources, const fs::path& store, int jobs) {
  if (fs::exists(store::manifest_path(store))) {
    store::Settings settings = store::read_manifest(store).settings;
    settings.encoder = {};  // files do not say what made them
    if (settings.kind == store::Kind::kFeatures) return settings;
  }
  return settings_of_sources(sources, jobs);
}

class FeatureMaker final : public BagMaker {
 public:
  explicit FeatureMaker(store::Settings settings) : settings_(std::move(settings)) {}

  const store::Settings& settings() const override { return settings_; }

  MadeBag make(const SourcePicture& source, store::Writer& writer) override {
    store::Source origin = describe_source(source.path);
    const FeatureFile file = open_features(source.path, source.member);
    if (file.width != settings_.channels) {
      throw DataError(fmt::format("{}: vectors of {} numbers, but the store's have {}", file.name,
                                  file.width, settings_.channels));
    }
    check_patch_size(file);
    store::Bag bag;
    bag.id = source.id;
    bag.width = file.frame.width;
    bag.height = file.frame.height;
    bag.level = file.frame.level;
    if (file.frame.downsample > 0.0) bag.downsample = file.frame.downsample;
    origin.path = file.name;
    writer.append(bag, origin, as_stored(file, settings_.pixel_type));

    MadeBag made;
    made.stored_bytes = static_cast<uint64_t>(file.count) * store::vector_bytes(settings_);
    made.source_bytes = made.stored_bytes;
    if (float_name(file.type) != settings_.pixel_type) {
      made.modes.push_back(
          fmt::format("{}, converted to {}", float_name(file.type), settings_.pixel_type));
      made.source_bytes =
          file.type == FloatType::kFloat64 ? 2 * made.stored_bytes : made.stored_bytes / 2;
    }
    return made;
  }

 private:
  void check_patch_size(const FeatureFile& file) const {
    const int64_t size = file.frame.size;
    if (size == 0 || settings_.tile_size == 0 || size == settings_.tile_size) return;
    throw DataError(fmt::format("{}: of patches of {} pixels, but the store's have {}", file.name,
                                size, settings_.tile_size));
  }

  const store::Settings settings_;
};

}  // namespace

std::unique_ptr<BagMaker> make_feature_maker(const SourceList& sources, const fs::path& store,
                                             int jobs) {
  return std::make_unique<FeatureMaker>(find_settings(sources, store, jobs));
}

}  // namespace dbps::ingest
