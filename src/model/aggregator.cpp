#include "model/aggregator.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "base/error.h"
#include "model/aggregators.h"

namespace dbps::model {

at::Tensor Aggregator::scan_logits(const at::Tensor&, const at::Tensor&) {
  throw ConfigError(
      "aggregator.kind: this aggregator gives no scores to rank patches by; set selection.method "
      "to "
      "one that does not scan");
}

int64_t num_tokens(const AggregatorOptions& options, int64_t num_tasks) {
  if (options.tokens == 0) return num_tasks;
  if (options.tokens == 1 || options.tokens >= num_tasks) return options.tokens;
  throw ConfigError(fmt::format(
      "aggregator.tokens = {}: give 0 (one a task), 1 (shared) or at least {}, the number of tasks",
      options.tokens, num_tasks));
}

}  // namespace dbps::model
