// A file of features and coordinates as TRIDENT writes it, altered. Three bytes of the input are
// one alteration: a place (two) and what to change there.
#include "store/hdf5_features.h"
#include "store/slide_layouts.h"
#include "store/writer.h"

#include "fuzz/input.h"
#include "support/temp_folder.h"

namespace dbps::fuzz {
namespace {

std::vector<uint8_t> whole_file() {
  const TempFolder folder;
  store::WriterOptions options;
  options.settings.kind = store::Kind::kFeatures;
  options.settings.channels = 4;
  options.settings.pixel_type = "float32";
  options.settings.tile_size = 256;
  {
    store::Writer writer(folder.path() / "store", options);
    store::Vectors vectors;
    vectors.count = 3;
    vectors.read = [](int64_t, int64_t count, uint8_t* out) { std::fill_n(out, 16 * count, 1); };
    store::Bag bag;
    bag.id = "slide";
    bag.width = bag.height = 1024;
    bag.downsample = 2.0;
    bag.mpp = 0.5;
    writer.append(bag, {"slide.npy", 1, 1, "", {}, ""}, vectors);
    writer.finish();
  }
  const store::Reader reader(folder.path() / "store");
  const auto written =
      store::write_slides(reader, folder.path() / "out", store::SlideLayout::kTrident);
  return read_file(written.folder / "slide.h5");
}

void read_all(const std::filesystem::path& path) {
  store::read_slide_coordinates(path);
  const store::Hdf5Features features(path);
  if (features.count() > 1000 || features.width() > 1000) return;
  std::vector<uint8_t> out(static_cast<size_t>(features.width() * features.item_size()));
  for (int64_t row = 0; row < features.count(); ++row) features.read(row, 1, out.data());
}

}  // namespace
}  // namespace dbps::fuzz

// What HDF5 itself loses on its way out of a damaged file.
extern "C" const char* __lsan_default_suppressions() { return "leak:libhdf5"; }

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace dbps;
  static const std::vector<uint8_t> whole = fuzz::whole_file();
  std::vector<uint8_t> bytes = whole;
  for (size_t i = 0; i + 2 < size; i += 3) {
    bytes[(data[i] | data[i + 1] << 8) % bytes.size()] ^= data[i + 2];
  }
  if (size % 3 == 2) bytes.resize((data[size - 2] | data[size - 1] << 8) % bytes.size());
  const fuzz::InputFile file(bytes);
  fuzz::refused_or_read([&] { fuzz::read_all(file.path()); });
  fuzz::refused_or_read([&] { store::hdf5_bags(file.path()); });
  return 0;
}
