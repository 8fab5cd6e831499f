// What is kept of a bag: the table [selection].
#pragma once

#include <cstdint>
#include <string>

namespace dbps::selection {

enum class Ranking { kUpstream, kJoint, kGlobal };
enum class Shuffle { kNone, kBatch, kImage };

struct SelectionOptions {
  std::string method = "dbps";
  int64_t salient = 0;        // M
  int64_t salient_eval = 0;   // M'; 0: M
  int64_t sub_salient = 0;    // S
  int64_t scan_patches = 32;  // L, patches of one bag a scan step
  Ranking ranking = Ranking::kUpstream;
  Shuffle shuffle = Shuffle::kNone;
  int64_t explore_epochs = 0;
};

// What a method is known to do before it is made. A new one: its file, a line here and one in
// registry.cpp.
struct Method {
  const char* name = "";
  bool scans = false;                // ranks all patches by the aggregator's scores
  bool keeps_sub_salient = false;    // has a second buffer; without one S must be 0
  bool keeps_every_patch = false;    // chooses nothing, so that M means nothing to it
  bool takes_whole_picture = false;  // cuts no patches
};
inline constexpr Method kMethods[] = {
    {.name = "dbps", .scans = true, .keeps_sub_salient = true},
    {.name = "ips", .scans = true},
    {.name = "random"},
    {.name = "all", .keeps_every_patch = true},
    {.name = "whole", .keeps_every_patch = true, .takes_whole_picture = true},
};

// One that does nothing when the name is not known, which the configuration has refused by then.
inline Method method_of(const SelectionOptions& options) {
  for (const Method& method : kMethods) {
    if (options.method == method.name) return method;
  }
  return {};
}

}  // namespace dbps::selection
