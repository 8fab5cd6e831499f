// Patches that another tool has cut, all slides in one HDF5 file (IPS's layout), as bags of tiles.
#include <fmt/format.h>

#include "base/error.h"
#include "ingest/bag_maker.h"
#include "store/hdf5_pixels.h"
#include "store/tile_file.h"

namespace dbps::ingest {
namespace {

namespace fs = std::filesystem;

class PatchMaker final : public BagMaker {
 public:
  PatchMaker(const fs::path& store, const IngestOptions& options)
      : store_(store), settings_(settings_of(options)) {}

  const store::Settings& settings() const override { return settings_; }

  MadeBag make(const SourcePicture& source, store::Writer& writer) override {
    const std::string name = fmt::format("{} ('{}')", source.path.string(), source.member);
    store::Source origin = describe_source(source.path);
    const store::Hdf5Pixels patches(source.path, source.member);
    check(patches, name);
    store::TileFile tiles(store_);
    image::Image pixels(settings_.tile_size, settings_.tile_size, 3);
    for (int64_t i = 0; i < patches.count(); ++i) {
      patches.read(i, pixels.pixels.data());
      const store::Place place = patches.places().empty()
                                     ? store::Place{static_cast<int32_t>(i), 0}
                                     : patches.places()[static_cast<size_t>(i)];
      tiles.add(encode_tile(pixels, settings_), place.x, place.y);
    }
    store::Bag bag;
    bag.id = source.id;
    origin.path = name;
    writer.append(bag, origin, tiles);
    const auto read = static_cast<uint64_t>(patches.count()) * pixels.pixels.size();
    return {read, tiles.bytes(), {"tiles encoded anew"}, {}};
  }

 private:
  void check(const store::Hdf5Pixels& patches, const std::string& name) const {
    const int64_t size = settings_.tile_size;
    if (patches.height() != size || patches.width() != size) {
      throw DataError(
          fmt::format("{}: its patches are of {} x {} pixels, the store's tiles of {} "
                      "x {}: see --tile-size",
                      name, patches.width(), patches.height(), size, size));
    }
    if (patches.count() == 0) throw DataError(name + ": it holds no patch (0 rows)");
  }

  const fs::path store_;
  const store::Settings settings_;
};

}  // namespace

std::unique_ptr<BagMaker> make_patch_maker(const fs::path& store, const IngestOptions& options) {
  return std::make_unique<PatchMaker>(store, options);
}

}  // namespace dbps::ingest
