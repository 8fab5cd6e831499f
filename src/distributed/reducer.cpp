#include "distributed/reducer.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>

#include "base/error.h"

namespace dbps::distributed {

namespace {

using torch::autograd::Node;
using torch::autograd::variable_list;

// The first bucket is ready soonest and small, so that reducing starts early in backward.
constexpr int64_t kFirstBucketBytes = 1 << 20;

class Hook final : public torch::autograd::FunctionPostHook {
 public:
  explicit Hook(std::function<void()> action) : action_(std::move(action)) {}
  variable_list operator()(const variable_list& outputs, const variable_list&) override {
    action_();
    return outputs;
  }

 private:
  std::function<void()> action_;
};

struct Parameter {
  std::string name;
  at::Tensor tensor;
  at::Tensor view;  // of its bucket's flat tensor; what grad() must be
  size_t bucket = 0;
  std::shared_ptr<Node> accumulator;  // the tensor itself holds it only weakly
  uintptr_t hook = 0;
};

struct Bucket {
  at::Tensor flat;
  bool compressed = false;
  at::Tensor wire;  // what travels of a compressed one, while it does
  std::vector<size_t> parameters;
  size_t missing = 0;  // gradients of this step still to come
};

using Kind = std::pair<at::ScalarType, at::Device>;

struct KindLess {
  bool operator()(const Kind& a, const Kind& b) const {
    const auto key = [](const Kind& kind) {
      return std::make_tuple(kind.first, kind.second.type(), kind.second.index());
    };
    return key(a) < key(b);
  }
};

Kind kind_of(const at::Tensor& tensor) { return {tensor.scalar_type(), tensor.device()}; }

// Tensors of one kind travel as one flat tensor.
struct Packed {
  at::Tensor flat;
  std::vector<at::Tensor> parts;

  void copy_back() const {
    int64_t begin = 0;
    for (const at::Tensor& part : parts) {
      part.detach().copy_(flat.narrow(0, begin, part.numel()).view(part.sizes()));
      begin += part.numel();
    }
  }
};

std::vector<Packed> pack(const std::vector<at::Tensor>& tensors) {
  std::vector<Packed> result;
  std::map<Kind, size_t, KindLess> place;
  for (const at::Tensor& tensor : tensors) {
    const auto [it, fresh] = place.try_emplace(kind_of(tensor), result.size());
    if (fresh) result.emplace_back();
    result[it->second].parts.push_back(tensor);
  }
  for (Packed& packed : result) {
    std::vector<at::Tensor> rows;
    for (const at::Tensor& part : packed.parts) rows.push_back(part.detach().reshape(-1));
    packed.flat = at::cat(rows);
  }
  return result;
}

}  // namespace

struct GradientReducer::State {
  State(std::vector<std::pair<std::string, at::Tensor>> named, Collectives& over, double bucket_mb,
        Compress compress);
  ~State();

  void lay_out(double bucket_mb);
  void make_views(Compress compress);
  void add_hooks();
  void arrived(size_t index);
  void start_ready();
  void start(const at::Tensor& flat) { works.push_back(collectives.all_reduce(flat)); }
  void start(Bucket& bucket);
  void expand();
  void check_view(const Parameter& parameter) const;
  void rewind();

  Collectives& collectives;
  std::vector<Parameter> parameters;
  std::vector<Bucket> buckets;
  std::vector<std::unique_ptr<Work>> works;  // of this step, in the order of their start
  size_t started = 0;                        // buckets of this step
  bool last = false;
  double waited = 0;
};

GradientReducer::State::State(std::vector<std::pair<std::string, at::Tensor>> named,
                              Collectives& over, double bucket_mb, Compress compress)
    : collectives(over) {
  for (auto& [name, tensor] : named) {
    DBPS_CHECK(tensor.is_leaf() && tensor.requires_grad(),
               fmt::format("'{}' is no trained parameter", name));
    Parameter& parameter = parameters.emplace_back();
    parameter.name = std::move(name);
    parameter.tensor = std::move(tensor);
  }
  lay_out(bucket_mb);
  make_views(compress);
  add_hooks();
  rewind();
}

GradientReducer::State::~State() {
  for (Parameter& parameter : parameters) parameter.accumulator->del_post_hook(parameter.hook);
}

void GradientReducer::State::lay_out(double bucket_mb) {
  const int64_t full = std::max<int64_t>(1, static_cast<int64_t>(bucket_mb * 1e6));
  std::map<Kind, std::pair<size_t, int64_t>, KindLess> open;  // its bucket and its bytes so far
  for (size_t i = parameters.size(); i-- > 0;) {
    const at::Tensor& tensor = parameters[i].tensor;
    const int64_t bytes = static_cast<int64_t>(tensor.nbytes());
    auto it = open.find(kind_of(tensor));
    if (it != open.end()) {
      const int64_t limit = it->second.first == 0 ? std::min(full, kFirstBucketBytes) : full;
      if (it->second.second + bytes > limit) {
        open.erase(it);
        it = open.end();
      }
    }
    if (it == open.end()) {
      it = open.emplace(kind_of(tensor), std::make_pair(buckets.size(), int64_t{0})).first;
      buckets.emplace_back();
    }
    parameters[i].bucket = it->second.first;
    buckets[it->second.first].parameters.push_back(i);
    it->second.second += bytes;
  }
}

void GradientReducer::State::make_views(Compress compress) {
  for (Bucket& bucket : buckets) {
    int64_t total = 0;
    for (const size_t i : bucket.parameters) total += parameters[i].tensor.numel();
    bucket.flat =
        at::zeros({total}, parameters[bucket.parameters[0]].tensor.options().requires_grad(false));
    bucket.compressed = compress == Compress::kBf16 && bucket.flat.scalar_type() == at::kFloat;
    int64_t begin = 0;
    for (const size_t i : bucket.parameters) {
      const at::Tensor tensor = parameters[i].tensor.detach();
      DBPS_CHECK(tensor.is_non_overlapping_and_dense(),
                 fmt::format("'{}' has gaps in memory", parameters[i].name));
      // The parameter's own strides: else channels-last weights would get gradients of another
      // layout, and every later pass over both would be slow.
      parameters[i].view = bucket.flat.as_strided(tensor.sizes(), tensor.strides(), begin);
      begin += tensor.numel();
    }
  }
}

void GradientReducer::State::add_hooks() {
  for (size_t i = 0; i < parameters.size(); ++i) {
    Parameter& parameter = parameters[i];
    parameter.accumulator = torch::autograd::impl::grad_accumulator(parameter.tensor);
    parameter.hook =
        parameter.accumulator->add_post_hook(std::make_unique<Hook>([this, i] { arrived(i); }));
  }
}

void GradientReducer::State::check_view(const Parameter& parameter) const {
  DBPS_CHECK(parameter.tensor.grad().is_same(parameter.view),
             fmt::format("the gradient of '{}' was replaced; only the reducer may clear gradients",
                         parameter.name));
}

void GradientReducer::State::arrived(size_t index) {
  const Parameter& parameter = parameters[index];
  check_view(parameter);
  if (!last) return;
  Bucket& bucket = buckets[parameter.bucket];
  DBPS_CHECK(bucket.missing > 0 && parameter.bucket >= started,
             fmt::format("a gradient of '{}' came after its bucket was sent; only one backward "
                         "may follow expect_last(true)",
                         parameter.name));
  --bucket.missing;
  start_ready();
}

// Every rank starts the same buckets in the same order, whatever order its gradients come in.
void GradientReducer::State::start_ready() {
  while (started < buckets.size() && buckets[started].missing == 0) start(buckets[started++]);
}

void GradientReducer::State::start(Bucket& bucket) {
  if (bucket.compressed) bucket.wire = bucket.flat.to(at::kBFloat16);
  start(bucket.compressed ? bucket.wire : bucket.flat);
}

void GradientReducer::State::expand() {
  for (Bucket& bucket : buckets) {
    if (bucket.compressed) bucket.flat.copy_(bucket.wire);
    bucket.wire.reset();
  }
}

void GradientReducer::State::rewind() {
  works.clear();
  started = 0;
  last = false;
  for (Bucket& bucket : buckets) bucket.missing = bucket.parameters.size();
}

GradientReducer::GradientReducer(std::vector<std::pair<std::string, at::Tensor>> parameters,
                                 Collectives& collectives, double bucket_mb, Compress compress)
    : state_(std::make_unique<State>(std::move(parameters), collectives, bucket_mb, compress)) {
  zero();
}

GradientReducer::~GradientReducer() = default;

void GradientReducer::zero() {
  DBPS_CHECK(state_->works.empty(), "zero() in the middle of a step; call finish() first");
  for (const Bucket& bucket : state_->buckets) bucket.flat.zero_();
  for (const Parameter& parameter : state_->parameters) {
    parameter.tensor.mutable_grad() = parameter.view;
  }
  state_->rewind();
}

void GradientReducer::expect_last(bool last) { state_->last = last; }

void GradientReducer::finish(const std::vector<at::Tensor>& extra) {
  State& state = *state_;
  for (const Parameter& parameter : state.parameters) state.check_view(parameter);
  while (state.started < state.buckets.size()) state.start(state.buckets[state.started++]);
  const std::vector<Packed> packed = pack(extra);
  for (const Packed& one : packed) state.start(one.flat);

  const auto begin = std::chrono::steady_clock::now();
  for (const auto& work : state.works) work->wait();
  state.expand();
  state.waited = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  for (const Packed& one : packed) one.copy_back();
  state.rewind();
}

double GradientReducer::seconds_waited() const { return state_->waited; }

int64_t GradientReducer::bytes() const {
  int64_t total = 0;
  for (const Bucket& bucket : state_->buckets) {
    total += static_cast<int64_t>(bucket.flat.nbytes()) / (bucket.compressed ? 2 : 1);
  }
  return total;
}

int64_t GradientReducer::num_buckets() const {
  return static_cast<int64_t>(state_->buckets.size());
}

}  // namespace dbps::distributed
