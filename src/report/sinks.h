// Where a run's events go: metrics.jsonl and TensorBoard. Rank 0 only; one thread at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/files.h"

namespace dbps::report {

// Appends whole lines. Resuming truncates to the size a checkpoint recorded, so that no line stands
// twice and none is missing.
class JsonlSink {
 public:
  // keep_bytes >= 0: keeps the first keep_bytes of the file. keep_bytes < 0: appends, after cutting
  // a last line without its line feed (what a kill in mid-write leaves). Throws RuntimeFault when
  // the file cannot be written or is shorter than keep_bytes.
  JsonlSink(const std::filesystem::path& path, int64_t keep_bytes);
  // Without the line feed. Whole or not at all: when the disk is full, the piece that was written
  // is cut off again before RuntimeFault is thrown.
  void write(const std::string& json_line);
  void sync();  // fsync: what bytes() counts survives a crash; before a checkpoint commits
  int64_t bytes() const;  // written so far; goes into the checkpoint's state

 private:
  std::filesystem::path path_;
  FileDescriptor file_;
  int64_t bytes_ = 0;
};

// Scalars as a TensorBoard event file (TFRecord framing, masked CRC-32C, Event protobuf), named
// events.out.tfevents.<unix time>.<host>.
class TensorBoardSink {
 public:
  // Goes on in the newest event file of the folder: keep_bytes as above, with records in place of
  // lines. Without one it starts a file. Throws RuntimeFault.
  TensorBoardSink(const std::filesystem::path& run_folder, int64_t keep_bytes);
  void scalar(const std::string& tag, int64_t step, double value);
  void sync();
  int64_t bytes() const;

 private:
  void write_record(const std::string& event);

  std::filesystem::path path_;
  FileDescriptor file_;
  int64_t bytes_ = 0;
};

}  // namespace dbps::report
