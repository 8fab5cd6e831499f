// The factories of our optimisers, for registry.cpp alone.
#pragma once

#include <memory>
#include <vector>

#include "optimization/optimizer.h"

namespace dbps::optimization {

std::unique_ptr<Optimizer> make_adamw(const OptimizerOptions& options, std::vector<Group> groups);

}  // namespace dbps::optimization
