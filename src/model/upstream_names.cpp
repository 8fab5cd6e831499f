#include "model/upstream_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <string_view>

namespace dbps::model {
namespace {

// Beginnings of names; the first that fits is taken.
struct Pair {
  std::string_view ours;
  std::string_view theirs;
};

constexpr Pair kResnet[] = {{"encoder.conv1.", "encoder.0."},
                            {"encoder.bn1.", "encoder.1."},
                            {"encoder.layer1.", "encoder.4."},
                            {"encoder.layer2.", "encoder.5."},
                            {"encoder.layer3.", "encoder.6."},
                            {"encoder.layer4.", "encoder.7."},
                            {"encoder.projector.linear.", "encoder.9.2."},
                            {"encoder.projector.bn.", "encoder.9.3."}};
constexpr Pair kFeatures[] = {{"encoder.projector.linear.", "encoder.1."},
                              {"encoder.projector.bn.", "encoder.2."}};
constexpr Pair kMlp = {"aggregator.mlp.", "transf.mlp.w_"};
constexpr Pair kAggregator[] = {{"aggregator.q", "transf.crs_attn.q"},
                                {"aggregator.w_q.", "transf.crs_attn.q_w."},
                                {"aggregator.w_k.", "transf.crs_attn.k_w."},
                                {"aggregator.w_v.", "transf.crs_attn.v_w."},
                                {"aggregator.w_o.", "transf.crs_attn.fc."},
                                {"aggregator.layer_norm.", "transf.crs_attn.layer_norm."},
                                {"aggregator.mlp.layer_norm.", "transf.mlp.layer_norm."},
                                kMlp};
constexpr std::string_view kHeads = "heads.";
constexpr std::string_view kOutputLayers = "output_layers.";
constexpr std::string_view kOutputLinear = "0.";

// A beginning that ends with '.' stands before more, that of a layer of the MLP before its number;
// another is the whole name.
bool fits(std::string_view name, std::string_view beginning) {
  if (beginning == kMlp.ours || beginning == kMlp.theirs) {
    return name.starts_with(beginning) && name.size() > beginning.size() &&
           std::isdigit(static_cast<unsigned char>(name[beginning.size()]));
  }
  return beginning.ends_with('.') ? name.starts_with(beginning) : name == beginning;
}

template <size_t count>
std::optional<std::string> translate(const Pair (&table)[count], std::string_view name,
                                     std::string_view Pair::*from, std::string_view Pair::*to) {
  for (const Pair& pair : table) {
    const std::string_view beginning = pair.*from;
    if (fits(name, beginning)) {
      return std::string(pair.*to) + std::string(name.substr(beginning.size()));
    }
  }
  return std::nullopt;
}

std::optional<std::string> translate(bool resnet, std::string_view name,
                                     std::string_view Pair::*from, std::string_view Pair::*to) {
  const auto encoder =
      resnet ? translate(kResnet, name, from, to) : translate(kFeatures, name, from, to);
  return encoder ? encoder : translate(kAggregator, name, from, to);
}

bool any_starts(const std::vector<std::string>& names, std::string_view beginning) {
  return std::any_of(names.begin(), names.end(),
                     [&](const std::string& name) { return name.starts_with(beginning); });
}

}  // namespace

UpstreamNames UpstreamNames::of_ours(const std::vector<std::string>& names) {
  return UpstreamNames(any_starts(names, "encoder.conv1."));
}

UpstreamNames UpstreamNames::of_theirs(const std::vector<std::string>& names) {
  return UpstreamNames(any_starts(names, "encoder.0."));
}

std::optional<std::string> UpstreamNames::theirs(const std::string& ours) const {
  if (!ours.starts_with(kHeads)) return translate(resnet_, ours, &Pair::ours, &Pair::theirs);
  const size_t dot = ours.rfind('.');
  if (dot < kHeads.size()) return std::nullopt;
  return fmt::format("{}{}.{}{}", kOutputLayers, ours.substr(kHeads.size(), dot - kHeads.size()),
                     kOutputLinear, ours.substr(dot + 1));
}

std::optional<std::string> UpstreamNames::ours(const std::string& theirs) const {
  if (!theirs.starts_with(kOutputLayers)) {
    return translate(resnet_, theirs, &Pair::theirs, &Pair::ours);
  }
  const size_t dot = theirs.find('.', kOutputLayers.size());
  if (dot == std::string::npos || theirs.compare(dot + 1, kOutputLinear.size(), kOutputLinear)) {
    return std::nullopt;
  }
  return fmt::format("{}{}.{}", kHeads,
                     theirs.substr(kOutputLayers.size(), dot - kOutputLayers.size()),
                     theirs.substr(dot + 1 + kOutputLinear.size()));
}

bool are_upstream_names(const std::vector<std::string>& names) {
  static constexpr std::string_view kEncoder = "encoder.";
  return any_starts(names, "transf.") || any_starts(names, kOutputLayers) ||
         std::any_of(names.begin(), names.end(), [](const std::string& name) {
           return name.starts_with(kEncoder) && name.size() > kEncoder.size() &&
                  std::isdigit(static_cast<unsigned char>(name[kEncoder.size()]));
         });
}

}  // namespace dbps::model
