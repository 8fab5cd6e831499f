#include "data/plan.h"

#include <algorithm>
#include <numeric>
#include <unordered_map>

#include "base/error.h"
#include "base/parallel.h"
#include "base/random.h"

namespace dbps::data {
namespace {

using Positions = std::vector<int64_t>;  // in the list of pictures

// Those in each home.
std::vector<Positions> by_home(const Dataset& dataset, const std::vector<int64_t>& pictures) {
  std::vector<Positions> homes(static_cast<size_t>(dataset.num_homes()));
  for (size_t i = 0; i < pictures.size(); ++i) {
    homes[dataset.pictures()[pictures[i]].home].push_back(static_cast<int64_t>(i));
  }
  return homes;
}

int64_t most_in_a_home(const std::vector<Positions>& homes) {
  size_t most = 0;
  for (const Positions& home : homes) most = std::max(most, home.size());
  return static_cast<int64_t>(most);
}

// As many of `home`, drawn so that every class of the first task is as likely as any other. A
// picture without a label of that task is in no class and is not drawn.
Positions draw_balanced(const Dataset& dataset, const std::vector<int64_t>& pictures,
                        const Positions& home, RandomStream& random) {
  DBPS_CHECK(!dataset.tasks().empty(), "balanced sampling needs a task");
  const TaskColumn& task = dataset.tasks().front();
  std::vector<Positions> members(std::max<size_t>(2, task.classes.size()));
  for (const int64_t position : home) {
    const Label& label = dataset.pictures()[pictures[position]].labels.front();
    if (label.empty()) continue;
    if (task.kind != "multilabel") {
      members[static_cast<size_t>(label[0])].push_back(position);
      continue;
    }
    for (size_t c = 0; c < label.size(); ++c) {
      if (label[c] > 0) members[c].push_back(position);
    }
  }
  std::erase_if(members, [](const Positions& positions) { return positions.empty(); });
  if (members.empty()) {
    throw ConfigError(
        "data.sampling = \"balanced\": no training picture is labelled for the task '" + task.name +
        "', whose classes are to be drawn equally" +
        (dataset.num_homes() > 1 ? ", in one of data.stage_homes" : ""));
  }
  Positions drawn(home.size());
  for (int64_t& position : drawn) {
    const Positions& positions = members[random.below(static_cast<int64_t>(members.size()))];
    position = positions[random.below(static_cast<int64_t>(positions.size()))];
  }
  return drawn;
}

Positions epoch_order(const Dataset& dataset, const std::vector<int64_t>& pictures,
                      const Positions& home, const PlanOptions& options, RandomStream random) {
  if (home.empty()) return {};
  if (options.sampling == Sampling::kBalanced) {
    return draw_balanced(dataset, pictures, home, random);
  }
  Positions order = home;
  if (options.shuffle) random.shuffle(order);
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

constexpr int64_t kNothing = -1;

// What each home gives at each turn of the epoch, a position or kNothing; all have as many turns.
//
// Bags of about the same size take the same turn in every home: ranks wait for each other within a
// step, and a large slide in one home would leave those of the others idle (batches of 16, sizes
// log-uniform from 1,000 to 100,000 tiles, 4 homes, a rank each: 37 % of the time, by turns of like
// size 1 %).
std::vector<Positions> turns_of(std::vector<Positions> homes, const std::vector<int64_t>& patches,
                                bool by_size, RandomStream random) {
  const int64_t most = most_in_a_home(homes);
  Positions turn(static_cast<size_t>(most));
  std::iota(turn.begin(), turn.end(), 0);
  if (by_size) random.shuffle(turn);
  for (Positions& home : homes) {
    if (by_size) {
      std::stable_sort(home.begin(), home.end(),
                       [&](int64_t a, int64_t b) { return patches[a] > patches[b]; });
    }
    const auto count = static_cast<int64_t>(home.size());
    Positions turns(static_cast<size_t>(most), kNothing);
    for (int64_t i = 0; i < count; ++i) turns[turn[i * most / count]] = home[i];
    home = std::move(turns);
  }
  return homes;
}

Positions batch_of(const Positions& turns, int64_t portion, int64_t step) {
  const auto first = turns.begin() + step * portion;
  const auto last =
      turns.begin() + std::min(static_cast<int64_t>(turns.size()), (step + 1) * portion);
  Positions batch(first, last);
  std::erase(batch, kNothing);
  return batch;
}

int64_t portion_of(int64_t batch_size_global, const Dataset& dataset) {
  DBPS_CHECK(batch_size_global >= 1 && batch_size_global % dataset.num_homes() == 0,
             "the homes divide the batch size");
  return batch_size_global / dataset.num_homes();
}

Shares shares_of(const Positions& batch, const std::vector<int64_t>& patches, int64_t num_shares) {
  const bool equal = std::all_of(batch.begin(), batch.end(), [&](int64_t position) {
    return patches[position] == patches[batch[0]];
  });
  return equal ? contiguous_shares(batch, num_shares) : balanced_shares(batch, patches, num_shares);
}

}  // namespace

std::vector<StepPlan> plan_epoch(const Dataset& dataset, const std::vector<int64_t>& pictures,
                                 const std::vector<int64_t>& patches, const PlanOptions& options,
                                 int64_t epoch) {
  DBPS_CHECK(pictures.size() == patches.size(), "one number of patches a picture");
  DBPS_CHECK(options.micro_batches >= 1 && options.micro_batches % dataset.num_homes() == 0,
             "the homes divide the micro-batches");
  const int64_t portion = portion_of(options.batch_size_global, dataset);
  std::vector<Positions> homes = by_home(dataset, pictures);
  const auto random = [&](uint64_t which) {
    return RandomStream(static_cast<uint64_t>(options.seed), Purpose::kOrder,
                        static_cast<uint64_t>(epoch), which);
  };
  for (size_t h = 0; h < homes.size(); ++h) {
    homes[h] = epoch_order(dataset, pictures, homes[h], options, random(h));
  }
  const bool by_size = homes.size() > 1 && options.shuffle;
  const std::vector<Positions> turns =
      turns_of(std::move(homes), patches, by_size, random(dataset.num_homes()));
  std::vector<StepPlan> steps(
      static_cast<size_t>(steps_per_epoch(dataset, pictures, options.batch_size_global)));
  for (size_t s = 0; s < steps.size(); ++s) {
    for (const Positions& home : turns) {
      for (Positions& share : shares_of(batch_of(home, portion, static_cast<int64_t>(s)), patches,
                                        options.micro_batches / dataset.num_homes())) {
        for (int64_t& position : share) position = pictures[position];
        steps[s].micro_batches.push_back(std::move(share));
      }
    }
  }
  count_occurrences(steps);
  return steps;
}

int64_t steps_per_epoch(const Dataset& dataset, const std::vector<int64_t>& pictures,
                        int64_t batch_size_global) {
  const int64_t portion = portion_of(batch_size_global, dataset);
  return (most_in_a_home(by_home(dataset, pictures)) + portion - 1) / portion;
}

std::vector<std::vector<int64_t>> plan_evaluation(const Dataset& dataset,
                                                  const std::vector<int64_t>& pictures,
                                                  int64_t batch_size, const ReaderPlace& reader) {
  DBPS_CHECK(batch_size >= 1 && 0 <= reader.reader && reader.reader < reader.num_readers,
             "one of the readers");
  const std::vector<Positions> homes = by_home(dataset, pictures);
  const auto [first_home, last_home] = reader.at_place(dataset.num_homes());
  std::vector<std::vector<int64_t>> batches;
  for (int64_t h = first_home; h < last_home; ++h) {
    for (size_t i = 0; i < homes[h].size(); ++i) {
      if (i % static_cast<size_t>(batch_size) == 0) batches.emplace_back();
      batches.back().push_back(pictures[homes[h][i]]);
    }
  }
  const auto [first, last] =
      share_of(static_cast<int64_t>(batches.size()), reader.reader, reader.num_readers);
  return {batches.begin() + first, batches.begin() + last};
}

}  // namespace dbps::data
