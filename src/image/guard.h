// Error handling for C libraries that report errors by a callback that must not return (libjpeg,
// libpng). Private to this room.
//
// No exception may pass through their frames, and a longjmp may pass no frame of ours that owns
// something: a step given to guarded() calls the library and touches only what its caller owns.
#pragma once

#include <csetjmp>
#include <cstdio>

namespace dbps::image::internal {

struct Guard {
  std::jmp_buf jump;
  char message[256] = "";

  // From inside a callback: ends the step that guarded() runs.
  [[noreturn]] void fail(const char* text) {
    std::snprintf(message, sizeof(message), "%s", text);
    std::longjmp(jump, 1);
  }
};

// Runs a step; false when the library failed, with the reason in guard.message.
template <typename Step>
[[gnu::noinline]] bool guarded(Guard& guard, const Step& step) {
  if (setjmp(guard.jump) != 0) return false;
  step();
  return true;
}

}  // namespace dbps::image::internal
