// Work over a fixed number of items on plain threads.
#pragma once

#include <cstdint>
#include <functional>

namespace dbps {

// Calls work(i) for i in 0 .. count-1 on up to `threads` threads (1: on the caller's), in no given
// order. The first exception ends the loop and is thrown again here once all threads have returned.
void parallel_for(int64_t count, int threads, const std::function<void(int64_t)>& work);

// For a thread that works ahead of the training. What is handed out wakes it, and on a CPU it would
// push the training off its core at once, though nothing is late: as batch work it takes its share
// when a core's turn ends.
void become_background();

// Cores this process may run on (its affinity mask), at least 1.
int available_cores();

}  // namespace dbps
