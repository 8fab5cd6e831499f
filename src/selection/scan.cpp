#include "selection/scan.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "base/random.h"
#include "selection/kept_embeddings.h"
#include "selection/ranking.h"
#include "selection/shared.h"

namespace dbps::selection {
namespace {

// One bag, or this rank's part of it, on its way through the scan.
struct Walk {
  std::vector<int64_t> rows;  // of the batch, in scan order
  ScannedBag bag;
  std::unique_ptr<Buffers> buffers;
  int64_t seen = 0;

  int64_t size() const { return static_cast<int64_t>(rows.size()); }
};

int64_t bag_size(const Bags& bags, size_t b) { return bags.offsets[b + 1] - bags.offsets[b]; }

RandomStream stream(const Request& request, Purpose purpose, uint64_t sample) {
  return RandomStream(static_cast<uint64_t>(request.seed), purpose,
                      static_cast<uint64_t>(request.epoch), sample);
}

std::vector<int64_t> scan_order(const Bags& bags, size_t b, const Request& request,
                                Shuffle shuffle) {
  const int64_t n = bag_size(bags, b);
  if (!request.training || shuffle == Shuffle::kNone) {
    std::vector<int64_t> order(static_cast<size_t>(n));
    std::iota(order.begin(), order.end(), 0);
    return order;
  }
  if (shuffle == Shuffle::kBatch && n != bag_size(bags, 0)) {
    throw ConfigError(fmt::format(
        "selection.shuffle = \"batch\" needs bags of one size, but a batch has bags of {} and {} "
        "patches: use \"image\"",
        bag_size(bags, 0), n));
  }
  const uint64_t sample = bags.sample[shuffle == Shuffle::kBatch ? 0 : b];
  return stream(request, Purpose::kShuffle, sample).permutation(n);
}

// t * Gumbel noise of each place. Drawn place by place from the first, so that a patch's noise
// depends neither on what was dropped nor on the order of the scan.
std::vector<double> exploration_noise(const std::vector<int64_t>& place, const Request& request,
                                      uint64_t sample) {
  if (place.empty() || request.exploration <= 0.0) return {};
  RandomStream random = stream(request, Purpose::kExplore, sample);
  std::vector<double> of_place(*std::max_element(place.begin(), place.end()) + 1);
  for (double& value : of_place) value = request.exploration * random.gumbel();
  std::vector<double> noise;
  noise.reserve(place.size());
  for (const int64_t p : place) noise.push_back(of_place[p]);
  return noise;
}

// Of a bag's patches, those that this rank scans: [first, last).
std::pair<int64_t, int64_t> own_part(const Bags& bags, size_t b, const Request& request) {
  return request.group == nullptr ? std::pair{int64_t{0}, bag_size(bags, b)} : bags.own[b];
}

std::vector<Walk> open_walks(const Bags& bags, const Request& request, Ranking ranking,
                             Shuffle shuffle) {
  std::vector<Walk> walks(bags.sample.size());
  for (size_t b = 0; b < walks.size(); ++b) {
    Walk& walk = walks[b];
    const auto [first, last] = own_part(bags, b, request);
    for (const int64_t i : scan_order(bags, b, request, shuffle)) {
      if (i < first || i >= last) continue;
      walk.rows.push_back(bags.offsets[b] + i);
      walk.bag.place.push_back(bags.place[walk.rows.back()]);
    }
    walk.bag.noise = exploration_noise(walk.bag.place, request, bags.sample[b]);
    walk.buffers = make_buffers(ranking, request.salient, request.sub_salient);
  }
  return walks;
}

// Of a bag of n patches, how many come after the first `seen`.
int64_t step_size(int64_t n, int64_t seen, const Request& request) {
  return std::min(seen == 0 ? request.salient : request.scan_patches, n - seen);
}

// The rows of each step.
std::vector<std::vector<int64_t>> plan_steps(const std::vector<Walk>& walks,
                                             const Request& request) {
  std::vector<std::vector<int64_t>> steps;
  for (const Walk& walk : walks) {
    int64_t seen = 0;
    for (size_t step = 0; seen < walk.size(); ++step) {
      if (steps.size() == step) steps.emplace_back();
      const int64_t count = step_size(walk.size(), seen, request);
      const auto first = walk.rows.begin() + seen;
      steps[step].insert(steps[step].end(), first, first + count);
      seen += count;
    }
  }
  return steps;
}

// (n, heads) double on the host, whatever the scorer computes in.
at::Tensor host_logits(const Bags& bags, const Scorer& scorer, const at::Tensor& embeddings,
                       const std::vector<int64_t>& rows) {
  std::vector<int64_t> places;
  places.reserve(rows.size());
  for (const int64_t row : rows) places.push_back(bags.place[row]);
  const at::Tensor logits = scorer.logits(embeddings, at::tensor(places, at::kLong));
  DBPS_CHECK(logits.dim() == 2 && logits.size(0) == static_cast<int64_t>(rows.size()),
             "the scorer gives a row of logits a patch");
  return logits.to(at::kCPU).to(at::kDouble).contiguous();
}

void take_in(std::vector<Walk>& walks, const at::Tensor& logits, const Request& request) {
  const int64_t heads = logits.size(1);
  const double* next = logits.const_data_ptr<double>();
  for (Walk& walk : walks) {
    const int64_t n = step_size(walk.size(), walk.seen, request);
    if (n == 0) continue;
    walk.bag.heads = heads;
    walk.bag.logits.insert(walk.bag.logits.end(), next, next + n * heads);
    next += n * heads;
    walk.buffers->take_in(walk.bag, walk.seen, walk.seen + n);
    walk.seen += n;
  }
}

void append_rows(const Walk& walk, const std::vector<Ranked>& ranked, std::vector<int64_t>& rows) {
  for (const Ranked& entry : ranked) rows.push_back(walk.rows[entry.position]);
}

std::vector<int64_t> rows_in_buffers(const std::vector<Walk>& walks) {
  std::vector<int64_t> rows;
  for (const Walk& walk : walks) {
    append_rows(walk, walk.buffers->salient(), rows);
    append_rows(walk, walk.buffers->sub_salient(), rows);
  }
  return rows;
}

Selected selected(const Walk& walk, const std::vector<Ranked>& ranked) {
  Selected result;
  append_rows(walk, ranked, result.rows);
  for (const Ranked& entry : ranked) result.scores.push_back(static_cast<float>(entry.score));
  return result;
}

// Scores by position, as the bag's rows stand.
std::vector<float> by_row(const Walk& walk, const std::vector<double>& scores, int64_t first_row) {
  std::vector<float> attention(scores.size());
  for (size_t i = 0; i < scores.size(); ++i) {
    attention[walk.rows[i] - first_row] = static_cast<float>(scores[i]);
  }
  return attention;
}

Selection close(std::vector<Walk>& walks, const KeptEmbeddings& kept, const Bags& bags,
                const Request& request) {
  Selection selection;
  selection.sub_salient_embeddings.offsets = {0};
  std::vector<int64_t> sub_salient_rows;
  for (Walk& walk : walks) {
    walk.buffers->close(walk.bag);
    selection.salient.push_back(selected(walk, walk.buffers->salient()));
    selection.sub_salient.push_back(selected(walk, walk.buffers->sub_salient()));
    append_rows(walk, walk.buffers->sub_salient(), sub_salient_rows);
    selection.sub_salient_embeddings.offsets.push_back(
        static_cast<int64_t>(sub_salient_rows.size()));
    selection.patches_scanned += walk.seen;
    if (!request.attention) continue;
    const int64_t first_row = bags.offsets[selection.attention.size()];
    selection.attention.push_back(by_row(walk, whole_bag_scores(walk.bag), first_row));
  }
  if (!sub_salient_rows.empty()) {
    selection.sub_salient_embeddings.values = kept.take(sub_salient_rows);
  }
  return selection;
}

// What the exchange has to know also on a rank whose parts are all empty.
struct Shape {
  int64_t heads = 0;
  at::Tensor embeddings;  // (any, D)
};

// Embeddings of `rows`, each of which one rank of the group has kept.
at::Tensor take_from_all(const KeptEmbeddings& kept, const std::vector<int64_t>& rows,
                         const Shape& shape, distributed::Collectives& group) {
  std::vector<int64_t> own_rows;
  std::vector<int64_t> places;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (!kept.holds(rows[i])) continue;
    own_rows.push_back(rows[i]);
    places.push_back(static_cast<int64_t>(i));
  }
  const at::TensorOptions options = shape.embeddings.options();
  const at::Tensor values =
      at::zeros({static_cast<int64_t>(rows.size()), shape.embeddings.size(1)}, options);
  if (!own_rows.empty()) {
    values.index_copy_(0, at::tensor(places, at::kLong).to(options.device()), kept.take(own_rows));
  }
  return distributed::sum(group, values);
}

// What each rank knows of its parts, brought together.
std::vector<std::vector<float>> attention_of_all(const std::vector<Walk>& walks,
                                                 const std::vector<RankedParts>& ranked,
                                                 const Bags& bags,
                                                 distributed::Collectives& group) {
  at::Tensor own = at::zeros({bags.offsets.back()}, at::kFloat);
  float* values = own.data_ptr<float>();
  for (size_t b = 0; b < walks.size(); ++b) {
    for (size_t i = 0; i < walks[b].rows.size(); ++i) {
      values[walks[b].rows[i]] = static_cast<float>(ranked[b].own_scores[i]);
    }
  }
  const at::Tensor all = distributed::sum(group, own).contiguous();
  const float* from = all.const_data_ptr<float>();
  std::vector<std::vector<float>> attention;
  for (size_t b = 0; b < walks.size(); ++b) {
    attention.emplace_back(from + bags.offsets[b], from + bags.offsets[b + 1]);
  }
  return attention;
}

Selection close_together(const std::vector<Walk>& walks, const KeptEmbeddings& kept,
                         const Shape& shape, const Bags& bags, const Request& request) {
  Selection selection;
  selection.sub_salient_embeddings.offsets = {0};
  std::vector<PartOfBag> parts;
  for (const Walk& walk : walks) {
    parts.push_back({&walk.bag, &walk.rows});
    selection.patches_scanned += walk.seen;
  }
  std::vector<int64_t> sub_salient_rows;
  const std::vector<RankedParts> ranked =
      rank_parts(parts, request.salient + request.sub_salient, shape.heads, *request.group);
  for (const auto& [best, own_scores] : ranked) {
    Selected salient;
    Selected sub_salient;
    for (size_t i = 0; i < best.size(); ++i) {
      const bool is_salient = static_cast<int64_t>(i) < request.salient;
      Selected& to = is_salient ? salient : sub_salient;
      to.rows.push_back(best[i].row);
      to.scores.push_back(static_cast<float>(best[i].score));
      if (!is_salient) sub_salient_rows.push_back(best[i].row);
    }
    selection.salient.push_back(std::move(salient));
    selection.sub_salient.push_back(std::move(sub_salient));
    selection.sub_salient_embeddings.offsets.push_back(
        static_cast<int64_t>(sub_salient_rows.size()));
  }
  if (!sub_salient_rows.empty()) {
    selection.sub_salient_embeddings.values =
        take_from_all(kept, sub_salient_rows, shape, *request.group);
  }
  if (request.attention) {
    selection.attention = attention_of_all(walks, ranked, bags, *request.group);
  }
  return selection;
}

at::Tensor patch_of_zeros(const Bags& bags) {
  const at::Tensor none = bags.gather({});
  std::vector<int64_t> shape = none.sizes().vec();
  shape[0] = 1;
  return at::zeros(shape, none.options());
}

// Waits for the others of the group. Throws what interrupted this rank, or Interrupted.
void meet(const Request& request, const std::exception_ptr& interrupted) {
  if (request.waits) request.waits(true);
  const bool stop = distributed::any(*request.group, interrupted != nullptr);
  if (interrupted) std::rethrow_exception(interrupted);
  if (stop) throw Interrupted();
}

}  // namespace

Selection scan(const Bags& bags, const Scorer& scorer, const Request& request, Ranking ranking,
               Shuffle shuffle) {
  DBPS_CHECK(request.salient >= 1 && request.scan_patches >= 1 && request.sub_salient >= 0,
             "a scan needs M >= 1, L >= 1 and S >= 0");
  DBPS_CHECK(bags.offsets.size() == bags.sample.size() + 1, "one sample a bag");
  DBPS_CHECK(request.group == nullptr || ranking == Ranking::kGlobal,
             "only the ranking \"global\" can be shared by several ranks");
  DBPS_CHECK(request.group == nullptr || bags.own.size() == bags.sample.size(),
             "a rank of a group has a part of each bag");
  const c10::NoGradGuard no_gradient;
  std::vector<Walk> walks = open_walks(bags, request, ranking, shuffle);
  const bool decides_at_close = !walks.empty() && walks.front().buffers->decides_at_close();
  KeptEmbeddings kept(bags.offsets.back(), decides_at_close);
  Shape shape;
  const auto score = [&](const at::Tensor& patches, const std::vector<int64_t>& rows) {
    shape.embeddings = scorer.embed(patches).detach();
    const at::Tensor logits = host_logits(bags, scorer, shape.embeddings, rows);
    shape.heads = logits.size(1);
    return logits;
  };

  const std::vector<std::vector<int64_t>> steps = plan_steps(walks, request);
  if (bags.expect) bags.expect(steps);
  std::exception_ptr interrupted;
  for (size_t step = 0; step < steps.size() && !interrupted; ++step) {
    take_in(walks, score(bags.gather(steps[step]), steps[step]), request);
    if (request.sub_salient > 0) {
      kept.add(shape.embeddings, steps[step]);
      if (!decides_at_close) kept.retain(rows_in_buffers(walks));
    }
    if (step + 1 == steps.size() || !request.between_steps) continue;
    try {
      request.between_steps();
    } catch (...) {
      if (request.group == nullptr) throw;
      interrupted = std::current_exception();
    }
  }
  if (request.group == nullptr) return close(walks, kept, bags, request);
  // A rank whose parts are all empty may read no patch at all.
  if (steps.empty() && bags.offsets.back() > 0) score(patch_of_zeros(bags), {0});
  meet(request, interrupted);
  Selection selection = close_together(walks, kept, shape, bags, request);
  if (request.waits) request.waits(false);
  return selection;
}

}  // namespace dbps::selection
