#include "distributed/consistency.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cstdint>
#include <cstring>

#include "base/crc32c.h"
#include "base/error.h"
#include "base/random.h"
#include "base/text.h"

namespace dbps::distributed {

namespace {

uint64_t checksum(const std::string& name, const at::Tensor& tensor) {
  const at::Tensor host = tensor.detach().to(at::kCPU).contiguous();
  std::string kind = fmt::format("{} {}", name, at::toString(host.scalar_type()));
  for (const int64_t size : host.sizes()) kind += fmt::format(" {}", size);
  const uint64_t kind_hash = stable_hash(kind.data(), kind.size());
  return kind_hash ^ crc32c(host.data_ptr(), host.nbytes());
}

}  // namespace

void equal_on_all_ranks(World& world,
                        const std::vector<std::pair<std::string, at::Tensor>>& tensors) {
  std::string own;
  for (const auto& [name, tensor] : tensors) {
    const uint64_t value = checksum(name, tensor);
    own.append(reinterpret_cast<const char*>(&value), sizeof(value));
  }
  const std::vector<std::string> all = world.all_gather(own);
  for (const std::string& one : all) {
    if (one.size() != all[0].size()) {
      throw RuntimeFault("the ranks hold different numbers of tensors; are all of one version?");
    }
  }
  for (size_t i = 0; i < tensors.size(); ++i) {
    std::vector<std::string> different;
    for (size_t rank = 1; rank < all.size(); ++rank) {
      const size_t at = i * sizeof(uint64_t);
      if (all[rank].compare(at, sizeof(uint64_t), all[0], at, sizeof(uint64_t)) != 0) {
        different.push_back(std::to_string(rank));
      }
    }
    if (different.empty()) continue;
    throw RuntimeFault(fmt::format(
        "the ranks no longer hold equal weights: '{}' of rank {} differs from rank 0's; resume "
        "from the last checkpoint, and suspect the memory or libraries of that host",
        tensors[i].first, join_words(different)));
  }
}

}  // namespace dbps::distributed
