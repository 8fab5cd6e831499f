#include "launcher/version.h"

namespace dbps::launcher {

const char* version() { return DBPS_VERSION; }
const char* commit() { return DBPS_COMMIT; }

}  // namespace dbps::launcher
