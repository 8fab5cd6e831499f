// Writing a pyramidal TIFF of tiles, as slide scanners do, from bands of its level 0.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

#include "image/image.h"

namespace dbps::image {

struct PyramidOptions {
  int64_t width = 0;  // of level 0, pixels
  int64_t height = 0;
  int64_t tile = 256;  // side of a tile, a multiple of 16
  int shrink = 4;      // each level is so many times smaller than the one before ...
  int levels = 3;      // ... level 0 counted; none smaller than a pixel
  int quality = 85;    // of the JPEG tiles, 1 .. 100; 0: RGB without loss (Deflate)
  bool rgb = false;    // tiles of RGB, as some scanners write; else YCbCr, its colours halved
  double mpp = 0;      // microns a pixel of level 0, into the resolution tags; 0: none
};

// The file is whole after finish(). Memory: level 1 and what a band takes. One thread.
class PyramidWriter {
 public:
  // Throws RuntimeFault where the file cannot be written; so do the others.
  PyramidWriter(const std::filesystem::path& path, const PyramidOptions& options);
  ~PyramidWriter();
  PyramidWriter(const PyramidWriter&) = delete;
  PyramidWriter& operator=(const PyramidWriter&) = delete;

  // The next rows of level 0: `tile` of them, the last band what is left. RGB, of the full width.
  void write(const Image& band);
  // After the last band: the smaller levels.
  void finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace dbps::image
