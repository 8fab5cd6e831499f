// SIGUSR1, SIGUSR2 and SIGTERM ask the run to save and leave with 75; handlers only set a flag.
#pragma once

namespace dbps::distributed {

// Call once from main, before threads start.
void install_stop_signals();
// The signal that came, or 0.
int stop_signal();

}  // namespace dbps::distributed
