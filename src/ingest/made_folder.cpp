#include "ingest/made_folder.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <mutex>
#include <system_error>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/parallel.h"
#include "image/codec.h"

namespace dbps::ingest {
namespace {

namespace fs = std::filesystem;

constexpr int kPngLevel = 4;

void write_picture(const fs::path& path, const image::Image& picture) {
  const std::vector<uint8_t> png = image::encode_png(picture, kPngLevel);
  const FileDescriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (!file) throw RuntimeFault(errno_message(fmt::format("cannot write {}", path.string())));
  write_exactly(file.get(), png.data(), png.size(), path);
}

}  // namespace

void make_folder(const fs::path& folder, int64_t total, int jobs,
                 const std::function<void(int64_t, const fs::path&)>& make,
                 const MakingProgress& progress,
                 const std::function<void(const fs::path&)>& finish) {
  std::error_code error;
  if (fs::exists(folder, error) && !fs::is_empty(folder, error)) {
    throw ConfigError(
        fmt::format("make-demo: {} holds something already; remove it or name another folder",
                    folder.string()));
  }
  const fs::path making =
      (folder.has_filename() ? folder : folder.parent_path()).string() + ".making";
  fs::remove_all(making, error);

  std::mutex mutex;
  int64_t done = 0;
  try {
    make_folders(making);
    parallel_for(total, jobs, [&](int64_t item) {
      make(item, making);
      const std::lock_guard<std::mutex> lock(mutex);
      ++done;
      if (progress) progress(done, total);
    });
    if (finish) finish(making);
    fs::remove(folder, error);  // an empty one
    fs::rename(making, folder, error);
    if (error) {
      throw RuntimeFault(fmt::format("cannot rename {} to {}: {}", making.string(), folder.string(),
                                     error.message()));
    }
  } catch (...) {
    fs::remove_all(making, error);
    throw;
  }
}

void make_folder_of_pictures(const fs::path& folder, int64_t total, int jobs,
                             const std::function<MadePicture(int64_t)>& make,
                             const MakingProgress& progress,
                             const std::function<void(const fs::path&)>& finish) {
  make_folder(
      folder, total, jobs,
      [&](int64_t item, const fs::path& where) {
        const MadePicture picture = make(item);
        const fs::path path = where / picture.path;
        make_folders(path.parent_path());
        write_picture(path, picture.image);
      },
      progress, finish);
}

}  // namespace dbps::ingest
