#include "bench/sample_store.h"

#include <fmt/format.h>
#include <stdlib.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "store/writer.h"

namespace dbps::bench {
namespace fs = std::filesystem;

namespace {

constexpr double kMega = 1e6;

fs::path make_folder(const std::string& parent) {
  const fs::path above = parent.empty() ? fs::temp_directory_path() : fs::path(parent);
  std::string name = (above / "dbps-bench-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) {
    throw ConfigError(fmt::format("cannot make a folder in {}: {}; --folder names another",
                                  above.string(), std::strerror(errno)));
  }
  return name;
}

void fill(const fs::path& folder, double megabytes, int64_t width, int64_t height,
          const std::function<std::vector<uint8_t>(int64_t)>& picture) {
  store::Writer writer(folder, {});
  double written = 0;
  for (int64_t i = 0; written < megabytes; ++i) {
    const std::vector<uint8_t> bytes = picture(i);
    store::Bag bag;
    bag.id = fmt::format("{:06}", i);
    bag.width = width;
    bag.height = height;
    store::Source source;
    source.path = bag.id;
    writer.append(bag, source, bytes);
    written += static_cast<double>(bytes.size()) / kMega;
  }
  writer.finish();
}

double bag_megabytes(const store::Reader& reader, int64_t bag) {
  return static_cast<double>(reader.stored_bytes(bag)) / kMega;
}

}  // namespace

SampleStore::SampleStore(const Settings& settings, int64_t width, int64_t height,
                         const std::function<std::vector<uint8_t>(int64_t)>& picture) {
  if (settings.store.empty()) {
    own_ = make_folder(settings.folder);
    try {
      fill(own_, settings.megabytes, width, height, picture);
    } catch (...) {
      std::error_code ignored;
      fs::remove_all(own_, ignored);
      throw;
    }
  }
  reader_ = std::make_unique<store::Reader>(own_.empty() ? fs::path(settings.store) : own_);
  while (num_bags_ < reader_->num_bags() && megabytes_ < settings.megabytes) {
    megabytes_ += bag_megabytes(*reader_, num_bags_++);
  }
}

SampleStore::~SampleStore() {
  if (own_.empty()) return;
  std::error_code ignored;
  fs::remove_all(own_, ignored);
}

std::string SampleStore::describe() const {
  return fmt::format("{:.0f} MB in {} bags of {}", megabytes_, num_bags_,
                     own_.empty() ? reader_->folder().string() : "a store of its own");
}

}  // namespace dbps::bench
