#include "ingest/extensions.h"

#include <algorithm>
#include <vector>

#include "base/text.h"

namespace dbps::ingest {
namespace {

namespace fs = std::filesystem;

using Extensions = std::vector<std::string>;

// Those of slides alone.
const Extensions& slide_extensions() {
  static const Extensions kSlides = {".svs", ".ndpi", ".mrxs", ".scn",     ".bif", ".vms",
                                     ".vmu", ".czi",  ".avs",  ".svslide", ".dcm"};
  return kSlides;
}

const Extensions& extensions_of(store::Kind kind) {
  static const Extensions kPictures = {".jpg", ".jpeg", ".png", ".tif", ".tiff"};
  static const Extensions kFeatures = {".npy", ".safetensors", ".h5", ".hdf5", ".pt"};
  static const Extensions kSlides = [] {
    Extensions all = kPictures;
    all.insert(all.end(), slide_extensions().begin(), slide_extensions().end());
    return all;
  }();
  switch (kind) {
    case store::Kind::kFeatures:
      return kFeatures;
    case store::Kind::kTiles:
      return kSlides;
    default:
      return kPictures;
  }
}

// Of pictures, in formats that are not read.
const Extensions& other_pictures() {
  static const Extensions kOthers = {".avif", ".bmp", ".gif", ".heic", ".jp2",
                                     ".jxl",  ".pgm", ".ppm", ".tga",  ".webp"};
  return kOthers;
}

bool is_one_of(const Extensions& extensions, const fs::path& path) {
  const std::string extension = to_lower(path.extension().string());
  return std::find(extensions.begin(), extensions.end(), extension) != extensions.end();
}

}  // namespace

bool has_source_extension(const fs::path& path, store::Kind kind) {
  return is_one_of(extensions_of(kind), path);
}

std::string without_source_extension(const std::string& path) {
  if (!has_source_extension(path, store::Kind::kTiles) &&  // those of pictures among them
      !has_source_extension(path, store::Kind::kFeatures)) {
    return path;
  }
  return path.substr(0, path.size() - fs::path(path).extension().string().size());
}

const char* what_is_read(store::Kind kind) {
  switch (kind) {
    case store::Kind::kFeatures:
      return "file of features (.npy .safetensors .h5 .hdf5 .pt)";
    case store::Kind::kTiles:
      return "slide (.tif .tiff .svs .ndpi .mrxs .scn .bif .vms .vmu .svslide .czi .avs .dcm "
             ".jpg .jpeg .png)";
    default:
      return "picture (.jpg .jpeg .png .tif .tiff)";
  }
}

bool is_jpeg_or_png(const fs::path& path) { return is_one_of({".jpg", ".jpeg", ".png"}, path); }

bool is_dicom(const fs::path& path) { return is_one_of({".dcm"}, path); }

bool is_slide(const fs::path& path) { return is_one_of(slide_extensions(), path); }

bool looks_like_picture(const fs::path& path) {
  return is_one_of(other_pictures(), path) || is_slide(path);
}

}  // namespace dbps::ingest
