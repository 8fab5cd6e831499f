// One optimiser step: the micro-batch is the unit, and labels weigh what they should.
#include "training/step.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>

#include "data/loader.h"
#include "support/small_store.h"
#include "support/temp_folder.h"
#include "training/preprocessing.h"
#include "training/resolve.h"

namespace dbps::training {
namespace {

constexpr int64_t kPictures = 12;

class StepTest : public ::testing::Test {
 protected:
  StepTest() {
    data::NamedPictures pictures;
    std::string labels = "id,first,second\n";
    for (int64_t i = 0; i < kPictures; ++i) {
      const std::string id = "p" + std::to_string(10 + i);
      pictures.emplace_back(id, data::random_picture(64, 64, static_cast<uint64_t>(i)));
      labels += id + "," + std::string(1, "abc"[i % 3]) + "," +
                (i % 2 == 0   ? ""
                 : i % 4 == 1 ? "0"
                              : "1") +
                "\n";
    }
    store_ = folder_.path() / "store";
    data::make_store(store_, pictures);
    data::write_text(store_ / "labels.csv", labels);

    config_.data.store = {store_.string()};
    config_.data.height = config_.data.width = 64;
    config_.data.patch_size = 16;
    config_.data.fraction_validation = 0;
    config_.data.decode_threads = 1;
    config_.augment = {0, 0, 0, 0, data::JitterPer::kBag, 0};
    config_.selection.salient = 3;
    config_.selection.sub_salient = 5;
    config_.selection.scan_patches = 6;
    config_.encoder.kind = "tiny";
    config_.encoder.width = 64;
    config_.aggregator.heads = 4;
    config_.aggregator.key_width = config_.aggregator.value_width = 16;
    config_.aggregator.mlp_width = 32;
    config_.aggregator.attention_dropout = config_.aggregator.dropout = 0;
    model::TaskOptions first;
    first.name = "first";
    model::TaskOptions second;
    second.name = "second";
    second.kind = model::TaskKind::kBinary;
    config_.tasks = {first, second};
    config_.training.epochs = 1;
    config_.training.batch_size_global = kPictures;
    config_.training.precision = Precision::kFp64;
    config_.optimizer.warmup_epochs = 0;
  }

  // Gradients of the first step by name, and its loss.
  struct Outcome {
    double loss = 0;
    std::vector<std::pair<std::string, at::Tensor>> gradients;
    std::vector<std::pair<std::string, at::Tensor>> buffers;
  };

  Outcome first_step(int64_t micro_batches) {
    at::set_num_threads(1);
    config::Config config = config_;
    config.training.micro_batches = micro_batches;
    const data::Dataset dataset(config.data, task_columns(config));
    config = resolve_data(config, dataset);
    model::Model model({config.encoder, config.aggregator, config.tasks}, at::kCPU, at::kDouble, 1);
    std::vector<std::pair<std::string, at::Tensor>> parameters;
    for (const model::NamedTensor& p : model.parameters()) {
      if (p.tensor.requires_grad()) parameters.emplace_back(p.name, p.tensor);
    }
    const auto optimizer = optimization::make_optimizer(config.optimizer, {{parameters, 1.0}});
    const std::unique_ptr<distributed::World> world = distributed::make_world();
    const auto collectives =
        distributed::make_collectives(*world, config.distributed, at::Device(at::kCPU));
    distributed::Watchdog watchdog(60, 0, "here", nullptr);
    TrainingStep step(config, dataset, model, *optimizer, *world, *collectives, *collectives,
                      watchdog);

    data::PlanOptions options;
    options.batch_size_global = kPictures;
    options.micro_batches = micro_batches;
    const std::vector<int64_t>& pictures = dataset.of_split(data::Split::kTrain);
    const std::vector<int64_t> patches(pictures.size(), 16);
    const std::vector<data::StepPlan> plan =
        data::plan_epoch(dataset, pictures, patches, options, 0);
    data::Loader loader(dataset, loader_options(config, true, 0, false), plan[0].micro_batches);
    const StepResult result = step.run(plan[0], {0, 0, 0}, 0.0, [&] { return *loader.next(); });

    Outcome outcome;
    outcome.loss = result.loss;
    for (const auto& [name, tensor] : parameters) {
      outcome.gradients.emplace_back(name, tensor.grad().clone());
    }
    for (const model::NamedTensor& b : model.buffers()) {
      outcome.buffers.emplace_back(b.name, b.tensor.clone());
    }
    return outcome;
  }

  static void expect_equal(const Outcome& a, const Outcome& b, double tolerance) {
    EXPECT_NEAR(a.loss, b.loss, tolerance);
    ASSERT_EQ(a.gradients.size(), b.gradients.size());
    double largest = 0;
    for (size_t i = 0; i < a.gradients.size(); ++i) {
      const at::Tensor& x = a.gradients[i].second;
      const double scale = std::max(1e-3, x.abs().max().item<double>());
      const double difference = (x - b.gradients[i].second).abs().max().item<double>();
      EXPECT_LE(difference / scale, tolerance) << a.gradients[i].first;
      largest = std::max(largest, x.abs().max().item<double>());
    }
    EXPECT_GT(largest, 1e-4) << "no gradient to compare";
  }

  TempFolder folder_;
  std::filesystem::path store_;
  config::Config config_;
};

TEST_F(StepTest, GradientsDoNotDependOnHowTheBatchIsCut) {
  config_.encoder.frozen = true;  // BatchNorm's batch statistics belong to a micro-batch
  config_.tasks[0].class_weights = {1.0, 2.0, 0.5};
  config_.tasks[1].weight = 3.0;
  const Outcome one = first_step(1);
  expect_equal(one, first_step(2), 1e-6);
  expect_equal(one, first_step(4), 1e-6);
  expect_equal(one, first_step(5), 1e-6);  // shares of 3, 3, 2, 2, 2
}

TEST_F(StepTest, BatchStatisticsBelongToTheMicroBatch) {
  const Outcome one = first_step(1);
  const Outcome two = first_step(2);
  EXPECT_GT(std::abs(one.loss - two.loss), 1e-9);
  // The first layer sees the same values either way, and its running mean is the mean of them all.
  ASSERT_NE(one.buffers[0].first.find("running_mean"), std::string::npos);
  EXPECT_TRUE(at::allclose(one.buffers[0].second, two.buffers[0].second, 1e-10, 1e-12));
  EXPECT_GT(one.buffers[0].second.abs().max().item<double>(), 1e-4);
}

TEST_F(StepTest, AnEmptyMicroBatchContributesNothing) {
  config_.encoder.frozen = true;
  expect_equal(first_step(kPictures), first_step(kPictures + 4), 1e-9);
}

TEST_F(StepTest, AnUnlabelledPictureIsAsGoodAsAbsent) {
  config_.encoder.frozen = true;
  config_.aggregator.tokens = 1;
  config_.tasks[0].weight = 0;
  const Outcome among_others = first_step(2);
  config_.tasks.erase(config_.tasks.begin());  // leaves the six pictures with a second label
  const Outcome alone = first_step(1);
  EXPECT_NEAR(among_others.loss, alone.loss, 1e-9);
}

}  // namespace
}  // namespace dbps::training
