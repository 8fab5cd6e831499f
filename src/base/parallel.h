// Work over a fixed number of items on plain threads.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>

namespace dbps {

// Calls work(i) for i in 0 .. count-1 on up to `threads` threads (1: on the caller's), in no given
// order. The first exception ends the loop and is thrown again here once all threads have returned.
void parallel_for(int64_t count, int threads, const std::function<void(int64_t)>& work);

// For a thread that works ahead of the training. What is handed out wakes it, and on a CPU it would
// push the training off its core at once, though nothing is late: as batch work it takes its share
// when a core's turn ends.
void become_background();

// Of n things in order, those that fall to number `part` of `parts`: [first, last). The parts
// differ by one at most.
std::pair<int64_t, int64_t> share_of(int64_t n, int64_t part, int64_t parts);

// Cores this process may run on (its affinity mask), at least 1.
int available_cores();

}  // namespace dbps
