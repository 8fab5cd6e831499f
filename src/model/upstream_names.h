// The released code's names for the tensors of a whole model (method.md 4), and ours for them.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace dbps::model {

// Upstream's encoder is a Sequential, so that a tensor's number says where its layer stands in it:
// a ResNet's layers, then its projector, or a projector alone (frozen features).
class UpstreamNames {
 public:
  // Whether names ("encoder.conv1.weight", "encoder.0.weight"), ours or theirs, have a ResNet.
  static UpstreamNames of_ours(const std::vector<std::string>& names);
  static UpstreamNames of_theirs(const std::vector<std::string>& names);

  // Nothing where the other side has no such tensor.
  std::optional<std::string> theirs(const std::string& ours) const;
  std::optional<std::string> ours(const std::string& theirs) const;

 private:
  explicit UpstreamNames(bool resnet) : resnet_(resnet) {}
  bool resnet_;
};

// Whether a state dict's names are upstream's.
bool are_upstream_names(const std::vector<std::string>& names);

}  // namespace dbps::model
