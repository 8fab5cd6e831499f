#include "ingest/ingest.h"

#include <algorithm>
#include <chrono>
#include <mutex>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/parallel.h"
#include "base/random.h"
#include "ingest/bag_maker.h"
#include "ingest/labels.h"
#include "ingest/report.h"
#include "store/writer.h"

namespace dbps::ingest {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using nlohmann::json;

int jobs_of(const IngestOptions& options) {
  return options.jobs > 0 ? options.jobs : available_cores();
}

std::unique_ptr<BagMaker> make_maker(const SourceList& sources, const fs::path& store,
                                     const IngestOptions& options) {
  const int jobs = jobs_of(options);
  switch (options.kind) {
    case store::Kind::kFeatures:
      return make_feature_maker(sources, store, jobs);
    case store::Kind::kTiles:
      if (!sources.pictures.front().member.empty()) return make_patch_maker(store, options);
      return make_slide_maker(sources, store, options, jobs);
    default:
      return make_picture_maker(options);
  }
}

std::string hash_of(const SourceList& sources) {
  std::string ids;
  for (const SourcePicture& picture : sources.pictures) ids += picture.id + '\n';
  return std::to_string(stable_hash(ids.data(), ids.size()));
}

}  // namespace

struct Ingestion::State {
  State(const SourceList& source_list, const fs::path& folder, const IngestOptions& how,
        std::unique_ptr<BagMaker> bag_maker, const ProgressCallback& callback, int rank_,
        int world_size_)
      : sources(source_list),
        store(folder),
        options(how),
        progress(callback),
        rank(rank_),
        world_size(world_size_),
        jobs(jobs_of(how)),
        maker(std::move(bag_maker)),
        outcomes(source_list.pictures.size()) {
    open_writer(rank, world_size);
    for (size_t i = 0; i < outcomes.size(); ++i) {
      if (writer->contains(sources.pictures[i].id)) outcomes[i].kind = Outcome::kPresent;
    }
  }

  void open_writer(int64_t offset, int64_t stride) {
    store::WriterOptions how;
    how.settings = maker->settings();
    how.shard_bytes = options.shard_bytes;
    how.threads = jobs;
    how.shard_offset = offset;
    how.shard_stride = stride;
    writer = std::make_unique<store::Writer>(store, how);
  }

  // Of the sources that are nowhere yet: largest first, each to the rank with the least work.
  std::vector<int64_t> my_part() const {
    std::vector<int64_t> wanted;
    std::vector<uint64_t> work(outcomes.size());
    for (size_t i = 0; i < outcomes.size(); ++i) {
      if (outcomes[i].kind != Outcome::kUnknown) continue;
      wanted.push_back(static_cast<int64_t>(i));
      work[i] = std::max<uint64_t>(1, maker->work(sources.pictures[i]));
    }
    std::stable_sort(wanted.begin(), wanted.end(),
                     [&](int64_t a, int64_t b) { return work[a] > work[b]; });
    std::vector<uint64_t> load(world_size, 0);
    std::vector<int64_t> mine;
    for (const int64_t i : wanted) {
      const auto least = std::min_element(load.begin(), load.end());
      *least += work[i];
      if (least - load.begin() == rank) mine.push_back(i);
    }
    return mine;
  }

  void add(int64_t index) {
    Outcome outcome;
    try {
      outcome.made = maker->make(sources.pictures[index], *writer);
      outcome.kind = Outcome::kKept;
    } catch (const DataError& error) {
      outcome.kind = Outcome::kFailed;
      outcome.reason = error.what();
    }
    const std::lock_guard<std::mutex> lock(mutex);
    source_bytes += outcome.made.source_bytes;
    outcomes[index] = std::move(outcome);
    ++done;
    if (!progress) return;
    const double seconds = elapsed();
    const double left =
        seconds / static_cast<double>(done - skipped) * static_cast<double>(total - done);
    progress({done, total, source_bytes, seconds, left});
  }

  Summary summarize() const {
    Summary summary;
    for (const UnreadFolder& folder : sources.unread) {
      summary.failed.push_back({"", folder.path, unread_text(folder)});
    }
    for (size_t i = 0; i < outcomes.size(); ++i) {
      const Outcome& outcome = outcomes[i];
      const SourcePicture& picture = sources.pictures[i];
      if (outcome.kind == Outcome::kPresent) ++summary.skipped;
      if (outcome.kind == Outcome::kFailed) {
        summary.failed.push_back({picture.id, picture.path, outcome.reason});
      }
      if (outcome.kind != Outcome::kKept) continue;
      ++summary.kept;
      summary.source_bytes += outcome.made.source_bytes;
      summary.stored_bytes += outcome.made.stored_bytes;
      for (const std::string& mode : outcome.made.modes) ++summary.modes[mode];
    }
    return summary;
  }

  double elapsed() const { return std::chrono::duration<double>(Clock::now() - start).count(); }

  const SourceList& sources;
  const fs::path store;
  const IngestOptions options;
  const ProgressCallback progress;
  const int rank;
  const int world_size;
  const int jobs;
  const Clock::time_point start = Clock::now();
  const std::unique_ptr<BagMaker> maker;
  std::unique_ptr<store::Writer> writer;
  std::vector<Outcome> outcomes;  // a source each
  int64_t total = 0;              // of this process, as Progress
  int64_t done = 0;
  int64_t skipped = 0;
  uint64_t source_bytes = 0;
  std::mutex mutex;
};

Ingestion::Ingestion(const SourceList& sources, const fs::path& store, const IngestOptions& options,
                     const ProgressCallback& progress, int rank, int world_size)
    : Ingestion(sources, store, options, make_maker(sources, store, options), progress, rank,
                world_size) {}

Ingestion::Ingestion(const SourceList& sources, const fs::path& store, const IngestOptions& options,
                     std::unique_ptr<BagMaker> maker, const ProgressCallback& progress, int rank,
                     int world_size)
    : state_(std::make_unique<State>(sources, store, options, std::move(maker), progress, rank,
                                     world_size)) {}

Ingestion::~Ingestion() = default;

std::string Ingestion::present() const {
  json places = json::array();
  for (size_t i = 0; i < state_->outcomes.size(); ++i) {
    if (state_->outcomes[i].kind == Outcome::kPresent) places.push_back(i);
  }
  return json{{"sources", hash_of(state_->sources)}, {"present", places}}.dump();
}

void Ingestion::make(const std::vector<std::string>& present) {
  State& state = *state_;
  for (const std::string& text : present) {
    const json line = json::parse(text);
    if (line.at("sources") != hash_of(state.sources)) {
      throw RuntimeFault(
          "the ranks see different sources: SOURCE must lie on a disk that all hosts share");
    }
    for (const size_t place : line.at("present")) {
      state.outcomes.at(place).kind = Outcome::kPresent;
    }
  }
  const std::vector<int64_t> mine = state.my_part();
  for (const Outcome& outcome : state.outcomes) state.skipped += outcome.kind == Outcome::kPresent;
  state.done = state.skipped;
  state.total = state.skipped + static_cast<int64_t>(mine.size());
  parallel_for(static_cast<int64_t>(mine.size()), state.jobs,
               [&](int64_t i) { state.add(mine[i]); });
  if (state.world_size == 1) return;
  state.writer->seal();
  state.writer.reset();
}

std::string Ingestion::part() const { return outcomes_to_text(state_->outcomes); }

// store.json comes last: a store that a reader sees has its labels.
Summary Ingestion::finish(const std::vector<std::string>& parts) {
  State& state = *state_;
  for (const std::string& part : parts) take_outcomes(part, state.outcomes);
  if (!state.writer) state.open_writer(0, 1);
  Summary summary = state.summarize();
  write_failed(state.store, summary.failed);
  const std::vector<std::string> columns = state.maker->report_columns();
  if (!columns.empty()) write_report(state.store, state.sources, columns, state.outcomes);
  if (state.writer->num_bags() > 0) {
    std::vector<char> is_kept;
    for (const Outcome& outcome : state.outcomes) {
      is_kept.push_back(outcome.kind == Outcome::kKept || outcome.kind == Outcome::kPresent);
    }
    summary.labels_added = merge_labels(state.store, state.sources, is_kept);
    state.writer->finish();
  }
  summary.seconds = state.elapsed();
  return summary;
}

Summary ingest(const SourceList& sources, const fs::path& store, const IngestOptions& options,
               const ProgressCallback& progress) {
  Ingestion ingestion(sources, store, options, progress);
  ingestion.make({});
  return ingestion.finish({});
}

}  // namespace dbps::ingest
