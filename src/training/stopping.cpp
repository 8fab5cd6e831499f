#include "training/stopping.h"

namespace dbps::training {

void stop_together(distributed::Collectives* group, const std::function<void()>& work) {
  if (group == nullptr) return work();
  bool stop = false;
  try {
    work();
  } catch (const StopRequested&) {
    stop = true;
  }
  if (distributed::any(*group, stop)) throw StopRequested();
}

}  // namespace dbps::training
