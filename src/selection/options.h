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

// Whether the method chooses nothing, so that M means nothing to it.
inline bool keeps_every_patch(const SelectionOptions& options) {
  return options.method == "all" || options.method == "whole";
}

}  // namespace dbps::selection
