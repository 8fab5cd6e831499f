#include "ingest/stored_sources.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <set>

#include "base/error.h"
#include "base/parallel.h"
#include "ingest/extensions.h"
#include "store/manifest.h"
#include "store/reader.h"

namespace dbps::ingest {
namespace {

namespace fs = std::filesystem;

// Null where the writer makes or mends the store first.
std::unique_ptr<store::Reader> open_whole(const fs::path& folder) {
  if (!fs::exists(store::manifest_path(folder))) return nullptr;
  try {
    return std::make_unique<store::Reader>(folder);
  } catch (const DataError&) {
    return nullptr;
  }
}

// Of a file that cannot be read nothing else is known.
bool is_same_file(const fs::path& path, const store::Source& stored, store::Kind kind) {
  try {
    const store::Source now = describe_source(path);
    if (now.bytes != stored.bytes) return false;
    if (now.mtime == stored.mtime || kind == store::Kind::kFeatures) return true;
    return stored.hash == fmt::format("crc32c:{:08x}", store::file_crc32c(path));
  } catch (const DataError&) {
    return true;
  }
}

// The bag of the same file under the id that it has where another file of its stem is, or is not,
// beside it; -1: none.
int64_t find_renamed(const SourcePicture& picture, const store::Reader& store) {
  for (const std::string& id :
       {without_source_extension(picture.id), picture.id + picture.path.extension().string()}) {
    const int64_t bag = id == picture.id ? -1 : store.find_bag(id);
    if (bag < 0) continue;
    const store::Source& stored = store.source(bag);
    if (fs::path(stored.path).filename() != picture.path.filename()) continue;
    if (is_same_file(picture.path, stored, store.settings().kind)) return bag;
  }
  return -1;
}

}  // namespace

std::vector<ReplacedSource> match_store(SourceList& sources, const fs::path& store, int jobs) {
  std::vector<ReplacedSource> replaced;
  const std::unique_ptr<store::Reader> reader = open_whole(store);
  if (!reader) return replaced;
  const auto count = static_cast<int64_t>(sources.pictures.size());
  std::vector<int64_t> bag(sources.pictures.size(), -1);  // of the picture's id
  std::vector<char> is_same(sources.pictures.size());
  parallel_for(count, jobs, [&](int64_t i) {
    const SourcePicture& picture = sources.pictures[i];
    if (!picture.member.empty()) return;  // of its file other bags may have changed
    bag[i] = reader->find_bag(picture.id);
    is_same[i] =
        bag[i] >= 0 && is_same_file(picture.path, reader->source(bag[i]), reader->settings().kind);
  });
  std::set<std::string> taken;
  for (const SourcePicture& picture : sources.pictures) taken.insert(picture.id);
  for (int64_t i = 0; i < count; ++i) {
    SourcePicture& picture = sources.pictures[i];
    if (is_same[i] || !picture.member.empty()) continue;
    const int64_t renamed = find_renamed(picture, *reader);
    if (renamed >= 0 && taken.insert(reader->bag(renamed).id).second) {
      picture.id = reader->bag(renamed).id;
    } else if (bag[i] >= 0) {
      replaced.push_back({picture.id, picture.path, reader->source(bag[i]).path});
    }
  }
  std::sort(sources.pictures.begin(), sources.pictures.end(),
            [](const SourcePicture& a, const SourcePicture& b) { return a.id < b.id; });
  return replaced;
}

}  // namespace dbps::ingest
