// The methods, one file each; registry.cpp names them.
#pragma once

#include <memory>

#include "selection/selector.h"

namespace dbps::selection {

std::unique_ptr<Selector> make_dbps(const SelectionOptions& options);
std::unique_ptr<Selector> make_ips(const SelectionOptions& options);
std::unique_ptr<Selector> make_random(const SelectionOptions& options);
std::unique_ptr<Selector> make_all(const SelectionOptions& options);
std::unique_ptr<Selector> make_whole(const SelectionOptions& options);

// What a method without a scan returns: the given patches of each bag (counted within it), each
// with score 1/N, and no sub-salient ones.
Selection select_without_scan(const Bags& bags,
                              const std::vector<std::vector<int64_t>>& salient_of_bag);
// Every patch of every bag.
Selection select_every_patch(const Bags& bags);

}  // namespace dbps::selection
