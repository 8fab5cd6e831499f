#include "checkpoint/manifest.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/crc32c.h"
#include "base/error.h"
#include "base/files.h"
#include "checkpoint/snapshot_folder.h"

namespace dbps::checkpoint {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* kManifest = "manifest.json";
constexpr int kFormat = 1;

Json describe(const fs::path& folder, int64_t step) {
  Json json = {{"format", kFormat}, {"step", step}, {"files", Json::object()}};
  for (const char* name : kSnapshotFiles) {
    const std::vector<uint8_t> content = read_file(folder / name);
    json["files"][name] = {
        {"bytes", content.size()},
        {"crc32c", fmt::format("{:08x}", crc32c(content.data(), content.size()))}};
  }
  return json;
}

std::string text_of(const Json& json) { return json.dump(2) + "\n"; }

[[noreturn]] void blame(const fs::path& folder, const Json& stored, const Json& actual) {
  if (stored.is_object() && stored.contains("files") && stored["files"].is_object()) {
    for (const auto& [name, now] : actual["files"].items()) {
      const Json then = stored["files"].value(name, Json());
      if (then == now || !then.is_object()) continue;
      if (then.value("bytes", Json()) != now["bytes"]) {
        throw DataError(fmt::format("{} is damaged: it has {} bytes, its manifest says {}",
                                    (folder / name).string(), now["bytes"].dump(),
                                    then.value("bytes", Json()).dump()));
      }
      throw DataError(fmt::format("{} is damaged: its checksum is not that of its manifest",
                                  (folder / name).string()));
    }
  }
  throw DataError(fmt::format("{} is damaged, or of another version of this program",
                              (folder / kManifest).string()));
}

}  // namespace

void write_manifest(const fs::path& folder, int64_t step) {
  write_file_atomic(folder / kManifest, text_of(describe(folder, step)));
}

void verify_manifest(const fs::path& folder, int64_t step) {
  const std::string stored = read_text_file(folder / kManifest);
  const Json actual = describe(folder, step);
  // The manifest has no checksum of its own: it must be, byte for byte, what would be written now.
  if (stored == text_of(actual)) return;
  blame(folder, Json::parse(stored, nullptr, /*allow_exceptions=*/false), actual);
}

}  // namespace dbps::checkpoint
