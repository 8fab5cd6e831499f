// Which program this is.
#pragma once

namespace dbps::launcher {

const char* version();  // "0.1.0"
const char* commit();   // "1a2b3c4d5e6f", with "+" when files differed from it; "" outside a clone

}  // namespace dbps::launcher
