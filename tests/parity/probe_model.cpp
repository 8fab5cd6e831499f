// Checks 4 to 7, 9 and 10: encoder, aggregator and their gradients.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <numeric>

#include "data/batch.h"
#include "model/attention.h"
#include "model/model_weights.h"
#include "model/projector.h"
#include "model/weights.h"
#include "parity/probe_batch.h"
#include "selection/ranking.h"
#include "training/pass.h"
#include "training/precision.h"
#include "training/preprocessing.h"

namespace dbps::parity {
namespace {

model::Forward training_forward(model::BatchStatistics& statistics) {
  model::Forward forward;
  forward.training = true;
  forward.statistics = &statistics;
  return forward;
}

void copy_in(const Case& c, model::Parameters& parameters) {
  std::vector<model::NamedTensor> into = parameters.parameters();
  into.insert(into.end(), parameters.buffers().begin(), parameters.buffers().end());
  const c10::NoGradGuard no_gradient;
  for (const model::NamedTensor& named : into) named.tensor.copy_(c.input(named.name));
}

// step.0, step.1, ... in order.
std::vector<at::Tensor> steps_of(const Case& c) {
  std::vector<at::Tensor> steps;
  while (c.has("step." + std::to_string(steps.size()))) {
    steps.push_back(c.input("step." + std::to_string(steps.size())));
  }
  return steps;
}

// Runs `forward` in training on each step's input, then in evaluation on the last one's; keeps the
// outputs and, at the end, the buffers.
template <typename Run>
void train_and_evaluate(Case& c, model::BatchStatistics& statistics,
                        const std::vector<model::NamedTensor>& buffers, Run run) {
  const c10::NoGradGuard no_gradient;
  const std::vector<at::Tensor> steps = steps_of(c);
  for (size_t i = 0; i < steps.size(); ++i) {
    statistics.reset();
    c.out["output." + std::to_string(i)] = run(steps[i], training_forward(statistics));
    statistics.update_running();
  }
  c.out["evaluated"] = run(steps.back(), model::Forward{});
  for (const model::NamedTensor& buffer : buffers) c.out["buffer." + buffer.name] = buffer.tensor;
}

model::Ragged ragged(const Case& c, const std::string& name, bool with_gradient = false) {
  model::Ragged rows;
  if (!c.has(name)) return {{}, std::vector<int64_t>(c.input("salient").size(0) + 1, 0)};
  const at::Tensor& values_BnD = c.input(name);
  rows.values = values_BnD.flatten(0, 1).contiguous();
  rows.values.requires_grad_(with_gradient);
  for (int64_t b = 0; b <= values_BnD.size(0); ++b) rows.offsets.push_back(b * values_BnD.size(1));
  return rows;
}

at::Tensor places_of(const Case& c, const std::string& name) {
  return c.has(name) ? c.input(name).flatten() : at::Tensor();
}

// Dual attention with what stands between its equations.
class Parts final : public model::AttentionAggregator {
 public:
  using AttentionAggregator::AttentionAggregator;

  at::Tensor aggregate(const model::Ragged& salient, const model::Ragged& sub_salient,
                       const at::Tensor& salient_places, const at::Tensor& sub_salient_places,
                       const model::Forward& forward) override {
    z1 = attend(query(), pad(placed(salient, salient_places)), forward) + query();
    z2 = attend(normalise(z1), pad(placed(sub_salient, sub_salient_places)), forward);
    z = normalise(z1 + z2);
    return transform(z, forward);
  }

  at::Tensor z1, z2, z;
};

}  // namespace

// patches (n, C, p, p) -> embeddings of the encoder in evaluation and of the scan's copy.
void embeddings(Case& c) {
  const c10::NoGradGuard no_gradient;
  const config::Config config = config_of(c);
  const auto model = model_of(c, config);
  c.out["encoder"] = model->encoder().embed(c.input("patches"), model::Forward{});
  const auto copy = model->encoder().make_scan_copy(model->tensors().front().tensor.scalar_type());
  copy->refresh();
  c.out["scan"] = copy->embed(c.input("patches"));
}

// One BatchNorm layer, trained for the steps given.
void batch_norm(Case& c) {
  model::BatchStatistics statistics;
  model::Parameters parameters;
  const at::Tensor first = c.input("step.0");
  const model::BatchNorm norm("bn", first.size(1), model::Initializer(0, first.options(), "parity"),
                              parameters, &statistics);
  statistics.allocate();
  copy_in(c, parameters);
  train_and_evaluate(
      c, statistics, parameters.buffers(),
      [&](const at::Tensor& x, const model::Forward& f) { return norm.forward(x, f); });
}

// The projector: layer norm, Linear, BatchNorm, ReLU.
void projector(Case& c) {
  model::BatchStatistics statistics;
  model::Parameters parameters;
  const at::Tensor first = c.input("step.0");
  const model::Projector projector(first.size(1), c.input("projector.linear.weight").size(0),
                                   model::Initializer(0, first.options(), "parity"), parameters,
                                   &statistics);
  statistics.allocate();
  copy_in(c, parameters);
  train_and_evaluate(
      c, statistics, parameters.buffers(),
      [&](const at::Tensor& x, const model::Forward& f) { return projector.forward(x, f); });
  const c10::NoGradGuard no_gradient;
  c.out["folded"] = projector.fold().forward(steps_of(c).back());
}

// The whole encoder, trained for the steps given without a change of its weights; buffers in
// upstream's names.
void encoder_training(Case& c) {
  const config::Config config = config_of(c);
  const auto model = model_of(c, config);
  std::vector<model::NamedTensor> buffers =
      model::exported(model->tensors(), model::Names::kUpstream);
  std::erase_if(buffers, [](const model::NamedTensor& named) {
    return named.name.find(".running_") == std::string::npos;
  });
  train_and_evaluate(
      c, model->statistics(), buffers,
      [&](const at::Tensor& x, const model::Forward& f) { return model->encoder().embed(x, f); });
}

// embeddings (N, D), places (N) -> per-head logits, and the scores of the set as a whole.
void scores(Case& c) {
  const config::Config config = config_of(c);
  const auto model = model_of(c, config);
  const at::Tensor logits =
      model->aggregator().scan_logits(c.input("embeddings"), places_of(c, "places"));
  c.out["logits"] = logits;

  const at::Tensor wide = logits.to(at::kDouble).contiguous();
  selection::ScannedBag bag;
  bag.heads = wide.size(1);
  bag.logits.assign(wide.data_ptr<double>(), wide.data_ptr<double>() + wide.numel());
  std::vector<int64_t> every(static_cast<size_t>(wide.size(0)));
  std::iota(every.begin(), every.end(), 0);
  const at::Tensor scored = at::empty({wide.size(0)}, at::kDouble);
  for (const selection::Ranked& entry : selection::rank(bag, every)) {
    scored.data_ptr<double>()[entry.position] = entry.score;
  }
  c.out["scores"] = scored;
}

// salient (B, M, D), sub_salient (B, S, D) or none, and their places -> tokens of the configured
// aggregator; `parts`: Z1, Z2 and Z of equations 5 to 7.
void aggregation(Case& c) {
  const c10::NoGradGuard no_gradient;
  const config::Config config = config_of(c);
  const auto model = model_of(c, config);
  const model::Ragged salient = ragged(c, "salient");
  const model::Ragged sub_salient = ragged(c, "sub_salient");
  const at::Tensor salient_places = places_of(c, "salient_places");
  const at::Tensor sub_salient_places = places_of(c, "sub_salient_places");
  c.out["tokens"] = model->aggregator().aggregate(salient, sub_salient, salient_places,
                                                  sub_salient_places, model::Forward{});
  if (!c.parameters.at("parts")) return;
  Parts parts(config.aggregator, model->encoder().spec().width,
              static_cast<int64_t>(config.tasks.size()), salient.values.options(), 0);
  model::load_into(parts.parameters().parameters(),
                   {model->aggregator().parameters().parameters(), {}}, c.name);
  c.out["z_prime"] =
      parts.aggregate(salient, sub_salient, salient_places, sub_salient_places, model::Forward{});
  c.out["z1"] = parts.z1;
  c.out["z2"] = parts.z2;
  c.out["z"] = parts.z;
}

// pixels (B, N, C, p, p), label.<task> -> loss and every parameter's gradient in upstream's names,
// through the pass that trains.
void gradients(Case& c) {
  const config::Config config = config_of(c);
  const auto model = model_of(c, config);
  const data::HostBatch batch = host_batch(c);
  const at::Tensor like = model->parameters().front().tensor;
  const data::DevicePatches patches = training::device_patches(batch, config, *model, like);
  training::Pass pass(*model, config.selection, training::compute_types(config.training));
  const selection::Selection selection =
      pass.select(batch, patches, training::training_request(config, 0, 0.0, nullptr));
  model->statistics().reset();
  const at::Tensor tokens =
      pass.tokens(batch, patches, selection, training_forward(model->statistics())).values;
  at::Tensor loss = at::zeros({}, tokens.options());
  const auto tasks = static_cast<int64_t>(config.tasks.size());
  for (int64_t task = 0; task < tasks; ++task) {
    const at::Tensor logits = model->heads().logits(tokens, task);
    const model::TaskLabels labels = {c.input("label." + config.tasks[task].name), {}};
    loss = loss + model->heads().losses(logits, labels, task, config.training.loss_epsilon).mean();
  }
  loss = loss / tasks;
  loss.backward();
  c.out["loss"] = loss.detach();
  for (const model::NamedTensor& named :
       model::exported(model->parameters(), model::Names::kUpstream)) {
    const at::Tensor& gradient = named.tensor.grad();
    c.out["gradient." + named.name] =
        gradient.defined() ? gradient : at::zeros_like(named.tensor.detach());
  }
}

// The gradient at the salient rows, and at the sub-salient ones, which is to be exactly 0.
void detachment(Case& c) {
  const config::Config config = config_of(c);
  const auto model = model_of(c, config);
  const model::Ragged salient = ragged(c, "salient", true);
  const model::Ragged sub_salient = ragged(c, "sub_salient", true);
  const at::Tensor tokens =
      model->aggregator().aggregate(salient, sub_salient, places_of(c, "salient_places"),
                                    places_of(c, "sub_salient_places"), model::Forward{});
  (tokens * c.input("cotangent")).sum().backward();
  c.out["salient"] = salient.values.grad();
  c.out["sub_salient"] = sub_salient.values.grad().defined()
                             ? sub_salient.values.grad()
                             : at::zeros_like(sub_salient.values.detach());
}

}  // namespace dbps::parity
