#include "model/published_weights.h"

#include <fmt/format.h>

#include <string_view>
#include <vector>

namespace dbps::model {
namespace {

constexpr std::string_view kAddress = "https://download.pytorch.org/models/";

// torchvision's. The end of a file's name is the beginning of its SHA-256.
struct Published {
  std::string_view network;
  std::string_view file;
  std::string_view checksum;
};

constexpr Published kPublished[] = {{"ResNet-18", "resnet18-f37072fd.pth", "f37072fd"},
                                    {"ResNet-50", "resnet50-0676ba61.pth", "0676ba61"},
                                    {"ResNet-50", "resnet50-11ad3fa6.pth", "11ad3fa6"}};

}  // namespace

std::string where_published(const std::string& network) {
  std::string places;
  for (const Published& published : kPublished) {
    if (published.network != network) continue;
    places += fmt::format("{}{}{} (SHA-256 {}...)", places.empty() ? "" : " or ", kAddress,
                          published.file, published.checksum);
  }
  if (places.empty()) return "";
  return fmt::format("torchvision's ImageNet weights of {} are at {}", network, places);
}

}  // namespace dbps::model
