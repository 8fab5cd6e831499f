// Checks 1 to 3: from pixels to patches.
#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>

#include "data/cut.h"
#include "data/device_jitter.h"
#include "data/loader.h"
#include "image/resize.h"
#include "parity/probe.h"
#include "training/precision.h"
#include "training/preprocessing.h"

namespace dbps::parity {
namespace {

image::Image image_of(const at::Tensor& pixels_HWC) {
  const at::Tensor pixels = pixels_HWC.contiguous();
  image::Image image(pixels.size(1), pixels.size(0), static_cast<int>(pixels.size(2)));
  std::memcpy(image.pixels.data(), pixels.data_ptr(), image.pixels.size());
  return image;
}

std::vector<int64_t> every_row(const data::HostBatch& batch) {
  std::vector<int64_t> rows(static_cast<size_t>(batch.pixels.size(0)));
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<int64_t>(i);
  return rows;
}

// The jitter of the parameters, its turns named as torchvision names them.
data::Jitter jitter_of(const nlohmann::json& parameters) {
  static const std::map<std::string, int> turns = {{"brightness", data::kBrightness},
                                                   {"contrast", data::kContrast},
                                                   {"saturation", data::kSaturation},
                                                   {"hue", data::kHue}};
  data::Jitter jitter;
  jitter.brightness = parameters.at("brightness");
  jitter.contrast = parameters.at("contrast");
  jitter.saturation = parameters.at("saturation");
  jitter.hue = parameters.at("hue");
  for (size_t i = 0; i < jitter.order.size(); ++i) {
    jitter.order[i] = turns.at(parameters.at("order").at(i));
  }
  return jitter;
}

}  // namespace

// picture (h, w, C) uint8, `height`, `width` -> resized.
void resize(Case& c) {
  const image::Image resized = image::resize(image_of(c.input("picture")), c.parameters.at("width"),
                                             c.parameters.at("height"));
  at::Tensor out = at::empty({resized.height, resized.width, resized.channels}, at::kByte);
  std::memcpy(out.data_ptr(), resized.pixels.data(), resized.pixels.size());
  c.out["resized"] = out;
}

// picture (h, w, C) uint8 of the configured size -> patches (N, C, p, p), normalised.
void patches(Case& c) {
  const config::Config config = config_of(c);
  const data::HostBatch batch = data::cut_picture(
      image_of(c.input("picture")), c.name, training::loader_options(config, false, 0, false));
  const data::DevicePatches patches(batch, config.data.mean, config.data.std, at::kCPU,
                                    training::tensor_type(config.training.precision), 0);
  c.out["patches"] = patches.gather(every_row(batch));
}

// The same with jitter and translation (content right by `dx`, down by `dy`), by the loops for the
// host and by the tensor operations for a GPU; pixels in 0 .. 1.
void jitter(Case& c) {
  const config::Config config = config_of(c);
  const image::Image picture = image_of(c.input("picture"));
  data::HostBag bag;
  bag.id = c.name;
  bag.source_width = picture.width;
  bag.source_height = picture.height;
  data::Cut cut = data::plan_cut(bag, training::loader_options(config, false, 0, false));
  cut.placement.origin_x = -c.parameters.at("dx").get<int64_t>();
  cut.placement.origin_y = -c.parameters.at("dy").get<int64_t>();
  cut.jitter = {jitter_of(c.parameters)};

  data::HostBatch batch;
  batch.bags = {cut.bag};
  const int64_t n = cut.grid.size();
  batch.offsets = {0, n};
  const int64_t channels = picture.channels;
  batch.pixels = at::empty({n, channels, cut.grid.patch_height, cut.grid.patch_width}, at::kByte);
  batch.inside = at::empty({n, 4}, at::kInt);
  data::cut_patches(picture, cut, batch.pixels.data_ptr<uint8_t>(),
                    batch.inside.data_ptr<int32_t>());
  batch.jitter = data::measure_jitter(picture, cut);
  const std::vector<double> zeros(static_cast<size_t>(channels), 0.0);
  const std::vector<double> ones(static_cast<size_t>(channels), 1.0);
  c.out["host"] = data::DevicePatches(batch, zeros, ones, at::kCPU,
                                      training::tensor_type(config.training.precision), 0)
                      .gather(every_row(batch));

  at::Tensor on_device = batch.pixels.to(at::kFloat) / 255;
  data::jitter_on_device(
      on_device, std::vector<const data::Jitter*>(static_cast<size_t>(n), &batch.jitter[0]));
  for (int64_t i = 0; i < n; ++i) {
    const int32_t* inside = batch.inside.data_ptr<int32_t>() + 4 * i;
    const at::Tensor seen = at::zeros_like(on_device[i]);
    seen.slice(1, inside[1], inside[3]).slice(2, inside[0], inside[2]).fill_(1);
    on_device[i].mul_(seen);
  }
  c.out["device"] = on_device;
}

}  // namespace dbps::parity
