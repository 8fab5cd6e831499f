// The reducer with ResNet-18's gradients in host memory: clearing its buckets, starting all of them
// and waiting, as a step does around its backward passes.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include "base/error.h"
#include "bench/benchmark.h"
#include "distributed/collectives.h"
#include "distributed/reducer.h"
#include "model/encoder.h"

namespace dbps::bench {
namespace {

std::vector<std::pair<std::string, at::Tensor>> resnet18_parameters() {
  model::BatchStatistics statistics;
  const auto encoder = model::make_encoder(model::EncoderOptions{}, at::kFloat, 0, statistics);
  std::vector<std::pair<std::string, at::Tensor>> parameters;
  for (const model::NamedTensor& one : encoder->parameters().parameters()) {
    parameters.emplace_back(one.name, one.tensor);
  }
  return parameters;
}

}  // namespace

Report run_reduce(const Settings& settings) {
  DBPS_CHECK(settings.world != nullptr, "bench reduce needs the world of ranks");
  const distributed::DistributedOptions options;
  const auto collectives = distributed::make_collectives(*settings.world, options, at::kCPU);
  distributed::GradientReducer reducer(resnet18_parameters(), *collectives, options.bucket_mb);
  const double megabytes = static_cast<double>(reducer.bytes()) / 1e6;
  const at::Tensor flat = at::zeros({reducer.bytes() / 4}, at::kFloat);
  const at::Tensor copy = at::zeros_like(flat);

  const auto contender = [&](const char* name, auto work) {
    Contender made{name, nullptr, [&settings] { settings.world->barrier(); }};
    made.run = [megabytes, work] {
      work();
      return megabytes;
    };
    return made;
  };
  std::vector<Limit> limits = {{contender("memory copy", [&] { copy.copy_(flat); })}};
  if (settings.num_ranks() > 1) {
    limits.insert(limits.begin(), {contender("clear, one sum", [&] {
                    flat.zero_();
                    collectives->all_reduce(flat)->wait();
                  })});
  }
  Report report;
  report.of = fmt::format("{:.1f} MB in {} buckets, summed by {}", megabytes, reducer.num_buckets(),
                          settings.num_ranks() > 1 ? collectives->name() : "nobody: one rank");
  report.comparisons.push_back(compare(
      fmt::format("{} rank{}", settings.num_ranks(), settings.num_ranks() == 1 ? "" : "s"), "MB/s",
      contender("reducer",
                [&] {
                  reducer.zero();
                  reducer.finish({});
                }),
      limits, pacing_of(settings)));
  return report;
}

}  // namespace dbps::bench
