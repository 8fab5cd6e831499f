// How the program's memory is taken from the system and given back.
#pragma once

namespace dbps::launcher {

// Every step frees and takes the same large tensors. The C library gives such blocks back to the
// system at once, which then clears them anew page by page, for a tenth of a step's time on a CPU.
// From here on they are kept, and tensors of 2 MB and more lie on huge pages where the kernel has
// them on request. The most memory that is ever in use stays as it is. To be called before the
// first tensor is made. Settings in the environment (MALLOC_..., THP_MEM_ALLOC_ENABLE) come first.
void keep_freed_memory();

}  // namespace dbps::launcher
