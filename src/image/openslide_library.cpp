#include "image/openslide_library.h"

#include <dlfcn.h>

#include <optional>

#include "image/slide.h"

namespace dbps::image {
namespace internal {
namespace {

std::optional<OpenSlideLibrary> load() {
  void* handle = nullptr;
  for (const char* name : {"libopenslide.so.1", "libopenslide.so.0"}) {  // 4.x, 3.4
    handle = ::dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (handle != nullptr) break;
  }
  if (handle == nullptr) return std::nullopt;
  bool complete = true;
  const auto find = [&]<typename Function>(const char* name, Function& function) {
    function = reinterpret_cast<Function>(::dlsym(handle, name));
    complete = complete && function != nullptr;
  };
  OpenSlideLibrary library;
  find("openslide_get_version", library.get_version);
  find("openslide_detect_vendor", library.detect_vendor);
  find("openslide_open", library.open);
  find("openslide_close", library.close);
  find("openslide_get_error", library.get_error);
  find("openslide_get_level_count", library.get_level_count);
  find("openslide_get_level_dimensions", library.get_level_dimensions);
  find("openslide_get_level_downsample", library.get_level_downsample);
  find("openslide_read_region", library.read_region);
  find("openslide_get_property_value", library.get_property_value);
  return complete ? std::optional(library) : std::nullopt;
}

}  // namespace

const OpenSlideLibrary* openslide_library() {
  static const std::optional<OpenSlideLibrary> library = load();
  return library ? &*library : nullptr;
}

}  // namespace internal

std::string openslide_version() {
  const internal::OpenSlideLibrary* library = internal::openslide_library();
  return library == nullptr ? "" : library->get_version();
}

}  // namespace dbps::image
