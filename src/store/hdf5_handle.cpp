#include "store/hdf5_handle.h"

#include <fmt/format.h>

#include <string_view>

namespace dbps::store {
namespace {

// The walk is from the innermost frame outwards; the first one says what really went wrong.
herr_t first_description(unsigned depth, const H5E_error2_t* frame, void* text) {
  if (depth == 0 && frame->desc != nullptr) *static_cast<std::string*>(text) = frame->desc;
  return 0;
}

}  // namespace

void throw_hdf5_error(const char* call) {
  std::string description;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, first_description, &description);
  const std::string_view text(call);
  throw Hdf5Error(fmt::format("{}: {}", text.substr(0, text.find('(')),
                              description.empty() ? "failed" : description));
}

QuietErrors::QuietErrors() {
  H5Eget_auto2(H5E_DEFAULT, &function_, &data_);
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
}

QuietErrors::~QuietErrors() { H5Eset_auto2(H5E_DEFAULT, function_, data_); }

}  // namespace dbps::store
