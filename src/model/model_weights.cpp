#include "model/model_weights.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "model/projector.h"
#include "model/published_weights.h"
#include "model/recognize.h"
#include "model/upstream_names.h"

namespace dbps::model {
namespace {

constexpr std::string_view kEncoder = "encoder.";
constexpr std::string_view kHeads = "heads.";

std::vector<std::string> names_in(const std::vector<NamedTensor>& tensors) {
  std::vector<std::string> names;
  for (const NamedTensor& named : tensors) names.push_back(named.name);
  return names;
}

bool starts(const NamedTensor& named, std::string_view beginning) {
  return named.name.starts_with(beginning);
}

void drop_prefix(std::vector<NamedTensor>& tensors, std::string_view prefix) {
  const bool all = std::all_of(tensors.begin(), tensors.end(),
                               [&](const NamedTensor& named) { return starts(named, prefix); });
  if (!all) return;
  for (NamedTensor& named : tensors) named.name.erase(0, prefix.size());
}

// "it holds ResNet-50, not ResNet-18", when names tell so.
void refuse_other_network(const std::vector<NamedTensor>& into,
                          const std::vector<NamedTensor>& from, const std::filesystem::path& path) {
  const std::string wanted = recognize(names_in(into));
  const std::string given = recognize(names_in(from));
  if (wanted.empty() || given.empty() || wanted == given) return;
  throw DataError(fmt::format("{} holds the weights of {}, not of {}, which encoder.kind asks for",
                              path.string(), given, wanted));
}

// Takes the tensors that a file may lack out of `into` and says that they stay.
template <typename Which>
void keep_as_drawn(std::vector<NamedTensor>& into, const std::filesystem::path& path,
                   const std::string& why, Which which) {
  std::vector<std::string> kept;
  for (const NamedTensor& named : into) {
    if (which(named)) kept.push_back(named.name);
  }
  if (kept.empty()) return;
  log::info("{}: {}; as drawn at random stay {}", path.string(), why, join_words(kept, 6));
  std::erase_if(into, which);
}

// The encoder's tensors of a file, by their bare names: of a whole model its part "encoder.", else
// all but those that the encoder says it does not use.
std::vector<NamedTensor> encoder_part(const std::vector<NamedTensor>& tensors,
                                      const EncoderSpec& spec) {
  const bool whole_model =
      std::any_of(tensors.begin(), tensors.end(),
                  [](const NamedTensor& named) { return starts(named, kEncoder); });
  std::vector<NamedTensor> part;
  for (NamedTensor named : tensors) {
    if (whole_model) {
      if (!starts(named, kEncoder)) continue;
      named.name.erase(0, kEncoder.size());
    }
    const bool unused =
        std::any_of(spec.unused_weights.begin(), spec.unused_weights.end(),
                    [&](const std::string& beginning) { return starts(named, beginning); });
    if (!unused) part.push_back(named);
  }
  return part;
}

}  // namespace

Names names_of(const std::string& word) {
  if (word == "dbps") return Names::kDbps;
  if (word == "upstream") return Names::kUpstream;
  if (word == "torchvision") return Names::kTorchvision;
  throw ConfigError(fmt::format("--names {}: there are dbps, upstream and torchvision", word));
}

WeightsFile read_model_weights(const std::filesystem::path& path) {
  WeightsFile file = read_weights(path);
  drop_prefix(file.tensors, "module.");
  drop_prefix(file.tensors, "_orig_mod.");
  std::erase_if(file.tensors, [](const NamedTensor& named) {
    return named.name.ends_with(".num_batches_tracked");
  });
  const std::vector<std::string> names = names_in(file.tensors);
  if (!are_upstream_names(names)) return file;
  const UpstreamNames upstream = UpstreamNames::of_theirs(names);
  file.remark = " (the file has upstream's names; these are ours)";
  for (NamedTensor& named : file.tensors) {
    named.name = upstream.ours(named.name).value_or(named.name);
  }
  return file;
}

void load_model(const std::vector<NamedTensor>& model, const WeightsFile& file,
                const std::filesystem::path& path, bool reset_heads) {
  const auto of_encoder = [](const NamedTensor& named) { return starts(named, kEncoder); };
  if (std::none_of(file.tensors.begin(), file.tensors.end(), of_encoder)) {
    const std::string given = recognize(names_in(file.tensors));
    if (!given.empty()) {
      throw DataError(
          fmt::format("{} holds the weights of {} alone, not a whole model: a fitting encoder's go "
                      "into encoder.weights",
                      path.string(), given));
    }
  }
  refuse_other_network(model, file.tensors, path);
  std::vector<NamedTensor> into = model;
  WeightsFile from = file;
  if (reset_heads) {
    const auto of_head = [](const NamedTensor& named) { return starts(named, kHeads); };
    keep_as_drawn(into, path, "training.reset_heads is set", of_head);
    std::erase_if(from.tensors, of_head);
  }
  load_into(into, from, path);
}

void load_encoder(Encoder& encoder, const std::filesystem::path& path) {
  const EncoderSpec& spec = encoder.spec();
  std::vector<NamedTensor> into = encoder.parameters().parameters();
  const std::vector<NamedTensor>& buffers = encoder.parameters().buffers();
  into.insert(into.end(), buffers.begin(), buffers.end());
  if (!std::filesystem::exists(path)) {
    const std::string where = where_published(recognize(names_in(into)));
    throw DataError(fmt::format("encoder.weights: there is no file {}{}{}", path.string(),
                                where.empty() ? "" : "; ", where));
  }
  WeightsFile part = read_model_weights(path);
  part.tensors = encoder_part(part.tensors, spec);
  refuse_other_network(into, part.tensors, path);

  const auto removed = std::erase_if(part.tensors, [&](const NamedTensor& named) {
    return named.name == spec.replaced_stem && named.tensor.dim() == 4 &&
           named.tensor.size(1) != spec.channels;
  });
  if (removed > 0) {
    keep_as_drawn(into, path, "its first weight is for another number of channels",
                  [&](const NamedTensor& named) { return named.name == spec.replaced_stem; });
  }
  const auto projects = [](const NamedTensor& named) { return starts(named, kProjectorPrefix); };
  const auto is_trunk = [&](const NamedTensor& named) { return !projects(named); };
  // Published weights end at the pooling. An encoder that is a projector alone has no such.
  if (std::none_of(part.tensors.begin(), part.tensors.end(), projects) &&
      std::any_of(into.begin(), into.end(), is_trunk)) {
    keep_as_drawn(into, path, "it has no projector", projects);
  }
  load_into(into, part, path);
}

std::vector<NamedTensor> exported(const std::vector<NamedTensor>& model, Names names) {
  std::vector<NamedTensor> tensors = model;
  if (names == Names::kTorchvision) {
    std::erase_if(tensors, [](const NamedTensor& named) { return !starts(named, kEncoder); });
    for (NamedTensor& named : tensors) named.name.erase(0, kEncoder.size());
    const auto left_out = std::erase_if(
        tensors, [](const NamedTensor& named) { return starts(named, kProjectorPrefix); });
    if (left_out > 0) log::info("torchvision has no names for the projector: it is left out");
    if (tensors.empty())
      throw ConfigError("--names torchvision: this encoder is a projector alone");
  } else if (names == Names::kUpstream) {
    const UpstreamNames upstream = UpstreamNames::of_ours(names_in(model));
    for (NamedTensor& named : tensors) {
      const std::optional<std::string> theirs = upstream.theirs(named.name);
      if (!theirs) {
        throw ConfigError(fmt::format(
            "--names upstream: the released code has no name for {}: it knows ResNets, frozen "
            "features and the attention aggregators",
            named.name));
      }
      named.name = *theirs;
    }
  }
  return tensors;
}

}  // namespace dbps::model
