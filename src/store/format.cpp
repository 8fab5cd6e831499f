#include "store/format.h"

#include <fmt/format.h>

#include "base/error.h"

namespace dbps::store {

const char* kind_name(Kind kind) {
  switch (kind) {
    case Kind::kImages:
      return "images";
    case Kind::kTiles:
      return "tiles";
    case Kind::kFeatures:
      return "features";
  }
  return "?";
}

const char* codec_name(Codec codec) {
  switch (codec) {
    case Codec::kKeep:
      return "keep";
    case Codec::kJpeg:
      return "jpeg";
    case Codec::kPng:
      return "png";
  }
  return "?";
}

Kind kind_of(const std::string& name) {
  for (const Kind kind : {Kind::kImages, Kind::kTiles, Kind::kFeatures}) {
    if (name == kind_name(kind)) return kind;
  }
  throw DataError(fmt::format("'{}' is no kind of store (images, tiles, features)", name));
}

Codec codec_of(const std::string& name) {
  for (const Codec codec : {Codec::kKeep, Codec::kJpeg, Codec::kPng}) {
    if (name == codec_name(codec)) return codec;
  }
  throw DataError(fmt::format("'{}' is no codec of a store (keep, jpeg, png)", name));
}

std::string origin_text(const EncoderOrigin& origin) {
  if (origin.kind.empty()) return "";
  return fmt::format("{}{}, weights {} ({}), {}", origin.kind,
                     origin.stages < 4 ? fmt::format(", first {} stages", origin.stages) : "",
                     origin.weights, origin.hash, origin.precision);
}

uint64_t vector_bytes(const Settings& settings) {
  return static_cast<uint64_t>(settings.channels) * (settings.pixel_type == "float16" ? 2 : 4);
}

}  // namespace dbps::store
