// Check 8: which patches the scan keeps, after every step.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <numeric>

#include "data/grid.h"
#include "parity/probe_batch.h"
#include "selection/ranking.h"
#include "selection/scan.h"
#include "training/pass.h"
#include "training/precision.h"
#include "training/preprocessing.h"

namespace dbps::parity {
namespace {

std::vector<int64_t> positions(const std::vector<selection::Ranked>& ranked) {
  std::vector<int64_t> found;
  for (const selection::Ranked& entry : ranked) found.push_back(entry.position);
  return found;
}

// Both buffers after every step of one bag's scan: (steps, M) and (steps, S). The first M patches
// are no step unless they are all; what is ranked at the end alone has one row.
struct Steps {
  at::Tensor salient;
  at::Tensor sub_salient;
};

Steps walk(const at::Tensor& logits_NH, const std::vector<int64_t>& place,
           selection::Ranking ranking, const selection::Request& request) {
  const at::Tensor logits = logits_NH.to(at::kDouble).contiguous();
  const int64_t n = logits.size(0);
  selection::ScannedBag bag;
  bag.heads = logits.size(1);
  bag.place = place;
  const auto buffers = selection::make_buffers(ranking, request.salient, request.sub_salient);
  std::vector<std::vector<int64_t>> salient, sub_salient;
  const double* next = logits.data_ptr<double>();
  for (int64_t seen = 0; seen < n;) {
    const bool first = seen == 0;
    const int64_t size = std::min(first ? request.salient : request.scan_patches, n - seen);
    bag.logits.insert(bag.logits.end(), next, next + size * bag.heads);
    next += size * bag.heads;
    buffers->take_in(bag, seen, seen + size);
    seen += size;
    if (seen == n) buffers->close(bag);
    if ((first || buffers->decides_at_close()) && seen < n) continue;
    salient.push_back(positions(buffers->salient()));
    sub_salient.push_back(positions(buffers->sub_salient()));
  }
  return {as_tensor(salient, request.salient), as_tensor(sub_salient, request.sub_salient)};
}

selection::Request request_of(const config::Config& config, bool training) {
  return training ? training::training_request(config, 0, 0.0, nullptr)
                  : training::evaluation_request(config, nullptr);
}

std::vector<std::vector<int64_t>> rows_within(const std::vector<selection::Selected>& selected,
                                              const std::vector<int64_t>& offsets) {
  std::vector<std::vector<int64_t>> rows;
  for (size_t b = 0; b < selected.size(); ++b) {
    rows.push_back(selected[b].rows);
    for (int64_t& row : rows.back()) row -= offsets[b];
  }
  return rows;
}

}  // namespace

at::Tensor as_tensor(const std::vector<std::vector<int64_t>>& rows_of_bag, int64_t width) {
  at::Tensor out = at::full({static_cast<int64_t>(rows_of_bag.size()), std::max<int64_t>(width, 1)},
                            -1, at::kLong);
  for (size_t b = 0; b < rows_of_bag.size(); ++b) {
    std::copy(rows_of_bag[b].begin(), rows_of_bag[b].end(),
              out.data_ptr<int64_t>() + static_cast<int64_t>(b) * out.size(1));
  }
  return out;
}

data::HostBatch host_batch(const Case& c) {
  const at::Tensor& pixels = c.input("pixels");
  const int64_t bags = pixels.size(0);
  const int64_t n = pixels.size(1);
  data::HostBatch batch;
  batch.pixels = pixels.flatten(0, 1).contiguous();
  batch.offsets = {0};
  for (int64_t b = 0; b < bags; ++b) {
    data::HostBag bag;
    bag.picture = b;
    bag.id = c.name;
    bag.sample = static_cast<uint64_t>(b);
    bag.index.resize(static_cast<size_t>(n));
    std::iota(bag.index.begin(), bag.index.end(), 0);
    if (c.has("places")) {
      const at::Tensor places = c.input("places")[b].contiguous();
      std::copy_n(places.data_ptr<int64_t>(), n, bag.index.begin());
    }
    bag.x.assign(static_cast<size_t>(n), 0);
    bag.y.assign(static_cast<size_t>(n), 0);
    batch.bags.push_back(bag);
    batch.offsets.push_back(batch.offsets.back() + n);
  }
  if (pixels.dim() == 5) {
    const int64_t side = pixels.size(4);
    batch.inside = at::tensor({int64_t{0}, int64_t{0}, side, side}, at::kInt).repeat({bags * n, 1});
  }
  return batch;
}

// logits (N, T * H) in scan order -> both buffers after every step.
void scan_logits(Case& c) {
  const config::Config config = config_of(c);
  const at::Tensor& logits = c.input("logits");
  std::vector<int64_t> place(static_cast<size_t>(logits.size(0)));
  std::iota(place.begin(), place.end(), 0);
  if (c.has("places")) {
    std::copy_n(c.input("places").data_ptr<int64_t>(), place.size(), place.begin());
  }
  const Steps steps = walk(logits, place, config.selection.ranking, request_of(config, true));
  c.out["salient"] = steps.salient;
  c.out["sub_salient"] = steps.sub_salient;
}

// pixels (B, N, C, p, p) -> both buffers after every step, from logits taken apart, and what the
// pass itself selects, trained (`training`) or evaluated.
void scan_pictures(Case& c) {
  const c10::NoGradGuard no_gradient;
  const config::Config config = config_of(c);
  const auto model = model_of(c, config);
  const data::HostBatch batch = host_batch(c);
  const at::Tensor like = model->parameters().front().tensor;
  const data::DevicePatches patches = training::device_patches(batch, config, *model, like);
  const selection::Request request = request_of(config, c.parameters.at("training"));

  training::Pass pass(*model, config.selection, training::compute_types(config.training));
  const selection::Selection selection = pass.select(batch, patches, request);
  c.out["salient"] = as_tensor(rows_within(selection.salient, batch.offsets), request.salient);
  c.out["sub_salient"] =
      as_tensor(rows_within(selection.sub_salient, batch.offsets), request.sub_salient);

  const auto encoder =
      model->encoder().make_scan_copy(model->tensors().front().tensor.scalar_type());
  encoder->refresh();
  for (size_t b = 0; b < batch.bags.size(); ++b) {
    std::vector<int64_t> rows(static_cast<size_t>(batch.offsets[b + 1] - batch.offsets[b]));
    std::iota(rows.begin(), rows.end(), batch.offsets[b]);
    const at::Tensor places = at::tensor(batch.bags[b].index, at::kLong);
    const at::Tensor logits =
        model->aggregator().scan_logits(encoder->embed(patches.gather(rows)), places);
    const Steps steps = walk(logits, batch.bags[b].index, config.selection.ranking, request);
    c.out["salient_steps." + std::to_string(b)] = steps.salient;
    c.out["sub_salient_steps." + std::to_string(b)] = steps.sub_salient;
  }
}

}  // namespace dbps::parity
