#include "data/plan.h"

#include <algorithm>
#include <numeric>
#include <unordered_map>

#include "base/error.h"
#include "base/parallel.h"
#include "base/random.h"

namespace dbps::data {
namespace {

// Positions in the list of pictures, drawn so that every class of the first task is as likely as
// any other. A picture without a label of that task is in no class and is not drawn.
std::vector<int64_t> draw_balanced(const Dataset& dataset, const std::vector<int64_t>& pictures,
                                   RandomStream& random) {
  DBPS_CHECK(!dataset.tasks().empty(), "balanced sampling needs a task");
  const TaskColumn& task = dataset.tasks().front();
  std::vector<std::vector<int64_t>> members(std::max<size_t>(2, task.classes.size()));
  for (size_t i = 0; i < pictures.size(); ++i) {
    const Label& label = dataset.pictures()[pictures[i]].labels.front();
    if (label.empty()) continue;
    if (task.kind != "multilabel") {
      members[static_cast<size_t>(label[0])].push_back(static_cast<int64_t>(i));
      continue;
    }
    for (size_t c = 0; c < label.size(); ++c) {
      if (label[c] > 0) members[c].push_back(static_cast<int64_t>(i));
    }
  }
  std::erase_if(members, [](const auto& positions) { return positions.empty(); });
  if (members.empty()) {
    throw ConfigError(
        "data.sampling = \"balanced\": no training picture is labelled for the task '" + task.name +
        "', whose classes are to be drawn equally");
  }
  std::vector<int64_t> drawn(pictures.size());
  for (int64_t& position : drawn) {
    const auto& positions = members[random.below(static_cast<int64_t>(members.size()))];
    position = positions[random.below(static_cast<int64_t>(positions.size()))];
  }
  return drawn;
}

std::vector<int64_t> epoch_order(const Dataset& dataset, const std::vector<int64_t>& pictures,
                                 const PlanOptions& options, int64_t epoch) {
  RandomStream random(static_cast<uint64_t>(options.seed), Purpose::kOrder,
                      static_cast<uint64_t>(epoch));
  if (options.sampling == Sampling::kBalanced) return draw_balanced(dataset, pictures, random);
  const auto count = static_cast<int64_t>(pictures.size());
  if (options.shuffle) return random.permutation(count);
  std::vector<int64_t> order(pictures.size());
  std::iota(order.begin(), order.end(), 0);
  return order;
}

using Shares = std::vector<std::vector<int64_t>>;

Shares contiguous_shares(const std::vector<int64_t>& batch, int64_t num_shares) {
  Shares shares(static_cast<size_t>(num_shares));
  const auto count = static_cast<int64_t>(batch.size());
  int64_t begin = 0;
  for (int64_t s = 0; s < num_shares; ++s) {
    const int64_t end = begin + count / num_shares + (s < count % num_shares ? 1 : 0);
    shares[s].assign(batch.begin() + begin, batch.begin() + end);
    begin = end;
  }
  return shares;
}

// Largest first onto the share with the least work; in a share, the order of the batch.
Shares balanced_shares(const std::vector<int64_t>& batch, const std::vector<int64_t>& patches,
                       int64_t num_shares) {
  std::vector<size_t> by_size(batch.size());
  std::iota(by_size.begin(), by_size.end(), 0);
  std::stable_sort(by_size.begin(), by_size.end(),
                   [&](size_t a, size_t b) { return patches[batch[a]] > patches[batch[b]]; });
  std::vector<int64_t> load(static_cast<size_t>(num_shares), 0);
  std::vector<size_t> share_of(batch.size());
  for (const size_t i : by_size) {
    const auto least = std::min_element(load.begin(), load.end());
    share_of[i] = static_cast<size_t>(least - load.begin());
    *least += patches[batch[i]];
  }
  Shares shares(static_cast<size_t>(num_shares));
  for (size_t i = 0; i < batch.size(); ++i) shares[share_of[i]].push_back(batch[i]);
  return shares;
}

void count_occurrences(std::vector<StepPlan>& steps) {
  std::unordered_map<int64_t, int64_t> drawn;
  for (StepPlan& step : steps) {
    for (const std::vector<int64_t>& share : step.micro_batches) {
      std::vector<int64_t>& occurrences = step.occurrences.emplace_back();
      for (const int64_t picture : share) occurrences.push_back(drawn[picture]++);
    }
  }
}

}  // namespace

std::vector<StepPlan> plan_epoch(const Dataset& dataset, const std::vector<int64_t>& pictures,
                                 const std::vector<int64_t>& patches, const PlanOptions& options,
                                 int64_t epoch) {
  DBPS_CHECK(pictures.size() == patches.size(), "one number of patches a picture");
  DBPS_CHECK(options.batch_size_global >= 1 && options.micro_batches >= 1,
             "batch size and micro-batches are positive");
  const std::vector<int64_t> order = epoch_order(dataset, pictures, options, epoch);
  const auto batch_size = static_cast<size_t>(options.batch_size_global);
  std::vector<StepPlan> steps;
  for (size_t begin = 0; begin < order.size(); begin += batch_size) {
    const size_t end = std::min(order.size(), begin + batch_size);
    const std::vector<int64_t> batch(order.begin() + begin, order.begin() + end);
    const bool equal = std::all_of(batch.begin(), batch.end(), [&](int64_t position) {
      return patches[position] == patches[batch[0]];
    });
    StepPlan step;
    step.micro_batches = equal ? contiguous_shares(batch, options.micro_batches)
                               : balanced_shares(batch, patches, options.micro_batches);
    for (std::vector<int64_t>& share : step.micro_batches) {
      for (int64_t& position : share) position = pictures[position];
    }
    steps.push_back(std::move(step));
  }
  count_occurrences(steps);
  return steps;
}

std::vector<std::vector<int64_t>> plan_evaluation(const std::vector<int64_t>& pictures,
                                                  int64_t batch_size, int rank, int world_size) {
  DBPS_CHECK(batch_size >= 1 && 0 <= rank && rank < world_size, "a rank of the world");
  const auto size = static_cast<int64_t>(pictures.size());
  const int64_t num_batches = (size + batch_size - 1) / batch_size;
  std::vector<std::vector<int64_t>> batches;
  const auto [first, last] = share_of(num_batches, rank, world_size);
  for (int64_t i = first; i < last; ++i) {
    const int64_t end = std::min(size, (i + 1) * batch_size);
    batches.emplace_back(pictures.begin() + i * batch_size, pictures.begin() + end);
  }
  return batches;
}

}  // namespace dbps::data
