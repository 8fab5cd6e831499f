// Slides and other pictures that are too large to be decoded whole: regions of any of their levels.
//
// Read are the formats that OpenSlide knows, TIFF (tiled or in strips, of any number of levels),
// and JPEG and PNG of any size, from top to bottom.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "image/image.h"

namespace dbps::image {

struct SlideLevel {
  int64_t width = 0;  // pixels
  int64_t height = 0;
  double downsample = 1;  // level-0 pixels a pixel of this one
};

struct SlideInfo {
  std::string format;              // "TIFF", "JPEG", "PNG", or OpenSlide's word: "aperio", ...
  std::string mode;                // how colours are stored where not as RGB: "CMYK"; else ""
  double mpp = 0;                  // microns a pixel of level 0; 0: the file does not say
  std::vector<SlideLevel> levels;  // level 0, the largest, first
  // Regions must come from top to bottom; one further up starts the decoding again.
  bool in_bands = false;
};

// The JPEG tiles of a level that may be copied as they are: what decode_tile() needs to know.
struct JpegTiles {
  int64_t width = 0;  // pixels of a tile
  int64_t height = 0;
  std::vector<uint8_t> tables;
  std::string photometric;
};

// One thread at a time; several may each open the same file.
class Slide {
 public:
  virtual ~Slide() = default;
  const SlideInfo& info() const { return info_; }

  // Fills `region`, RGB of the size that it has, with what lies from (x, y) on, in pixels of that
  // level; white outside the slide. Throws DataError naming the file.
  virtual void read(int level, int64_t x, int64_t y, Image& region) = 0;

  // Null where the level does not consist of JPEG tiles.
  virtual const JpegTiles* jpeg_tiles(int) { return nullptr; }
  // The bytes of a tile by its place in the level's grid; empty where the slide has none there.
  virtual std::vector<uint8_t> read_jpeg_tile(int, int64_t, int64_t) { return {}; }

 protected:
  SlideInfo info_;
};

// Reads headers alone. Throws DataError for a file that is no slide, is damaged, has 16 bits a
// channel, or is turned by EXIF.
std::unique_ptr<Slide> open_slide(const std::filesystem::path& path);

// Of a file that is one of a slide's several, as each of DICOM's is, what all of them name, by
// OpenSlide; "" of any other file.
std::string slide_series(const std::filesystem::path& path);

// Of the OpenSlide on this machine, loaded if need be: "3.4.1"; "": there is none.
std::string openslide_version();

}  // namespace dbps::image
