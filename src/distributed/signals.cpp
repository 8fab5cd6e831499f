#include "distributed/signals.h"

#include <signal.h>

#include <initializer_list>

namespace dbps::distributed {

namespace {

// A handler can reach nothing but a global.
volatile sig_atomic_t received = 0;

void remember(int signal) { received = signal; }

}  // namespace

void install_stop_signals() {
  struct sigaction action {};
  action.sa_handler = remember;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (const int signal : {SIGUSR1, SIGUSR2, SIGTERM}) sigaction(signal, &action, nullptr);
}

int stop_signal() { return received; }

}  // namespace dbps::distributed
