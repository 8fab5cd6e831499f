#include "report/sinks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>

#include "base/error.h"
#include "base/files.h"
#include "support/temp_folder.h"

namespace dbps::report {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

void append(const fs::path& path, const std::string& text) {
  std::ofstream(path, std::ios::app | std::ios::binary) << text;
}

TEST(JsonlSink, AppendsWholeLines) {
  const TempFolder folder;
  const fs::path path = folder.path() / "metrics.jsonl";
  {
    JsonlSink sink(path, -1);
    sink.write(R"({"step":1})");
    sink.write(R"({"step":2})");
    sink.sync();
    EXPECT_EQ(sink.bytes(), 22);
    EXPECT_THROW(sink.write("{\n}"), Error);
  }
  append(path, R"({"step":3,"lo)");
  JsonlSink sink(path, -1);
  EXPECT_EQ(sink.bytes(), 22);
  sink.write("{}");
  EXPECT_EQ(read_text_file(path), "{\"step\":1}\n{\"step\":2}\n{}\n");
}

TEST(JsonlSink, ResumeCutsWhatTheCheckpointDidNotSee) {
  const TempFolder folder;
  const fs::path path = folder.path() / "metrics.jsonl";
  int64_t at_checkpoint = 0;
  {
    JsonlSink sink(path, -1);
    sink.write("1");
    at_checkpoint = sink.bytes();
    sink.write("2");
  }
  {
    JsonlSink sink(path, at_checkpoint);
    sink.write("2 again");
  }
  EXPECT_EQ(read_text_file(path), "1\n2 again\n");
  EXPECT_THROW(JsonlSink(path, 1000), RuntimeFault);
  EXPECT_THROW(JsonlSink(folder.path() / "no" / "folder", -1), RuntimeFault);
}

TEST(JsonlSink, AFullDiskLeavesALineThatNamesTheFile) {
  try {
    JsonlSink("/dev/full", 0).write("{}");
    FAIL() << "writing to a full device must throw";
  } catch (const RuntimeFault& fault) {
    EXPECT_THAT(fault.what(), HasSubstr("cannot write /dev/full"));
  }
}

// An independent reading of the format: a bitwise CRC-32C and a minimal protobuf walk.
uint32_t slow_crc32c(const std::string& data) {
  uint32_t crc = 0xFFFFFFFFu;
  for (const unsigned char byte : data) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) ? crc >> 1 ^ 0x82F63B78u : crc >> 1;
  }
  return ~crc;
}

uint32_t unmask(uint32_t masked) {
  const uint32_t rotated = masked - 0xA282EAD8u;
  return rotated >> 17 | rotated << 15;
}

template <typename T>
T take(std::string& data) {
  T value{};
  if (data.size() < sizeof(T)) throw std::runtime_error("the data end too soon");
  std::memcpy(&value, data.data(), sizeof(T));
  data.erase(0, sizeof(T));
  return value;
}

uint64_t take_varint(std::string& data) {
  uint64_t value = 0;
  for (int shift = 0;; shift += 7) {
    const auto byte = take<uint8_t>(data);
    value |= static_cast<uint64_t>(byte & 0x7F) << shift;
    if (byte < 0x80) return value;
  }
}

std::string take_text(std::string& data) {
  const size_t size = take_varint(data);
  std::string text = data.substr(0, size);
  if (text.size() < size) throw std::runtime_error("the data end too soon");
  data.erase(0, size);
  return text;
}

struct Event {
  double wall_time = 0;
  int64_t step = 0;
  std::string version;
  std::string tag;
  float value = 0;
};

void parse_value(std::string data, Event& event) {
  while (!data.empty()) {
    const uint64_t key = take_varint(data);
    if (key == 0x0A) {
      event.tag = take_text(data);
    } else if (key == 0x15) {
      event.value = take<float>(data);
    } else {
      ADD_FAILURE() << "unexpected key in Value " << key;
      return;
    }
  }
}

Event parse_event(std::string data) {
  Event event;
  while (!data.empty()) {
    const uint64_t key = take_varint(data);
    if (key == 0x09) {
      event.wall_time = take<double>(data);
    } else if (key == 0x10) {
      event.step = static_cast<int64_t>(take_varint(data));
    } else if (key == 0x1A) {
      event.version = take_text(data);
    } else if (key == 0x2A) {
      std::string summary = take_text(data);
      EXPECT_EQ(take_varint(summary), 0x0Au);
      parse_value(take_text(summary), event);
      EXPECT_TRUE(summary.empty());
    } else {
      ADD_FAILURE() << "unexpected key in Event " << key;
      return event;
    }
  }
  return event;
}

std::vector<Event> read_events(const fs::path& path) {
  std::string data = read_text_file(path);
  std::vector<Event> events;
  while (!data.empty()) {
    const std::string head = data.substr(0, 8);
    const auto length = take<uint64_t>(data);
    EXPECT_EQ(unmask(take<uint32_t>(data)), slow_crc32c(head));
    const std::string body = data.substr(0, length);
    data.erase(0, length);
    EXPECT_EQ(unmask(take<uint32_t>(data)), slow_crc32c(body));
    events.push_back(parse_event(body));
  }
  return events;
}

std::vector<fs::path> event_files(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) files.push_back(entry.path());
  return files;
}

TEST(TensorBoardSink, WritesWhatTensorBoardReads) {
  const TempFolder folder;
  TensorBoardSink sink(folder.path(), -1);
  sink.scalar("train/loss", 1, 0.5);
  sink.scalar("validation/accuracy", 123456789012, -2.25);
  const auto files = event_files(folder.path());
  ASSERT_EQ(files.size(), 1u);
  EXPECT_THAT(files[0].filename().string(),
              testing::MatchesRegex("events\\.out\\.tfevents\\.[0-9]+\\..+"));
  EXPECT_EQ(static_cast<uintmax_t>(sink.bytes()), fs::file_size(files[0]));
  const auto events = read_events(files[0]);
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[0].version, "brain.Event:2");
  EXPECT_GT(events[1].wall_time, 1.7e9);
  EXPECT_EQ(events[1].tag, "train/loss");
  EXPECT_EQ(events[1].step, 1);
  EXPECT_EQ(events[1].value, 0.5f);
  EXPECT_EQ(events[2].tag, "validation/accuracy");
  EXPECT_EQ(events[2].step, 123456789012);
  EXPECT_EQ(events[2].value, -2.25f);
}

TEST(TensorBoardSink, ResumeGoesOnInTheSameFile) {
  const TempFolder folder;
  int64_t at_checkpoint = 0;
  {
    TensorBoardSink sink(folder.path(), -1);
    sink.scalar("loss", 1, 1);
    at_checkpoint = sink.bytes();
    sink.scalar("loss", 2, 7);
  }
  TensorBoardSink(folder.path(), at_checkpoint).scalar("loss", 2, 2);
  auto files = event_files(folder.path());
  ASSERT_EQ(files.size(), 1u);
  append(files[0], std::string("\x20\0\0\0\0\0\0\0torn", 12));
  TensorBoardSink(folder.path(), -1).scalar("loss", 3, 3);
  files = event_files(folder.path());
  ASSERT_EQ(files.size(), 1u);
  const auto events = read_events(files[0]);
  ASSERT_EQ(events.size(), 4u);
  for (int64_t step = 1; step <= 3; ++step) {
    EXPECT_EQ(events[static_cast<size_t>(step)].step, step);
    EXPECT_EQ(events[static_cast<size_t>(step)].value, static_cast<float>(step));
  }
  EXPECT_THROW(TensorBoardSink(folder.path(), 1 << 20), RuntimeFault);
}

}  // namespace
}  // namespace dbps::report
