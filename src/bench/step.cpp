// A whole training step as `dbps train` does it, beside the same arithmetic in plain PyTorch's
// manner: CQU-BPDD's shape in the paper (N = 108 patches of 100 x 100, M = 12, S = 36, L = 32,
// r = 0.3), batches of 4.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <fstream>
#include <map>
#include <memory>
#include <numeric>

#include "bench/benchmark.h"
#include "bench/plain_resnet.h"
#include "bench/sample_store.h"
#include "config/config.h"
#include "data/loader.h"
#include "image/codec.h"
#include "training/precision.h"
#include "training/preprocessing.h"
#include "training/resolve.h"
#include "training/step.h"

namespace dbps::bench {
namespace {

constexpr int64_t kWidth = 1200;
constexpr int64_t kHeight = 900;
constexpr double kLearningRate = 1e-4;
constexpr double kAsked = 1.5;
constexpr size_t kMostRuns = 100'000;

constexpr const char* kConfig = R"(
[experiment]
name = "bench"
[data]
store = "{store}"
labels = "{store}/labels.csv"
height = 900
width = 1200
patch_size = 100
decode_threads = {threads}
fraction_validation = 0
[augment]
translate = 100
[drop]
ratio = 0.3
[selection]
salient = 12
sub_salient = 36
scan_patches = 32
[encoder]
kind = "resnet18"
[optimizer]
warmup_epochs = 0
[training]
epochs = 1
batch_size_global = {batch}
micro_batches = 1
[[task]]
name = "label"
classes = 2
)";

// Grey ramps: what they show does not matter to the step.
std::vector<uint8_t> picture(int64_t number) {
  image::Image made(kWidth, kHeight, 3);
  for (size_t i = 0; i < made.pixels.size(); ++i) {
    made.pixels[i] = static_cast<uint8_t>((i / 3 + 37 * static_cast<size_t>(number)) / 7);
  }
  return image::encode_jpeg(made);
}

config::Config config_over(const SampleStore& sample, const Settings& settings) {
  const std::string store = sample.reader().folder().string();
  std::ofstream labels(store + "/labels.csv");
  labels << "id,label\n";
  for (int64_t i = 0; i < sample.num_bags(); ++i) {
    labels << sample.reader().bag(i).id << ',' << "ab"[i % 2] << '\n';
  }
  labels.close();
  return config::parse(
      fmt::format(fmt::runtime(kConfig), fmt::arg("store", store),
                  fmt::arg("threads", settings.threads), fmt::arg("batch", settings.pictures)),
      "bench step", {});
}

// Everything that a step needs, for one way of doing it.
struct Bench {
  Bench(const config::Config& config, const data::Dataset& dataset, at::Device device)
      : model({config.encoder, config.aggregator, config.tasks}, device, at::kFloat, /*seed=*/0) {
    optimization::Group all;
    for (const model::NamedTensor& named : model.parameters()) {
      all.parameters.emplace_back(named.name, named.tensor);
    }
    optimizer = optimization::make_optimizer(config.optimizer, {all});
    const std::vector<int64_t>& pictures = dataset.of_split(data::Split::kTrain);
    plan.micro_batches = {{pictures.begin(), pictures.begin() + config.training.batch_size_global}};
    plan.occurrences = {std::vector<int64_t>(plan.micro_batches.front().size(), 0)};
  }

  model::Model model;
  std::unique_ptr<optimization::Optimizer> optimizer;
  data::StepPlan plan;
};

// The step's phases, summed over its runs.
struct Phases {
  std::map<std::string, double> seconds;
  double whole = 0;

  std::string text() const {
    double rest = whole;
    std::string shares;
    for (const auto& [name, spent] : seconds) {
      rest -= spent;
      shares += fmt::format("{} {:.1f} %, ", name, 100 * spent / whole);
    }
    return fmt::format("{}between them {:.1f} %", shares, 100 * rest / whole);
  }
};

class PlainStep {
 public:
  PlainStep(const config::Config& config, const data::Dataset& dataset, at::Device device)
      : config_(config),
        bench_(config, dataset, device),
        encoder_(bench_.model),
        labels_(dataset, config.tasks),
        selector_(selection::make_selector(config.selection)),
        like_(bench_.model.parameters().front().tensor) {
    data::Loader loader(dataset, training::loader_options(config, true, 0, device.is_cuda()),
                        bench_.plan.micro_batches);
    batch_ = *loader.next();
  }

  void run() {
    const data::DevicePatches patches =
        training::device_patches(batch_, config_, bench_.model, like_);
    const selection::Selection selected = select(patches);
    std::vector<int64_t> rows;
    model::Ragged salient;
    salient.offsets = {0};
    for (const selection::Selected& bag : selected.salient) {
      rows.insert(rows.end(), bag.rows.begin(), bag.rows.end());
      salient.offsets.push_back(static_cast<int64_t>(rows.size()));
    }
    salient.values = encoder_.embed(patches.gather(rows), /*training=*/true);
    model::Forward forward;
    forward.training = true;
    forward.generator = at::globalContext().defaultGenerator(like_.device()).clone();
    model::Ragged tokens;
    tokens.values = bench_.model.aggregator().aggregate(salient, selected.sub_salient_embeddings,
                                                        {}, {}, forward);
    tokens.offsets.resize(batch_.bags.size() + 1);
    std::iota(tokens.offsets.begin(), tokens.offsets.end(), 0);
    for (const model::NamedTensor& named : bench_.model.parameters()) {
      named.tensor.mutable_grad() = at::Tensor();
    }
    training::share_loss(bench_.model.heads(), config_.tasks, tokens,
                         bench_.plan.micro_batches.front(), labels_,
                         labels_.global_weights(bench_.plan), config_.training.loss_epsilon)
        .total.backward();
    bench_.optimizer->step(kLearningRate);
  }

 private:
  selection::Selection select(const data::DevicePatches& patches) {
    const c10::NoGradGuard no_grad;
    selection::Bags bags;
    bags.offsets = batch_.offsets;
    for (const data::HostBag& bag : batch_.bags) {
      bags.place.insert(bags.place.end(), bag.index.begin(), bag.index.end());
      bags.sample.push_back(bag.sample);
    }
    bags.gather = [&](const std::vector<int64_t>& rows) { return patches.gather(rows); };
    selection::Scorer scorer;
    scorer.embed = [&](const at::Tensor& x) { return encoder_.embed(x, /*training=*/false); };
    scorer.logits = [&](const at::Tensor& embeddings, const at::Tensor&) {
      return bench_.model.scan_logits(embeddings, {});
    };
    return selector_->select(bags, scorer, training::training_request(config_, 0, 0, {}));
  }

  const config::Config& config_;
  Bench bench_;
  PlainResnet18 encoder_;
  training::LabelWeights labels_;
  std::unique_ptr<selection::Selector> selector_;
  at::Tensor like_;
  data::HostBatch batch_;
};

}  // namespace

Report run_step(const Settings& settings) {
  Settings own = settings;
  own.store.clear();
  own.megabytes = 1;
  const SampleStore sample(own, kWidth, kHeight, picture);
  const at::Device device(at::hasCUDA() ? at::kCUDA : at::kCPU);
  const config::Config asked = config_over(sample, settings);
  const data::Dataset dataset(asked.data, training::task_columns(asked));
  const config::Config config = training::resolve_data(asked, dataset);

  Report report;
  report.of = fmt::format("{} pictures of 108 patches of 100 x 100 through ResNet-18 on {}",
                          settings.pictures, device.is_cuda() ? "a GPU" : "the CPU");
  for (const int threads : thread_counts(settings)) {
    at::set_num_threads(threads);
    PlainStep plain(config, dataset, device);
    Bench bench(config, dataset, device);
    const auto world = distributed::make_world();
    const auto collectives = distributed::make_collectives(*world, config.distributed, device);
    distributed::Watchdog watchdog(config.distributed.deadline_seconds, *world);
    training::TrainingStep step(config, dataset, bench.model, *bench.optimizer, *world,
                                *collectives, *collectives, watchdog);
    data::Loader loader(dataset, training::loader_options(config, true, 0, device.is_cuda()),
                        std::vector<std::vector<int64_t>>(kMostRuns, bench.plan.micro_batches[0]));
    Phases phases;
    const Contender subject{"dbps",
                            [&] {
                              const training::StepResult result =
                                  step.run(bench.plan, {0, 0, 0}, kLearningRate,
                                           [&] { return *loader.next(); });
                              for (const auto& [name, seconds] : result.phases)
                                phases.seconds[name] += seconds;
                              phases.whole += result.seconds;
                              return static_cast<double>(settings.pictures);
                            },
                            nullptr};
    const Contender limit{"operator by operator",
                          [&] {
                            plain.run();
                            return static_cast<double>(settings.pictures);
                          },
                          nullptr};
    report.comparisons.push_back(compare("fp32, " + threads_name(threads), "pictures/s", subject,
                                         {{limit, kAsked}}, pacing_of(settings)));
    report.notes.push_back(fmt::format("{}: {}", threads_name(threads), phases.text()));
  }
  return report;
}

}  // namespace dbps::bench
