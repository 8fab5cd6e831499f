// What a store is made of. The layout is that of docs/store.md; only this room knows HDF5.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace dbps::store {

inline constexpr int kFormatVersion = 1;

// Scanners differ by some hundredths: microns a pixel closer than this share are one scale.
inline constexpr double kSameScale = 0.05;

enum class Kind { kImages, kTiles, kFeatures };
enum class Codec { kKeep, kJpeg, kPng };  // kKeep: the source's own bytes, passed through

const char* kind_name(Kind kind);     // "images", "tiles", "features"
const char* codec_name(Codec codec);  // "keep", "jpeg", "png"
// Throw DataError for any other name.
Kind kind_of(const std::string& name);
Codec codec_of(const std::string& name);

// How the tiles of a store were chosen; kind = tiles.
struct TileSettings {
  int64_t overlap = 0;       // pixels that neighbouring tiles share
  int32_t level = 0;         // of the slides, where Settings::mpp is 0
  int32_t threshold = -1;    // tissue has a saturation above it, 0 .. 255; -1: Otsu's, by slide
  double foreground = 0.25;  // least share of tissue in a tile
  double specks = 1.0;       // tissue smaller than so many tiles is none ...
  double holes = 1.0;        // ... and holes in it smaller than so many tiles are filled
  int32_t given = 0;         // 1: none of that, but as files of coordinates said

  bool operator==(const TileSettings&) const = default;
};

// What made the vectors of a store; kind = features.
struct EncoderOrigin {
  std::string kind;       // "resnet50"; "": another tool made them
  std::string weights;    // name of their file
  std::string hash;       // "crc32c:%08x" of that file
  int32_t stages = 4;     // as encoder.stages
  std::string projector;  // as encoder.projector
  std::string precision;  // computed in: "fp32" or "bf16"
  std::string input;      // how pixels were normalised, and pictures cut into patches

  bool operator==(const EncoderOrigin&) const = default;
};

// "resnet50, first 3 stages, weights r50.pth (crc32c:0123abcd), fp32"; "" where another tool made
// them.
std::string origin_text(const EncoderOrigin& origin);

// What must agree for a store to grow; part of store.json and of every shard's attributes.
struct Settings {
  Kind kind = Kind::kImages;
  Codec codec = Codec::kKeep;
  int quality = 90;                  // of kJpeg, and of tiles that kKeep cannot keep
  int channels = 3;                  // kind = features: D, the width of a vector
  std::string pixel_type = "uint8";  // kind = features: "float16" or "float32"
  int64_t longest = 0;    // side that larger pictures were shrunk to at ingest; 0: none were
  int64_t tile_size = 0;  // kind = tiles; of features, pixels of the patches, 0: unknown
  double mpp = 0.0;       // microns per pixel that tiles were brought to; 0: each bag has its own
  TileSettings tiles;     // kind = tiles; of features that `dbps extract` made, of their tiles
  EncoderOrigin encoder;  // kind = features

  bool operator==(const Settings&) const = default;
};

// Bytes of one vector; kind = features.
uint64_t vector_bytes(const Settings& settings);

// A picture, a slide, or a part of a slide.
struct Bag {
  std::string id;
  int64_t width = 0;  // pixels of the source at level 0, upright; 0: unknown (features)
  int64_t height = 0;
  uint32_t source = 0;     // row of the shard's /sources
  int64_t first_tile = 0;  // row of the shard's /tiles
  int64_t tile_count = 0;  // 1 for kind = images, N for kind = features
  int32_t level = 0;
  double downsample = 1.0;
  double mpp = 0.0;
  int32_t part = 0;
};

// An encoded picture or tile, or one feature vector.
struct Tile {
  uint64_t offset = 0;  // in /blob, or bytes in /features
  uint32_t bytes = 0;
  uint32_t crc32c = 0;
  uint32_t source = 0;
  int32_t x = 0;  // level-0 pixels of the top-left corner; of a vector whose place is not known,
  int32_t y = 0;  // its number in the bag and 0
};

struct Source {
  std::string path;  // as given at ingest
  uint64_t bytes = 0;
  int64_t mtime = 0;  // seconds since 1970
  std::string hash;   // "crc32c:%08x" of the whole file; kind = features: of the bag's vectors
  // Of slides whose JPEG tiles are copied undecoded; empty for kind = images.
  std::vector<uint8_t> jpeg_tables;  // quantisation and Huffman tables
  std::string photometric;           // "RGB" or "YCbCr"
};

}  // namespace dbps::store
