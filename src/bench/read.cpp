// The reader of a store, as the loader uses it, beside a loop that does nothing but pread and
// checksum the same bytes in the same order on as many threads.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <map>
#include <numeric>

#include "base/crc32c.h"
#include "base/error.h"
#include "base/files.h"
#include "base/parallel.h"
#include "base/random.h"
#include "bench/benchmark.h"
#include "bench/sample_store.h"
#include "store/shard.h"

namespace dbps::bench {
namespace {

constexpr double kAsked = 0.95;
// Share of a file that may still be in memory once it was dropped: tables that others read.
constexpr double kForgotten = 0.02;

struct OpenFile {
  std::filesystem::path path;
  FileDescriptor descriptor;
  uint64_t blob_offset = 0;
};

// What the reader fetches at once: a picture, or the vectors of a bag.
struct Extent {
  const OpenFile* file = nullptr;
  uint64_t offset = 0;
  uint64_t bytes = 0;
  uint64_t step = 0;  // bytes a checksum
};

class BareFiles {
 public:
  BareFiles(const store::Reader& reader, int64_t num_bags) {
    for (int64_t bag = 0; bag < num_bags; ++bag) {
      const auto tiles = static_cast<uint64_t>(reader.bag(bag).tile_count);
      if (tiles == 0) continue;
      const OpenFile& file = open(reader.folder() / reader.shard_name(bag));
      const store::Tile& first = reader.tile(bag);
      extents_.push_back(
          {&file, file.blob_offset + first.offset, tiles * first.bytes, first.bytes});
      longest_ = std::max(longest_, extents_.back().bytes);
    }
  }

  void read(int threads, bool checksum) const {
    parallel_for(static_cast<int64_t>(extents_.size()), threads, [&](int64_t i) {
      thread_local std::vector<uint8_t> buffer;
      if (buffer.size() < longest_) buffer.resize(longest_);
      const Extent& extent = extents_[i];
      pread_exactly(extent.file->descriptor.get(), buffer.data(), extent.bytes, extent.offset,
                    extent.file->path);
      for (uint64_t at = 0; checksum && at < extent.bytes; at += extent.step) {
        crc32c(buffer.data() + at, extent.step);
      }
    });
  }

  // What is on the disk is dropped from memory.
  void forget() const {
    for (const auto& [path, file] : files_) {
      ::posix_fadvise(file.descriptor.get(), 0, 0, POSIX_FADV_DONTNEED);
    }
  }

  double share_in_memory() const {
    const auto page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
    uint64_t pages = 0, resident = 0;
    for (const auto& [path, file] : files_) {
      const uint64_t bytes = file_bytes(file.descriptor, file.path);
      void* mapped = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, file.descriptor.get(), 0);
      if (mapped == MAP_FAILED) return 1;
      std::vector<unsigned char> there((bytes + page - 1) / page, 1);
      ::mincore(mapped, bytes, there.data());
      ::munmap(mapped, bytes);
      pages += there.size();
      for (const unsigned char one : there) resident += one & 1U;
    }
    return pages == 0 ? 1 : static_cast<double>(resident) / static_cast<double>(pages);
  }

 private:
  const OpenFile& open(const std::filesystem::path& path) {
    const auto [it, fresh] = files_.try_emplace(path.string());
    if (fresh) {
      it->second = {path, open_for_reading(path), store::read_shard(path).blob_offset};
    }
    return it->second;
  }

  std::map<std::string, OpenFile> files_;
  std::vector<Extent> extents_;
  uint64_t longest_ = 0;
};

void read_pictures(const store::Reader& reader, int64_t num_bags, int threads) {
  parallel_for(num_bags, threads, [&](int64_t bag) {
    thread_local std::vector<uint8_t> buffer;
    const size_t size = reader.tile(bag).bytes;
    if (buffer.size() < size) buffer.resize(size);
    reader.read_into(std::span(buffer).first(size), bag);
  });
}

void read_vectors(const store::Reader& reader, int64_t num_bags, int threads) {
  int64_t most = 0;
  for (int64_t bag = 0; bag < num_bags; ++bag) most = std::max(most, reader.bag(bag).tile_count);
  std::vector<int64_t> rows(static_cast<size_t>(most));
  std::iota(rows.begin(), rows.end(), 0);
  const size_t bytes = static_cast<size_t>(most) * store::vector_bytes(reader.settings());
  parallel_for(num_bags, threads, [&](int64_t bag) {
    thread_local std::vector<uint8_t> buffer;
    if (buffer.size() < bytes) buffer.resize(bytes);
    const auto count = static_cast<size_t>(reader.bag(bag).tile_count);
    reader.read_vectors(bag, std::span(rows).first(count), buffer.data());
  });
}

// Pictures of 0.5 to 1.5 MB, which nothing decodes.
std::vector<uint8_t> noise(int64_t number) {
  RandomStream random(0, Purpose::kDemo, 0, static_cast<uint64_t>(number));
  std::vector<uint8_t> bytes(static_cast<size_t>(500'000 + random.below(1'000'000)));
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random.next_u32());
  return bytes;
}

Comparison compare_reads(const SampleStore& sample, const BareFiles& bare, bool cold, int threads,
                         const Settings& settings) {
  const store::Reader& reader = sample.reader();
  const auto contender = [&](const char* name, std::function<void()> work) {
    Contender made{name, nullptr, nullptr};
    made.run = [&sample, work = std::move(work)] {
      work();
      return sample.megabytes();
    };
    if (cold) made.prepare = [&bare] { bare.forget(); };
    return made;
  };
  const bool features = reader.settings().kind == store::Kind::kFeatures;
  const auto read = features ? read_vectors : read_pictures;
  return compare(
      fmt::format("{}, {}", cold ? "cold" : "warm", threads_name(threads)), "MB/s",
      contender("store reader", [&] { read(reader, sample.num_bags(), threads); }),
      {{contender("pread + CRC32C", [&] { bare.read(threads, true); }), cold ? 0 : kAsked},
       {contender("pread alone", [&] { bare.read(threads, false); }), cold ? kAsked : 0}},
      pacing_of(settings));
}

}  // namespace

Report run_read(const Settings& settings) {
  const SampleStore sample(settings, 1000, 1000, noise);
  if (sample.reader().settings().kind == store::Kind::kTiles) {
    throw ConfigError(fmt::format("{} holds tiles, which are not read yet", settings.store));
  }
  const BareFiles bare(sample.reader(), sample.num_bags());
  Report report;
  report.of = sample.describe();
  for (const int threads : thread_counts(settings)) {
    report.comparisons.push_back(compare_reads(sample, bare, false, threads, settings));
  }
  bare.forget();
  if (bare.share_in_memory() > kForgotten) {
    report.notes = {"cold: not measured; the file system keeps in memory what it is asked to drop"};
    return report;
  }
  for (const int threads : thread_counts(settings)) {
    report.comparisons.push_back(compare_reads(sample, bare, true, threads, settings));
  }
  return report;
}

}  // namespace dbps::bench
