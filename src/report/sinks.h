// Where a run's events go: metrics.jsonl and TensorBoard. Rank 0 only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

namespace dbps::report {

// Appends whole lines. Resuming truncates to the size a checkpoint recorded, so that no line stands
// twice and none is missing.
class JsonlSink {
 public:
  // keep_bytes < 0: append. Throws RuntimeFault.
  JsonlSink(const std::filesystem::path& path, int64_t keep_bytes);
  ~JsonlSink();
  void write(const std::string& json_line);  // without the line feed
  int64_t bytes() const;                     // written so far; goes into the checkpoint's state

 private:
  int fd_ = -1;
  int64_t bytes_ = 0;
  std::filesystem::path path_;
};

// Scalars as a TensorBoard event file (TFRecord framing, masked CRC-32C, Event protobuf).
class TensorBoardSink {
 public:
  TensorBoardSink(const std::filesystem::path& run_folder, int64_t keep_bytes);
  ~TensorBoardSink();
  void scalar(const std::string& tag, int64_t step, double value);
  int64_t bytes() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace dbps::report
