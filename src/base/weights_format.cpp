#include "base/weights_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/zip_archive.h"

namespace dbps {
namespace {

constexpr size_t kHeadBytes = 512;
constexpr size_t kTarMark = 257;
constexpr uint8_t kPickleProto = 0x80;

std::vector<uint8_t> read_head(const std::filesystem::path& path) {
  const FileDescriptor file = open_for_reading(path);
  std::vector<uint8_t> head(std::min<uint64_t>(kHeadBytes, file_bytes(file, path)));
  pread_exactly(file.get(), head.data(), head.size(), 0, path);
  return head;
}

bool holds(const std::vector<uint8_t>& head, size_t at, const std::string& text) {
  return head.size() >= at + text.size() &&
         std::equal(text.begin(), text.end(), head.begin() + static_cast<std::ptrdiff_t>(at));
}

}  // namespace

WeightsFormat weights_format(const std::filesystem::path& path) {
  const std::vector<uint8_t> head = read_head(path);
  if (is_zip(head)) return WeightsFormat::kPth;
  // The JSON header begins after its length.
  if (holds(head, 8, "{")) return WeightsFormat::kSafetensors;
  if ((head.size() > 1 && head[0] == kPickleProto) || holds(head, kTarMark, "ustar")) {
    throw DataError(fmt::format(
        "{} is of PyTorch's format before version 1.6; convert it with Python: import torch; "
        "torch.save(torch.load('{}', map_location='cpu', weights_only=True), 'weights.pth')",
        path.string(), path.filename().string()));
  }
  throw DataError(
      fmt::format("{} holds no weights: it is neither a safetensors file nor one of torch.save",
                  path.string()));
}

}  // namespace dbps
