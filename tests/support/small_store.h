// Small stores of random pictures for tests.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "image/codec.h"
#include "image/image.h"
#include "store/writer.h"

namespace dbps::data {

using NamedPictures = std::vector<std::pair<std::string, image::Image>>;

inline image::Image random_picture(int64_t width, int64_t height, uint64_t seed) {
  RandomStream random(seed, Purpose::kDemo);
  image::Image picture(width, height, 3);
  for (uint8_t& value : picture.pixels) value = static_cast<uint8_t>(random.below(256));
  return picture;
}

inline void write_text(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path) << text;
}

inline void make_store(const std::filesystem::path& folder, const NamedPictures& pictures) {
  store::WriterOptions options;
  options.settings.codec = store::Codec::kPng;
  store::Writer writer(folder, options);
  for (const auto& [id, picture] : pictures) {
    store::Bag bag;
    bag.id = id;
    bag.width = picture.width;
    bag.height = picture.height;
    store::Source source;
    source.path = id + ".png";
    writer.append(bag, source, image::encode_png(picture, 1));
  }
  writer.finish();
}

}  // namespace dbps::data
