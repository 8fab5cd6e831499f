// The store that a benchmark reads: a given one, or one of its own that goes with it.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <vector>

#include "bench/benchmark.h"
#include "store/reader.h"

namespace dbps::bench {

class SampleStore {
 public:
  // Without settings.store: `picture(i)` gives the encoded bytes of picture i, whose size in pixels
  // is width x height, until there are settings.megabytes of them. Throws ConfigError when the
  // folder cannot be made.
  SampleStore(const Settings& settings, int64_t width, int64_t height,
              const std::function<std::vector<uint8_t>(int64_t)>& picture);
  ~SampleStore();
  SampleStore(const SampleStore&) = delete;
  SampleStore& operator=(const SampleStore&) = delete;

  const store::Reader& reader() const { return *reader_; }
  int64_t num_bags() const { return num_bags_; }   // the first ones, up to settings.megabytes
  double megabytes() const { return megabytes_; }  // of those
  std::string describe() const;                    // "268 MB in 256 pictures"

 private:
  std::filesystem::path own_;  // "": given
  std::unique_ptr<store::Reader> reader_;
  int64_t num_bags_ = 0;
  double megabytes_ = 0;
};

}  // namespace dbps::bench
