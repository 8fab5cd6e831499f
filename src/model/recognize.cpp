#include "model/recognize.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <string_view>

namespace dbps::model {
namespace {

constexpr std::string_view kEncoder = "encoder.";

struct Resnet {
  std::array<int, 4> blocks;
  bool bottleneck;
  std::string_view name;
};

constexpr Resnet kResnets[] = {{{2, 2, 2, 2}, false, "ResNet-18"},
                               {{3, 4, 6, 3}, false, "ResNet-34"},
                               {{3, 4, 6, 3}, true, "ResNet-50"},
                               {{3, 4, 23, 3}, true, "ResNet-101"},
                               {{3, 8, 36, 3}, true, "ResNet-152"}};

// A part of a name that only this family has.
struct Telltale {
  std::string_view part;
  std::string_view name;
};

constexpr Telltale kTelltales[] = {
    {"relative_position_bias_table", "a Swin transformer"},
    {"encoder_layer_0.", "a vision transformer of torchvision"},
    {"attn.qkv.", "a vision transformer"},
    {"attention.self.query.", "a BERT-like transformer"},
    {"denseblock1.", "a DenseNet"},
    {"Mixed_5b.", "an Inception network"},
    {"inception3a.", "GoogLeNet"},
    {"layer_scale", "a ConvNeXt"},
    {"conv_dw.", "an EfficientNet or MobileNet of timm"},
    {"features.0.0.", "a MobileNet, EfficientNet or RegNet-like network"},
    {"classifier.6.", "a VGG or AlexNet"},
    {"exp_avg", "an optimiser's state"}};

// ResNets cut after a stage are those whose first stages they have.
std::string resnet(const std::set<std::string>& names) {
  if (!names.contains("conv1.weight") || !names.contains("layer1.0.conv1.weight")) return "";
  std::array<int, 4> blocks = {};
  for (size_t stage = 0; stage < blocks.size(); ++stage) {
    while (names.contains(fmt::format("layer{}.{}.conv1.weight", stage + 1, blocks[stage]))) {
      ++blocks[stage];
    }
  }
  const bool bottleneck = names.contains("layer1.0.conv3.weight");
  for (const Resnet& known : kResnets) {
    bool same = known.bottleneck == bottleneck;
    for (size_t stage = 0; stage < blocks.size(); ++stage) {
      same = same && (blocks[stage] == 0 || blocks[stage] == known.blocks[stage]);
    }
    if (same) return std::string(known.name);
  }
  return "a ResNet of another depth";
}

}  // namespace

std::string recognize(const std::vector<std::string>& names) {
  std::set<std::string> bare;
  for (const std::string& name : names) {
    bare.insert(name.starts_with(kEncoder) ? name.substr(kEncoder.size()) : name);
  }
  if (const std::string found = resnet(bare); !found.empty()) return found;
  if (bare.contains("conv1.weight") && bare.contains("conv4.weight")) return "the tiny encoder";
  if (bare.contains("projector.linear.weight")) return "an encoder of frozen features";
  for (const Telltale& telltale : kTelltales) {
    const auto has = [&](const std::string& name) {
      return name.find(telltale.part) != std::string::npos;
    };
    if (std::any_of(names.begin(), names.end(), has)) return std::string(telltale.name);
  }
  return "";
}

}  // namespace dbps::model
