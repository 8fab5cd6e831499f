// `features`: vectors of a frozen encoder, computed beforehand, through a trained projector
// (method.md 4). Names: projector.linear.{weight,bias}, projector.bn.*.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include "base/error.h"
#include "model/encoders.h"
#include "model/initialize.h"
#include "model/projector.h"

namespace dbps::model {
namespace {

// Evaluation mode, BatchNorm folded into Linear.
class FoldedProjector final : public ScanEncoder {
 public:
  explicit FoldedProjector(const Projector& source) : source_(source) { refresh(); }
  void refresh() override { folded_ = source_.fold(); }
  at::Tensor embed(const at::Tensor& vectors_nF) override {
    const c10::NoGradGuard no_grad;
    return folded_.forward(vectors_nF);
  }

 private:
  const Projector& source_;
  Projector::Folded folded_;
};

class FeatureEncoder final : public Encoder {
 public:
  FeatureEncoder(const EncoderOptions& options, at::TensorOptions tensor, int64_t seed,
                 BatchStatistics& statistics)
      : width_in_(checked(options).width_in),
        projector_(options.width_in, options.width == 0 ? kProjectedWidth : options.width,
                   Initializer(seed, tensor, "encoder"), parameters_,
                   options.frozen ? nullptr : &statistics) {
    spec_.width = options.width == 0 ? kProjectedWidth : options.width;
    spec_.channels = 0;
    spec_.min_patch = 0;
    if (options.frozen) parameters_.freeze();
  }

  const EncoderSpec& spec() const override { return spec_; }
  Parameters& parameters() override { return parameters_; }

  at::Tensor embed(const at::Tensor& vectors_nF, const Forward& forward) override {
    DBPS_CHECK(vectors_nF.dim() == 2 && vectors_nF.size(1) == width_in_,
               "the features encoder was given vectors of another width");
    return projector_.forward(vectors_nF, forward);
  }

  // One Linear: nothing to gain from another type.
  std::unique_ptr<ScanEncoder> make_scan_copy(at::ScalarType /*type*/) override {
    return std::make_unique<FoldedProjector>(projector_);
  }

 private:
  static const EncoderOptions& checked(const EncoderOptions& options) {
    if (options.width_in < 1) {
      throw ConfigError("encoder.features.width_in is not known: give the width of the vectors");
    }
    if (options.frozen_stages > 0) {
      throw ConfigError(
          fmt::format("encoder.frozen_stages = {}: encoder.kind = 'features' has no stages, what "
                      "made the vectors "
                      "is not trained; leave it out",
                      options.frozen_stages));
    }
    if (options.width < 0) {
      throw ConfigError(fmt::format("encoder.width = {}: give 0 or more", options.width));
    }
    if (options.projector != "auto" && options.projector != "linear") {
      throw ConfigError(fmt::format(
          "encoder.projector = '{}': encoder.kind = 'features' is its projector; give 'auto'",
          options.projector));
    }
    return options;
  }

  const int64_t width_in_;
  EncoderSpec spec_;
  Parameters parameters_;
  Projector projector_;
};

}  // namespace

std::unique_ptr<Encoder> make_features(const EncoderOptions& options, at::TensorOptions tensor,
                                       int64_t seed, BatchStatistics& statistics) {
  return std::make_unique<FeatureEncoder>(options, tensor, seed, statistics);
}

}  // namespace dbps::model
