// The reader of a store, as the loader uses it, beside a loop that does nothing but pread and
// checksum the same bytes in the same order on as many threads.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <map>
#include <numeric>
#include <span>

#include "base/crc32c.h"
#include "base/error.h"
#include "base/files.h"
#include "base/parallel.h"
#include "base/random.h"
#include "bench/benchmark.h"
#include "bench/sample_store.h"
#include "data/tile_stream.h"
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

// What the reader fetches at once, end to end in the file: a picture, the vectors of a bag, or as
// many tiles as a thread that decodes takes up at a time.
struct Extent {
  int64_t bag = 0;
  int64_t first = 0;  // of its tiles
  std::vector<store::Tile> tiles;

  uint64_t bytes() const { return tiles.back().offset + tiles.back().bytes - tiles[0].offset; }
};

std::vector<Extent> extents_of(const store::Reader& reader, int64_t num_bags) {
  const int64_t most = reader.settings().kind == store::Kind::kTiles
                           ? static_cast<int64_t>(data::TileStream::kPieceTiles)
                           : std::numeric_limits<int64_t>::max();
  std::vector<Extent> extents;
  for (int64_t bag = 0; bag < num_bags; ++bag) {
    const int64_t count = reader.bag(bag).tile_count;
    for (int64_t first = 0; first < count; first += std::min(most, count - first)) {
      const int64_t taken = std::min(most, count - first);
      Extent extent{bag, first, {}};
      for (int64_t i = first; i < first + taken; ++i) extent.tiles.push_back(reader.tile(bag, i));
      extents.push_back(std::move(extent));
    }
  }
  return extents;
}

class BareFiles {
 public:
  BareFiles(const store::Reader& reader, const std::vector<Extent>& extents) : extents_(extents) {
    for (const Extent& extent : extents) {
      files_of_.push_back(&open(reader.folder() / reader.shard_name(extent.bag)));
      longest_ = std::max(longest_, extent.bytes());
    }
  }

  void read(int threads, bool checksum) const {
    parallel_for(std::ssize(extents_), threads, [&](int64_t i) {
      thread_local std::vector<uint8_t> buffer;
      if (buffer.size() < longest_) buffer.resize(longest_);
      const Extent& extent = extents_[i];
      const OpenFile& file = *files_of_[i];
      pread_exactly(file.descriptor.get(), buffer.data(), extent.bytes(),
                    file.blob_offset + extent.tiles[0].offset, file.path);
      if (!checksum) return;
      const uint8_t* at = buffer.data();
      for (const store::Tile& tile : extent.tiles) {
        crc32c(at, tile.bytes);
        at += tile.bytes;
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
  const std::vector<Extent>& extents_;
  std::vector<const OpenFile*> files_of_;  // an extent
  uint64_t longest_ = 0;
};

using Read = void (*)(const store::Reader& reader, const Extent& extent,
                      std::vector<uint8_t>& buffer);

void read_picture(const store::Reader& reader, const Extent& extent, std::vector<uint8_t>& buffer) {
  const size_t size = extent.bytes();
  if (buffer.size() < size) buffer.resize(size);
  reader.read_into(std::span(buffer).first(size), extent.bag);
}

void read_vectors(const store::Reader& reader, const Extent& extent, std::vector<uint8_t>& buffer) {
  thread_local std::vector<int64_t> rows;
  rows.resize(extent.tiles.size());
  std::iota(rows.begin(), rows.end(), extent.first);
  if (buffer.size() < extent.bytes()) buffer.resize(extent.bytes());
  reader.read_vectors(extent.bag, rows, buffer.data());
}

void read_tiles(const store::Reader& reader, const Extent& extent, std::vector<uint8_t>& buffer) {
  std::vector<store::TilePlace> places;
  for (int64_t i = 0; i < std::ssize(extent.tiles); ++i) {
    places.push_back({extent.bag, extent.first + i});
  }
  reader.read_tiles(places, buffer, [](size_t, std::span<const uint8_t>) {});
}

Read read_of(store::Kind kind) {
  switch (kind) {
    case store::Kind::kImages:
      return read_picture;
    case store::Kind::kTiles:
      return read_tiles;
    case store::Kind::kFeatures:
      break;
  }
  return read_vectors;
}

// Pictures of 0.5 to 1.5 MB, which nothing decodes.
std::vector<uint8_t> noise(int64_t number) {
  RandomStream random(0, Purpose::kDemo, 0, static_cast<uint64_t>(number));
  std::vector<uint8_t> bytes(static_cast<size_t>(500'000 + random.below(1'000'000)));
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random.next_u32());
  return bytes;
}

Comparison compare_reads(const SampleStore& sample, const std::vector<Extent>& extents,
                         const BareFiles& bare, bool cold, int threads, const Settings& settings) {
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
  const Read read = read_of(reader.settings().kind);
  const auto read_all = [&reader, &extents, read, threads] {
    parallel_for(std::ssize(extents), threads, [&](int64_t i) {
      thread_local std::vector<uint8_t> buffer;
      read(reader, extents[i], buffer);
    });
  };
  return compare(
      fmt::format("{}, {}", cold ? "cold" : "warm", threads_name(threads)), "MB/s",
      contender("store reader", read_all),
      {{contender("pread + CRC32C", [&] { bare.read(threads, true); }), cold ? 0 : kAsked},
       {contender("pread alone", [&] { bare.read(threads, false); }), cold ? kAsked : 0}},
      pacing_of(settings));
}

}  // namespace

Report run_read(const Settings& settings) {
  const SampleStore sample(settings, 1000, 1000, noise);
  const std::vector<Extent> extents = extents_of(sample.reader(), sample.num_bags());
  const BareFiles bare(sample.reader(), extents);
  Report report;
  report.of = sample.describe();
  for (const int threads : thread_counts(settings)) {
    report.comparisons.push_back(compare_reads(sample, extents, bare, false, threads, settings));
  }
  bare.forget();
  if (bare.share_in_memory() > kForgotten) {
    report.notes = {"cold: not measured; the file system keeps in memory what it is asked to drop"};
    return report;
  }
  for (const int threads : thread_counts(settings)) {
    report.comparisons.push_back(compare_reads(sample, extents, bare, true, threads, settings));
  }
  return report;
}

}  // namespace dbps::bench
