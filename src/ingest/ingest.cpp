#include "ingest/ingest.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <mutex>

#include "base/csv.h"
#include "base/error.h"
#include "base/files.h"
#include "base/parallel.h"
#include "ingest/bag_maker.h"
#include "ingest/labels.h"
#include "store/writer.h"

namespace dbps::ingest {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

class Ingestion {
 public:
  Ingestion(const SourceList& sources, const fs::path& store, const IngestOptions& options,
            const ProgressCallback& progress)
      : sources_(sources),
        store_(store),
        options_(options),
        progress_(progress),
        jobs_(options.jobs > 0 ? options.jobs : available_cores()),
        maker_(make_maker()),
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
  std::unique_ptr<BagMaker> make_maker() const {
    switch (options_.kind) {
      case store::Kind::kFeatures:
        return make_feature_maker(sources_, store_, jobs_);
      case store::Kind::kTiles:
        return make_slide_maker(sources_, store_, options_, jobs_);
      default:
        return make_picture_maker(options_);
    }
  }

  store::WriterOptions writer_options() const {
    store::WriterOptions writer;
    writer.settings = maker_->settings();
    writer.shard_bytes = options_.shard_bytes;
    writer.threads = jobs_;
    return writer;
  }

  void add(int64_t index) {
    const SourcePicture& picture = sources_.pictures[index];
    try {
      count_kept(index, maker_->make(picture, writer_));
    } catch (const DataError& error) {
      count_failed(picture, error.what());
    }
  }

  void count_kept(int64_t index, const MadeBag& made) {
    const std::lock_guard<std::mutex> lock(mutex_);
    is_kept_[index] = true;
    ++summary_.kept;
    summary_.source_bytes += made.source_bytes;
    summary_.stored_bytes += made.stored_bytes;
    for (const std::string& mode : made.modes) ++summary_.modes[mode];
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
  const std::unique_ptr<BagMaker> maker_;
  store::Writer writer_;
  std::vector<char> is_kept_;
  int64_t done_ = 0;
  int64_t skipped_ = 0;
  std::mutex mutex_;
  Summary summary_;
};

}  // namespace

Summary ingest(const SourceList& sources, const fs::path& store, const IngestOptions& options,
               const ProgressCallback& progress) {
  return Ingestion(sources, store, options, progress).run();
}

}  // namespace dbps::ingest
