#include "ingest/ingest.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <mutex>

#include "base/crc32c.h"
#include "base/csv.h"
#include "base/error.h"
#include "base/files.h"
#include "base/parallel.h"
#include "image/codec.h"
#include "image/resize.h"
#include "ingest/labels.h"
#include "store/writer.h"

namespace dbps::ingest {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

// Bounds the pixels decoded at one time, whatever the number of threads. A picture larger than the
// whole budget goes alone.
class PixelBudget {
 public:
  explicit PixelBudget(double pixels) : free_(pixels), all_(pixels) {}

  class Share {
   public:
    Share(PixelBudget& budget, double pixels)
        : budget_(budget), pixels_(std::min(pixels, budget.all_)) {
      std::unique_lock<std::mutex> lock(budget_.mutex_);
      budget_.freed_.wait(lock, [&] { return budget_.free_ >= pixels_; });
      budget_.free_ -= pixels_;
    }
    ~Share() {
      {
        const std::lock_guard<std::mutex> lock(budget_.mutex_);
        budget_.free_ += pixels_;
      }
      budget_.freed_.notify_all();
    }
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;

   private:
    PixelBudget& budget_;
    double pixels_;
  };

 private:
  std::mutex mutex_;
  std::condition_variable freed_;
  double free_;
  double all_;
};

struct EncodedPicture {
  store::Bag bag;
  store::Source source;
  std::vector<uint8_t> bytes;
  std::vector<std::string> modes;
};

std::vector<std::string> odd_modes(const image::Info& info) {
  std::vector<std::string> modes;
  if (info.mode != image::Mode::kRgb) modes.push_back(image::mode_name(info.mode));
  if (info.orientation != 1) modes.push_back("rotated (EXIF)");
  return modes;
}

image::Image shrink(image::Image picture, int64_t longest) {
  const int64_t side = std::max(picture.width, picture.height);
  if (longest == 0 || side <= longest) return picture;
  const auto scaled = [&](int64_t length) {
    return std::max<int64_t>(1, std::llround(static_cast<double>(length) * longest / side));
  };
  return image::resize(picture, scaled(picture.width), scaled(picture.height));
}

class Ingestion {
 public:
  Ingestion(const SourceList& sources, const fs::path& store, const IngestOptions& options,
            const ProgressCallback& progress)
      : sources_(sources),
        store_(store),
        options_(options),
        progress_(progress),
        jobs_(options.jobs > 0 ? options.jobs : available_cores()),
        budget_(options.max_pixels),
        writer_(store, writer_options()),
        is_kept_(sources.pictures.size()) {}

  Summary run() {
    const auto total = static_cast<int64_t>(sources_.pictures.size());
    std::vector<int64_t> wanted;
    for (int64_t i = 0; i < total; ++i) {
      if (writer_.contains(sources_.pictures[i].id)) {
        is_kept_[i] = true;
        ++summary_.skipped;
      } else {
        wanted.push_back(i);
      }
    }
    done_ = skipped_ = summary_.skipped;
    parallel_for(static_cast<int64_t>(wanted.size()), jobs_, [&](int64_t i) { add(wanted[i]); });
    finish();
    return summary_;
  }

 private:
  store::WriterOptions writer_options() const {
    store::WriterOptions writer;
    writer.settings = settings_of(options_);
    writer.shard_bytes = options_.shard_bytes;
    writer.threads = jobs_;
    return writer;
  }

  void add(int64_t index) {
    const SourcePicture& picture = sources_.pictures[index];
    try {
      const EncodedPicture encoded = encode(picture);
      writer_.append(encoded.bag, encoded.source, encoded.bytes);
      count_kept(index, encoded);
    } catch (const DataError& error) {
      count_failed(picture, error.what());
    }
  }

  EncodedPicture encode(const SourcePicture& picture) {
    EncodedPicture encoded;
    const std::string name = picture.path.string();
    struct stat status {};
    if (::stat(name.c_str(), &status) != 0) {
      throw DataError(errno_message(fmt::format("cannot open {}", name)));
    }
    encoded.bytes = read_file(picture.path);
    const uint32_t crc = crc32c(encoded.bytes.data(), encoded.bytes.size());
    encoded.source = {
        name, encoded.bytes.size(), status.st_mtime, fmt::format("crc32c:{:08x}", crc), {}, ""};
    const image::Info info = image::probe(encoded.bytes, name);
    encoded.modes = odd_modes(info);
    check_grey(info, name);
    const PixelBudget::Share share(
        budget_, static_cast<double>(info.width) * static_cast<double>(info.height));
    image::DecodeOptions decode;
    decode.channels = options_.channels;
    decode.max_pixels = options_.max_pixels;
    // Also with codec keep: a picture that does not decode is found now and not in the middle of a
    // training.
    const image::Image pixels =
        shrink(image::decode(encoded.bytes, name, decode), options_.longest);
    encoded.bag.id = picture.id;
    encoded.bag.width = pixels.width;
    encoded.bag.height = pixels.height;
    if (options_.codec == store::Codec::kJpeg) {
      encoded.bytes = image::encode_jpeg(pixels, options_.quality);
    } else if (options_.codec == store::Codec::kPng) {
      encoded.bytes = image::encode_png(pixels);
    }
    return encoded;
  }

  // Codec keep cannot turn a picture into grey.
  void check_grey(const image::Info& info, const std::string& name) const {
    if (options_.channels == 3 || options_.codec != store::Codec::kKeep) return;
    if (info.mode == image::Mode::kGrey) return;
    throw DataError(fmt::format("{} is {}, not grey: --codec png or jpeg makes it grey", name,
                                image::mode_name(info.mode)));
  }

  void count_kept(int64_t index, const EncodedPicture& encoded) {
    const std::lock_guard<std::mutex> lock(mutex_);
    is_kept_[index] = true;
    ++summary_.kept;
    summary_.source_bytes += encoded.source.bytes;
    summary_.stored_bytes += encoded.bytes.size();
    for (const std::string& mode : encoded.modes) ++summary_.modes[mode];
    report_progress();
  }

  void count_failed(const SourcePicture& picture, const std::string& reason) {
    const std::lock_guard<std::mutex> lock(mutex_);
    summary_.failed.push_back({picture.id, picture.path, reason});
    report_progress();
  }

  void report_progress() {
    ++done_;
    if (!progress_) return;
    const auto total = static_cast<int64_t>(sources_.pictures.size());
    const double seconds = elapsed();
    const double left =
        seconds / static_cast<double>(done_ - skipped_) * static_cast<double>(total - done_);
    progress_({done_, total, summary_.source_bytes, seconds, left});
  }

  // store.json comes last: a store that a reader sees has its labels.
  void finish() {
    std::sort(summary_.failed.begin(), summary_.failed.end(),
              [](const FailedSource& a, const FailedSource& b) { return a.id < b.id; });
    const fs::path failed = store_ / "failed.csv";
    std::string text = csv_line({"path", "reason"});
    for (const FailedSource& source : summary_.failed) {
      text += csv_line({source.path.string(), source.reason});
    }
    std::error_code ignored;
    if (summary_.failed.empty()) {
      fs::remove(failed, ignored);
    } else {
      write_file_atomic(failed, text);
    }
    if (writer_.num_bags() > 0) {
      summary_.labels_added = merge_labels(store_, sources_, is_kept_);
      writer_.finish();
    }
    summary_.seconds = elapsed();
  }

  double elapsed() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

  const SourceList& sources_;
  const fs::path& store_;
  const IngestOptions& options_;
  const ProgressCallback& progress_;
  const int jobs_;
  const Clock::time_point start_ = Clock::now();
  PixelBudget budget_;
  store::Writer writer_;
  std::vector<char> is_kept_;
  int64_t done_ = 0;
  int64_t skipped_ = 0;
  std::mutex mutex_;
  Summary summary_;
};

}  // namespace

store::Settings settings_of(const IngestOptions& options) {
  if (options.quality < 1 || options.quality > 100) {
    throw ConfigError(fmt::format("--quality {} lies outside 1 .. 100", options.quality));
  }
  if (options.longest < 0) {
    throw ConfigError(fmt::format("--longest {} is negative", options.longest));
  }
  if (options.longest > 0 && options.codec == store::Codec::kKeep) {
    throw ConfigError(
        "--longest makes new pictures, --codec keep passes the old ones through: choose --codec "
        "jpeg or png");
  }
  store::Settings settings;
  settings.codec = options.codec;
  settings.channels = options.channels;
  settings.quality = options.codec == store::Codec::kJpeg ? options.quality : 0;
  settings.longest = options.longest;
  return settings;
}

Summary ingest(const SourceList& sources, const fs::path& store, const IngestOptions& options,
               const ProgressCallback& progress) {
  return Ingestion(sources, store, options, progress).run();
}

}  // namespace dbps::ingest
