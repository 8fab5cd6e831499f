// Which network a state dict belongs to, from its names alone: what an error says in place of
// hundreds of names that do not fit.
#pragma once

#include <string>
#include <vector>

namespace dbps::model {

// "ResNet-50", "the tiny encoder", "a vision transformer", ...; "" when the names tell nothing.
// Names as in our files, of an encoder or of a whole model ("encoder.layer1.0.conv1.weight").
std::string recognize(const std::vector<std::string>& names);

}  // namespace dbps::model
