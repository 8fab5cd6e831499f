// What the program says and returns when a verb throws.
#pragma once

#include <string>

#include "launcher/verb.h"

namespace dbps::launcher {

struct Failure {
  int code = 0;
  std::string message;  // one line
};

// Of the exception being handled: call inside a catch block.
Failure current_failure(const Context& context);

}  // namespace dbps::launcher
