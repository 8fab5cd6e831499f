// Patch groups over MPI: groups of 1, 2 and 4 ranks select and train the same (run with 4 ranks;
// the number stands as argument).
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "data/loader.h"
#include "support/rank_failures.h"
#include "support/temp_folder.h"
#include "support/tile_store.h"
#include "training/precision.h"
#include "training/preprocessing.h"
#include "training/resolve.h"
#include "training/staging.h"
#include "training/step.h"

namespace dbps::training {
namespace {

distributed::World* world = nullptr;
int expected_size = 0;
std::filesystem::path store;

// Fewer tiles than ranks in a group, than M, than M + S, and many.
const std::vector<int64_t> kSizes = {1, 2, 3, 40, 25, 9, 60, 17, 6, 33, 12, 4};
constexpr int64_t kBatch = 6;
constexpr int64_t kMicroBatches = 4;

void make_slides() {
  std::vector<data::MadeSlide> slides;
  for (size_t i = 0; i < kSizes.size(); ++i) {
    slides.push_back(
        {fmt::format("s{:02}", i), kSizes[i], i % 2 == 1, "train", i % 4 == 3 ? 2 : 1});
  }
  data::MadeTiles how;
  how.lesion_share = 0.2;
  data::make_tile_store(store, slides, how);
}

config::Config base_config() {
  config::Config config;
  config.data.store = {store.string()};
  config.data.fraction_validation = 0;
  config.data.decode_threads = 1;
  config.augment = {0.1, 0.1, 0.1, 0.05, data::JitterPer::kBag, 0};
  config.drop.ratio = "0.1";
  config.selection.salient = 5;
  config.selection.sub_salient = 8;
  config.selection.scan_patches = 6;
  config.selection.ranking = selection::Ranking::kGlobal;
  config.encoder.kind = "tiny";
  config.aggregator.heads = 4;
  config.aggregator.key_width = config.aggregator.value_width = 16;
  config.aggregator.mlp_width = 32;
  config.aggregator.attention_dropout = config.aggregator.dropout = 0;
  model::TaskOptions task;
  task.name = "label";
  config.tasks = {task};
  config.training.epochs = 10;
  config.training.batch_size_global = kBatch;
  config.training.micro_batches = kMicroBatches;
  config.training.precision = Precision::kFp64;
  config.training.scan_precision = Precision::kFp64;
  config.optimizer.learning_rate = 1e-3;
  return config;
}

using Tensors = std::vector<std::pair<std::string, at::Tensor>>;

Tensors clone(const Tensors& tensors) {
  Tensors copies;
  for (const auto& [name, tensor] : tensors) copies.emplace_back(name, tensor.detach().clone());
  return copies;
}

// What a run gives, the same on every rank.
struct Outcome {
  std::vector<double> losses;
  std::vector<int64_t> scanned;
  std::vector<int64_t> bytes_read;
  std::vector<std::string> selected;  // of each step: who is salient and sub-salient, in order
  Tensors gradients;                  // of the first step
  std::vector<Tensors> weights;       // before each step
  Tensors last;                       // weights and running statistics after the last one
};

class TrialRun {
 public:
  // `apart`: as if the ranks of a group lay on several nodes.
  TrialRun(config::Config asked, int64_t group_size, bool apart = false)
      : apart_(apart && group_size > 1),
        asked_(with_group(std::move(asked), group_size)),
        dataset_(asked_.data, task_columns(asked_)),
        config_(resolve_data(asked_, dataset_)),
        model_({config_.encoder, config_.aggregator, config_.tasks}, at::kCPU,
               tensor_type(config_.training.precision), 1),
        optimizer_(optimization::make_optimizer(config_.optimizer, {{parameters(), 1.0}})),
        collectives_(distributed::make_collectives(*world, config_.distributed, at::kCPU)),
        group_(distributed::make_group_collectives(*world, config_.distributed, at::kCPU)),
        watchdog_(60, *world),
        step_(config_, dataset_, model_, *optimizer_, *world, *collectives_, *group_, watchdog_) {}

  // `restart`: weights to begin each step with.
  Outcome steps(int64_t count, const std::vector<Tensors>* restart = nullptr) {
    Outcome outcome;
    for (int64_t s = 0; s < count; ++s) {
      if (restart != nullptr) take_over((*restart)[s]);
      outcome.weights.push_back(clone(tensors()));
      one_step(s, outcome);
      if (s == 0) {
        for (const auto& [name, tensor] : parameters()) {
          outcome.gradients.emplace_back(name, tensor.grad().clone());
        }
      }
    }
    outcome.last = clone(tensors());
    return outcome;
  }

 private:
  static config::Config with_group(config::Config config, int64_t size) {
    config.distributed.patch_group = size;
    resolve_micro_batches(config, *world);
    return config;
  }

  Tensors parameters() {
    Tensors all;
    for (const model::NamedTensor& p : model_.parameters()) {
      if (p.tensor.requires_grad()) all.emplace_back(p.name, p.tensor);
    }
    return all;
  }

  Tensors tensors() {
    Tensors all;
    for (const model::NamedTensor& t : model_.tensors()) all.emplace_back(t.name, t.tensor);
    return all;
  }

  void take_over(const Tensors& from) {
    const c10::NoGradGuard no_gradient;
    const Tensors to = tensors();
    for (size_t i = 0; i < to.size(); ++i) to[i].second.copy_(from[i].second);
    step_.pass().refresh();
  }

  std::string describe(int64_t micro_batch, const data::HostBatch& batch,
                       const selection::Selection& selection) {
    std::string text;
    for (const auto* selected : {&selection.salient, &selection.sub_salient}) {
      for (size_t b = 0; b < selected->size(); ++b) {
        text += fmt::format("{} {}:", micro_batch, batch.bags[b].id);
        for (const int64_t row : (*selected)[b].rows) {
          text += fmt::format(" {}", batch.bags[b].index[row - batch.offsets[b]]);
        }
        text += "\n";
      }
    }
    return text;
  }

  void one_step(int64_t s, Outcome& outcome) {
    const int64_t per_epoch = static_cast<int64_t>(kSizes.size()) / kBatch;
    const int64_t epoch = s / per_epoch;
    data::PlanOptions options;
    options.batch_size_global = kBatch;
    options.micro_batches = kMicroBatches;
    const std::vector<int64_t>& pictures = dataset_.of_split(data::Split::kTrain);
    const data::StepPlan plan =
        data::plan_epoch(dataset_, pictures, kSizes, options, epoch)[s % per_epoch];
    const auto [first, last] = reader_place(config_, *world).own(kMicroBatches);
    const std::vector<std::vector<int64_t>> mine(plan.micro_batches.begin() + first,
                                                 plan.micro_batches.begin() + last);
    data::LoaderOptions loading = loader_options(config_, true, epoch, false);
    loading.share = bag_share(config_, dataset_, *world);
    loading.share.apart = apart_;
    std::string text;
    data::Loader before(dataset_, loading, mine);
    for (int64_t i = first; i < last; ++i) {
      data::HostBatch batch = *before.next();
      if (batch.bags.empty()) continue;
      step_.pass().join(batch);
      const at::Tensor like = model_.parameters().front().tensor;
      const data::DevicePatches patches = device_patches(batch, config_, model_, like);
      text += describe(
          i, batch, step_.pass().select(batch, patches, training_request(config_, epoch, 0.5, {})));
    }
    outcome.selected.push_back(gathered(text, first));
    data::Loader loader(dataset_, loading, mine);
    const StepResult result =
        step_.run(plan, {s, epoch, 0.5}, 1e-3, [&] { return *loader.next(); });
    outcome.losses.push_back(result.loss);
    outcome.scanned.push_back(result.patches_scanned);
    outcome.bytes_read.push_back(result.bytes_read);
    EXPECT_EQ(result.bytes_exchanged > 0, apart_);
    EXPECT_EQ(result.images, kBatch);
  }

  // The texts of one rank a group, which its others must repeat.
  std::string gathered(const std::string& text, int64_t) {
    std::string all;
    const std::vector<std::string> texts = world->all_gather(text);
    const auto size = static_cast<size_t>(config_.distributed.patch_group);
    for (size_t r = 0; r < texts.size(); ++r) {
      EXPECT_EQ(texts[r], texts[r / size * size]) << "ranks of a group select differently";
      if (r % size == 0) all += texts[r];
    }
    return all;
  }

  bool apart_;
  config::Config asked_;
  data::Dataset dataset_;
  config::Config config_;
  model::Model model_;
  std::unique_ptr<optimization::Optimizer> optimizer_;
  std::unique_ptr<distributed::Collectives> collectives_;
  std::unique_ptr<distributed::Collectives> group_;
  distributed::Watchdog watchdog_;
  TrainingStep step_;
};

double largest_value(const Tensors& tensors) {
  double largest = 0;
  for (const auto& [name, tensor] : tensors) {
    largest = std::max(largest, tensor.abs().max().item<double>());
  }
  return largest;
}

// Relative to the largest number of each tensor; of one that is nothing but rounding (the bias of a
// layer before BatchNorm), to a millionth of the largest of all.
double largest_difference(const Tensors& a, const Tensors& b) {
  double worst = 0;
  EXPECT_EQ(a.size(), b.size());
  const double least_scale = 1e-6 * largest_value(a);
  for (size_t i = 0; i < a.size(); ++i) {
    const double scale = std::max(a[i].second.abs().max().item<double>(), least_scale);
    const double difference = (a[i].second - b[i].second).abs().max().item<double>() / scale;
    worst = std::max(worst, difference);
  }
  return worst;
}

double worst_loss(const Outcome& a, const Outcome& b) {
  double worst = 0;
  EXPECT_EQ(a.losses.size(), b.losses.size());
  for (size_t s = 0; s < a.losses.size(); ++s) {
    EXPECT_GT(a.losses[s], 0);
    worst = std::max(worst, std::abs(a.losses[s] - b.losses[s]) / std::abs(a.losses[s]));
  }
  return worst;
}

void expect_same(const config::Config& config, int64_t num_steps, bool apart = false) {
  const Outcome one = TrialRun(config, 1).steps(num_steps);
  EXPECT_NE(one.losses.front(), one.losses.back());
  EXPECT_GT(largest_value(one.gradients), 1e-4) << "no gradient to compare";
  for (int64_t size = 2; size <= expected_size; size *= 2) {
    const Outcome shared = TrialRun(config, size, apart).steps(num_steps);
    EXPECT_EQ(shared.selected, one.selected) << "groups of " << size;
    EXPECT_EQ(shared.scanned, one.scanned);
    const double losses = worst_loss(one, shared);
    const double gradients = largest_difference(one.gradients, shared.gradients);
    const double weights = largest_difference(one.last, shared.last);
    if (world->rank() == 0) {
      fmt::print("{} steps, g = {}: losses within {:.1e}, first gradients {:.1e}, weights {:.1e}\n",
                 num_steps, size, losses, gradients, weights);
    }
    EXPECT_LE(losses, 1e-8);
    EXPECT_LE(gradients, 1e-8);
    EXPECT_LE(weights, 1e-6);
  }
}

TEST(PatchGroup, TinyTrainsTheSameForTwentySteps) { expect_same(base_config(), 20); }

TEST(PatchGroup, NightlyWholeResNet18TrainsTheSameForTwentySteps) {
  config::Config config = base_config();
  config.encoder.kind = "resnet18";
  expect_same(config, 20);
}

// BatchNorm over vectors too, and dropout, whose masks belong to the micro-batch.
TEST(PatchGroup, ResNet18WithAProjectorTrainsTheSame) {
  config::Config config = base_config();
  config.encoder.kind = "resnet18";
  config.encoder.stages = 2;
  config.encoder.projector = "linear";
  config.encoder.width = 32;
  config.aggregator.dropout = config.aggregator.attention_dropout = 0.1;
  expect_same(config, 3);
}

TEST(PatchGroup, AFrozenEncoderAndOneBufferTrainTheSame) {
  config::Config config = base_config();
  config.encoder.frozen = true;
  config.selection.method = "ips";
  config.selection.sub_salient = 0;
  config.aggregator.kind = "cross_attention";
  expect_same(config, 4);
}

// Each rank reads its part alone, at limits that stay: what is read is what one rank scans, which
// reads the chosen tiles a second time. The jitter's contrast asks for what all of them see.
TEST(PatchGroup, OverSeveralNodesTrainsTheSame) {
  config::Config config = base_config();
  config.data.stage_homes = 1;
  config.augment.contrast = 0.3;
  for (const data::JitterPer per : {data::JitterPer::kBag, data::JitterPer::kPatch}) {
    config.augment.jitter_per = per;
    expect_same(config, 4, /*apart=*/true);
  }
  const Outcome one = TrialRun(config, 1).steps(2);
  const Outcome apart = TrialRun(config, expected_size, /*apart=*/true).steps(2);
  EXPECT_EQ(apart.bytes_read, one.bytes_read);
}

TEST(PatchGroup, InSinglePrecisionLossesStayTogether) {
  config::Config config = base_config();
  config.training.precision = config.training.scan_precision = Precision::kFp32;
  const Outcome one = TrialRun(config, 1).steps(20);
  for (int64_t size = 2; size <= expected_size; size *= 2) {
    const Outcome shared = TrialRun(config, size).steps(20, &one.weights);
    const double losses = worst_loss(one, shared);
    int same = 0;
    for (size_t s = 0; s < one.selected.size(); ++s) same += one.selected[s] == shared.selected[s];
    if (world->rank() == 0) {
      fmt::print("fp32, g = {}: losses within {:.1e}, {} of 20 steps select alike\n", size, losses,
                 same);
    }
    EXPECT_LE(losses, 1e-4);
    EXPECT_GE(same, 18);
  }
}

TEST(PatchGroup, MustDivideTheRanks) {
  config::Config config = base_config();
  config.distributed.patch_group = 3;
  EXPECT_THROW(resolve_micro_batches(config, *world), ConfigError);
}

}  // namespace
}  // namespace dbps::training

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  const auto world = dbps::distributed::make_world();
  dbps::training::world = world.get();
  dbps::training::expected_size = argc == 2 ? std::atoi(argv[1]) : -1;
  if (world->world_size() != dbps::training::expected_size) return 1;
  at::set_num_threads(1);
  std::optional<dbps::TempFolder> folder;
  if (world->rank() == 0) folder.emplace();
  dbps::training::store =
      world->broadcast(folder ? (folder->path() / "store").string() : std::string(), 0);
  if (folder) dbps::training::make_slides();
  world->barrier();
  dbps::print_failures_alone(world->rank());
  const auto failed = static_cast<int>(world->max(RUN_ALL_TESTS()));
  world->barrier();
  return failed;
}
