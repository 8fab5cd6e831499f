// Optimisers by name. A new one: its file, its factory in optimizers.h, and a line here.
#include <fmt/format.h>

#include <functional>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "optimization/optimizers.h"

namespace dbps::optimization {
namespace {

using Factory =
    std::function<std::unique_ptr<Optimizer>(const OptimizerOptions&, std::vector<Group>)>;

std::vector<std::pair<std::string, Factory>> optimizer_table() { return {{"adamw", make_adamw}}; }

}  // namespace

const std::vector<std::string>& optimizer_kinds() {
  static const std::vector<std::string> kinds = [] {
    std::vector<std::string> names;
    for (const auto& [kind, factory] : optimizer_table()) names.push_back(kind);
    return names;
  }();
  return kinds;
}

std::unique_ptr<Optimizer> make_optimizer(const OptimizerOptions& options,
                                          std::vector<Group> groups) {
  for (const auto& [kind, factory] : optimizer_table()) {
    if (kind == options.kind) return factory(options, std::move(groups));
  }
  throw ConfigError(fmt::format("optimizer.kind = '{}' is not known; there are {}", options.kind,
                                join_words(optimizer_kinds())));
}

}  // namespace dbps::optimization
