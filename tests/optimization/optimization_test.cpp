// AdamW, learning rate and clipping against PyTorch's numbers and closed forms.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "base/error.h"
#include "model/weights.h"
#include "optimization/optimizer.h"
#include "support/test_data.h"

namespace dbps::optimization {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

std::map<std::string, at::Tensor> read_golden(const std::string& name) {
  std::map<std::string, at::Tensor> golden;
  for (const auto& named :
       model::read_weights(test_data() / "optimization/golden" / (name + ".safetensors")).tensors) {
    golden[named.name] = named.tensor;
  }
  return golden;
}

// The three parameters of the golden run in their two groups.
struct Training {
  explicit Training(const std::map<std::string, at::Tensor>& golden) {
    for (const std::string name : {"a", "b", "idle"}) {
      parameters[name] = golden.at("start." + name).clone().requires_grad_();
    }
    optimizer = make_optimizer({}, groups());
  }
  std::vector<Group> groups() const {
    return {{{{"a", parameters.at("a")}, {"idle", parameters.at("idle")}}, 1.0},
            {{{"b", parameters.at("b")}}, 0.1}};
  }
  void step(const std::map<std::string, at::Tensor>& golden, int64_t step) {
    for (const std::string name : {"a", "b"}) {
      parameters[name].mutable_grad() = golden.at("gradient." + name)[step].clone();
    }
    optimizer->step(1e-2 * static_cast<double>(1 + step % 3));
  }
  std::map<std::string, at::Tensor> parameters;
  std::unique_ptr<Optimizer> optimizer;
};

TEST(AdamW, TwentyStepsAsPyTorch) {
  for (const auto& [file, tolerance] :
       {std::pair{"adamw_fp32", 1e-6}, std::pair{"adamw_fp64", 1e-12}}) {
    const auto golden = read_golden(file);
    Training run(golden);
    for (int64_t step = 0; step < 20; ++step) {
      run.step(golden, step);
      if (step != 0 && step != 19) continue;
      for (const auto& [name, parameter] : run.parameters) {
        const at::Tensor& expected = golden.at("after" + std::to_string(step + 1) + "." + name);
        EXPECT_TRUE(parameter.allclose(expected, tolerance, tolerance * 1e-2))
            << file << " step " << step << " " << name;
      }
    }
  }
}

TEST(AdamW, ResumesFromItsState) {
  const auto golden = read_golden("adamw_fp32");
  Training whole(golden);
  Training first(golden);
  for (int64_t step = 0; step < 20; ++step) whole.step(golden, step);
  for (int64_t step = 0; step < 7; ++step) first.step(golden, step);

  Training second(golden);
  {
    const c10::NoGradGuard no_grad;
    for (auto& [name, parameter] : second.parameters) parameter.copy_(first.parameters.at(name));
    const auto from = first.optimizer->state();
    const auto into = second.optimizer->state();
    ASSERT_EQ(from.size(), into.size());
    for (size_t i = 0; i < from.size(); ++i) {
      ASSERT_EQ(from[i].first, into[i].first);
      into[i].second.copy_(from[i].second);
    }
  }
  for (int64_t step = 7; step < 20; ++step) second.step(golden, step);
  for (const auto& [name, parameter] : whole.parameters) {
    EXPECT_TRUE(parameter.equal(second.parameters.at(name))) << name;
  }
}

TEST(AdamW, TakesGradientsOfAnotherLayout) {
  const auto step = [](bool other_layout) {
    const at::Tensor parameter = at::arange(24, at::kFloat).view({2, 3, 2, 2}).requires_grad_();
    at::Tensor gradient = (at::arange(24, at::kFloat) * 7).fmod(24).view({2, 3, 2, 2}) - 11.5;
    if (other_layout) gradient = gradient.contiguous(at::MemoryFormat::ChannelsLast);
    parameter.mutable_grad() = gradient;
    make_optimizer({}, {{{{"w", parameter}}, 1.0}})->step(0.1);
    return parameter.detach();
  };
  EXPECT_TRUE(step(true).equal(step(false)));
}

TEST(Optimizer, UnknownKind) {
  OptimizerOptions options;
  options.kind = "adamv";
  EXPECT_THAT([&] { make_optimizer(options, {}); },
              ThrowsMessage<ConfigError>(HasSubstr("optimizer.kind = 'adamv'")));
}

TEST(LearningRate, EveryStep) {
  OptimizerOptions options;
  options.learning_rate = 3e-4;
  const auto golden = read_golden("learning_rate");
  for (const auto& [warmup, total] :
       {std::pair{10, 100}, std::pair{0, 7}, std::pair{1, 5}, std::pair{20, 20}}) {
    const at::Tensor& rates = golden.at(std::to_string(warmup) + "." + std::to_string(total));
    for (int64_t step = 1; step <= total; ++step) {
      EXPECT_NEAR(learning_rate(options, step, warmup, total), rates[step - 1].item<double>(),
                  3e-4 * 1e-9)
          << warmup << " of " << total << ", step " << step;
    }
  }
  EXPECT_DOUBLE_EQ(learning_rate(options, 20, 20, 20), 3e-4);
  EXPECT_DOUBLE_EQ(learning_rate(options, 100, 10, 100), 3e-7);
  options.schedule = ScheduleKind::kConstant;
  EXPECT_DOUBLE_EQ(learning_rate(options, 5, 10, 100), 1.5e-4);
  EXPECT_DOUBLE_EQ(learning_rate(options, 90, 10, 100), 3e-4);
}

TEST(ClipGradients, BoundsTheGlobalNorm) {
  const auto groups = [](double scale) {
    const at::Tensor a = at::zeros({2}).requires_grad_();
    const at::Tensor b = at::zeros({1}).requires_grad_();
    a.mutable_grad() = at::tensor({3.0f, 0.0f}) * scale;
    b.mutable_grad() = at::tensor({4.0f}) * scale;
    return std::vector<Group>{{{{"a", a}}, 1.0},
                              {{{"b", b}, {"idle", at::zeros({1}).requires_grad_()}}, 1.0}};
  };
  auto large = groups(2);
  EXPECT_DOUBLE_EQ(clip_gradients(large, 1), 10);
  EXPECT_FLOAT_EQ(large[0].parameters[0].second.grad()[0].item<float>(), 0.6f);
  EXPECT_FLOAT_EQ(large[1].parameters[0].second.grad()[0].item<float>(), 0.8f);
  auto small = groups(0.1);
  EXPECT_NEAR(clip_gradients(small, 1), 0.5, 1e-7);
  EXPECT_FLOAT_EQ(small[0].parameters[0].second.grad()[0].item<float>(), 0.3f);
}

}  // namespace
}  // namespace dbps::optimization
