#include "training/map_pictures.h"

#include "base/files.h"
#include "image/codec.h"
#include "report/maps.h"

namespace dbps::training {
namespace {

constexpr int kMapQuality = 90;

std::vector<report::MapPatch> map_patches(const std::vector<SelectedPatch>& selected,
                                          const Prediction& prediction) {
  std::vector<report::MapPatch> patches;
  for (const SelectedPatch& patch : selected) {
    patches.push_back(
        {patch.x, patch.y, prediction.patch_width, prediction.patch_height, patch.score});
  }
  return patches;
}

}  // namespace

void write_map(const std::filesystem::path& file, const config::Config& config,
               const std::string& id, std::span<const uint8_t> bytes,
               const Prediction& prediction) {
  image::DecodeOptions options;
  options.max_pixels = config.data.picture_pixels;
  const image::Image picture = image::decode(bytes, id, options);
  const image::Image map = report::draw_panels(picture, map_patches(prediction.salient, prediction),
                                               map_patches(prediction.sub_salient, prediction));
  make_folders(file.parent_path());
  write_file_atomic(file, std::span<const uint8_t>(image::encode_jpeg(map, kMapQuality)));
}

void write_map(const std::filesystem::path& file, const config::Config& config,
               const data::Dataset& dataset, const Prediction& prediction) {
  const data::Picture& picture = dataset.pictures()[prediction.picture];
  write_map(file, config, picture.id, dataset.store(picture.store).read(picture.bag), prediction);
}

}  // namespace dbps::training
