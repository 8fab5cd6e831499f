#include "model/heads.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.h"
#include "model/initialize.h"
#include "model/ragged.h"

namespace dbps::model {
namespace {

int64_t num_outputs(const TaskOptions& task) {
  if (task.kind == TaskKind::kBinary) return 1;
  const int64_t classes =
      task.classes.empty() ? task.num_classes : static_cast<int64_t>(task.classes.size());
  DBPS_CHECK(classes >= 1, "the classes of task '" + task.name + "' are not known yet");
  return classes;
}

}  // namespace

Heads::Heads(const std::vector<TaskOptions>& tasks, int64_t width, at::TensorOptions tensor,
             int64_t seed)
    : tasks_(tasks) {
  const Initializer initial(seed, tensor, "heads");
  for (const TaskOptions& task : tasks_) {
    const int64_t outputs = num_outputs(task);
    const auto add = [&](const std::string& name, at::IntArrayRef shape) {
      return parameters_.add(name, initial.fan_in_uniform(name, shape, width));
    };
    weights_.push_back(add(task.name + ".weight", {outputs, width}));
    biases_.push_back(add(task.name + ".bias", {outputs}));
  }
}

at::Tensor Heads::logits(const at::Tensor& tokens_BTD, int64_t task) const {
  const auto tasks = static_cast<int64_t>(tasks_.size());
  const int64_t tokens = tokens_BTD.size(1);
  const at::Tensor own = tokens > tasks ? tokens_BTD.slice(1, task, tokens, tasks).mean(1)
                                        : tokens_BTD.select(1, tokens == 1 ? 0 : task);
  return at::linear(own, weights_.at(task), biases_.at(task));
}

at::Tensor Heads::pool(const at::Tensor& logits, const std::vector<int64_t>& offsets,
                       int64_t task) const {
  const Ragged rows = {logits, offsets};
  return tasks_.at(task).kind == TaskKind::kMulticlass ? bag_means(rows) : bag_maxima(rows);
}

at::Tensor Heads::confidences(const at::Tensor& patches) const {
  std::vector<at::Tensor> of_tasks;
  for (size_t i = 0; i < tasks_.size(); ++i) {
    const at::Tensor of_patches = logits(patches, static_cast<int64_t>(i));
    const bool softmax = tasks_[i].kind == TaskKind::kMulticlass;
    of_tasks.push_back((softmax ? of_patches.log_softmax(1) : at::log_sigmoid(of_patches)).amax(1));
  }
  return at::stack(of_tasks, 1);
}

at::Tensor Heads::probabilities(const at::Tensor& logits, int64_t task) const {
  return tasks_.at(task).kind == TaskKind::kMulticlass ? logits.softmax(1) : logits.sigmoid();
}

at::Tensor Heads::losses(const at::Tensor& logits, const TaskLabels& labels, int64_t task,
                         double epsilon) const {
  if (tasks_.at(task).kind == TaskKind::kMulticlass) {
    // log_softmax is the finite form of log(softmax + 0).
    const at::Tensor log_probabilities =
        epsilon == 0 ? logits.log_softmax(1) : (logits.softmax(1) + epsilon).log();
    const at::Tensor target = labels.target.clamp_min(0).unsqueeze(1);
    return -log_probabilities.gather(1, target).squeeze(1);
  }
  const at::Tensor probabilities = logits.sigmoid();
  const at::Tensor target = labels.target.to(logits.scalar_type()).view(logits.sizes());
  // LibTorch clamps the logarithms at -100.
  return at::binary_cross_entropy(probabilities, target, {}, at::Reduction::None).mean(1);
}

}  // namespace dbps::model
