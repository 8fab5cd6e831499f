// Pictures as bags: decoded once, and encoded anew where asked.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/crc32c.h"
#include "base/error.h"
#include "base/files.h"
#include "image/codec.h"
#include "image/resize.h"
#include "ingest/bag_maker.h"
#include "ingest/pixel_budget.h"

namespace dbps::ingest {
namespace {

struct EncodedPicture {
  store::Bag bag;
  store::Source source;
  std::vector<uint8_t> bytes;
  std::vector<std::string> modes;
};

std::vector<std::string> odd_modes(const image::Info& info) {
  std::vector<std::string> modes;
  if (info.mode != image::Mode::kRgb) modes.push_back(image::mode_name(info.mode));
  if (info.orientation != 1) modes.push_back("rotated (EXIF)");
  return modes;
}

image::Image shrink(image::Image picture, int64_t longest) {
  const int64_t side = std::max(picture.width, picture.height);
  if (longest == 0 || side <= longest) return picture;
  const auto scaled = [&](int64_t length) {
    return std::max<int64_t>(1, std::llround(static_cast<double>(length) * longest / side));
  };
  return image::resize(picture, scaled(picture.width), scaled(picture.height));
}

class PictureMaker final : public BagMaker {
 public:
  explicit PictureMaker(const IngestOptions& options)
      : options_(options), settings_(settings_of(options)), budget_(options.max_pixels) {}

  const store::Settings& settings() const override { return settings_; }

  MadeBag make(const SourcePicture& picture, store::Writer& writer) override {
    const EncodedPicture encoded = encode(picture);
    writer.append(encoded.bag, encoded.source, encoded.bytes);
    return {encoded.source.bytes, encoded.bytes.size(), encoded.modes, {}};
  }

 private:
  EncodedPicture encode(const SourcePicture& picture) {
    EncodedPicture encoded;
    const std::string name = picture.path.string();
    encoded.source = describe_source(picture.path);
    encoded.bytes = read_file(picture.path);
    encoded.source.bytes = encoded.bytes.size();
    encoded.source.hash =
        fmt::format("crc32c:{:08x}", crc32c(encoded.bytes.data(), encoded.bytes.size()));
    const image::Info info = image::probe(encoded.bytes, name);
    encoded.modes = odd_modes(info);
    check_grey(info, name);
    const PixelBudget::Share share(
        budget_, static_cast<double>(info.width) * static_cast<double>(info.height));
    image::DecodeOptions decode;
    decode.channels = options_.channels;
    decode.max_pixels = options_.max_pixels;
    // Also with codec keep: a picture that does not decode is found now and not in the middle of a
    // training.
    const image::Image pixels =
        shrink(image::decode(encoded.bytes, name, decode), options_.longest);
    encoded.bag.id = picture.id;
    encoded.bag.width = pixels.width;
    encoded.bag.height = pixels.height;
    if (options_.codec == store::Codec::kJpeg) {
      encoded.bytes = image::encode_jpeg(pixels, options_.quality);
    } else if (options_.codec == store::Codec::kPng) {
      encoded.bytes = image::encode_png(pixels);
    }
    return encoded;
  }

  // Codec keep cannot turn a picture into grey.
  void check_grey(const image::Info& info, const std::string& name) const {
    if (options_.channels == 3 || options_.codec != store::Codec::kKeep) return;
    if (info.mode == image::Mode::kGrey) return;
    throw DataError(fmt::format("{} is {}, not grey: --codec png or jpeg makes it grey", name,
                                image::mode_name(info.mode)));
  }

  const IngestOptions& options_;
  const store::Settings settings_;
  PixelBudget budget_;
};

}  // namespace

std::unique_ptr<BagMaker> make_picture_maker(const IngestOptions& options) {
  return std::make_unique<PictureMaker>(options);
}

}  // namespace dbps::ingest
