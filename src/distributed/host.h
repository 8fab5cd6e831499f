// Private to the room.
#pragma once

#include <string>

namespace dbps::distributed {

std::string host_name();

}  // namespace dbps::distributed
