#include <fmt/format.h>

#include "base/error.h"
#include "base/text.h"
#include "selection/methods.h"

namespace dbps::selection {
namespace {

struct Maker {
  const char* name;
  std::unique_ptr<Selector> (*make)(const SelectionOptions&);
};

constexpr Maker kMakers[] = {
    {"dbps", make_dbps}, {"ips", make_ips},     {"random", make_random},
    {"all", make_all},   {"whole", make_whole},
};

}  // namespace

const std::vector<std::string>& selector_methods() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const Maker& maker : kMakers) all.emplace_back(maker.name);
    return all;
  }();
  return names;
}

std::unique_ptr<Selector> make_selector(const SelectionOptions& options) {
  for (const Maker& maker : kMakers) {
    if (options.method != maker.name) continue;
    if (options.sub_salient > 0 && !method_of(options).keeps_sub_salient) {
      throw ConfigError(fmt::format(
          "selection.sub_salient = {}: the method \"{}\" keeps no sub-salient patches; set it to 0 "
          "or use \"dbps\"",
          options.sub_salient, options.method));
    }
    return maker.make(options);
  }
  throw ConfigError(fmt::format("selection.method = \"{}\" is not known; there are {}",
                                options.method, join_words(selector_methods())));
}

}  // namespace dbps::selection
