// Where published ImageNet weights are to be had, for errors and help.
#pragma once

#include <string>

namespace dbps::model {

// One line for a network as recognize() names it, with addresses and the beginnings of their
// SHA-256; "" for networks that none are known for.
std::string where_published(const std::string& network);

}  // namespace dbps::model
