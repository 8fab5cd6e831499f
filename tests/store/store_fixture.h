// Stores of small made-up pictures.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "base/files.h"
#include "store/reader.h"
#include "store/writer.h"
#include "support/temp_folder.h"

namespace dbps::store {

using Pictures = std::map<std::string, std::vector<uint8_t>>;

inline std::vector<uint8_t> some_bytes(size_t size, uint32_t seed) {
  std::vector<uint8_t> bytes(size);
  for (uint8_t& byte : bytes) {
    seed = seed * 1664525u + 1013904223u;
    byte = static_cast<uint8_t>(seed >> 24);
  }
  return bytes;
}

inline Pictures make_pictures(int first, int count) {
  Pictures pictures;
  for (int i = first; i < first + count; ++i) {
    pictures[fmt::format("class_{}/{:03}", i % 3, i)] = some_bytes(200 + 37 * (i % 11), i);
  }
  return pictures;
}

inline void append_picture(Writer& writer, const std::string& id,
                           const std::vector<uint8_t>& bytes) {
  Bag bag;
  bag.id = id;
  bag.width = 40 + static_cast<int64_t>(bytes.size());
  bag.height = 30;
  writer.append(bag, {"/data/" + id + ".png", bytes.size(), 1234, "crc32c:00000001", {}, ""},
                std::span<const uint8_t>(bytes));
}

inline WriterOptions small_shards() {
  WriterOptions options;
  options.shard_bytes = 4000;
  options.threads = 2;
  return options;
}

inline void make_store(const std::filesystem::path& folder, const Pictures& pictures,
                       const WriterOptions& options = small_shards()) {
  Writer writer(folder, options);
  for (const auto& [id, bytes] : pictures) {
    if (!writer.contains(id)) append_picture(writer, id, bytes);
  }
  writer.finish();
}

inline void expect_holds(const std::filesystem::path& folder, const Pictures& pictures) {
  const Reader reader(folder);
  ASSERT_EQ(reader.num_bags(), static_cast<int64_t>(pictures.size()));
  int64_t index = 0;
  for (const auto& [id, bytes] : pictures) {
    EXPECT_EQ(reader.bag(index).id, id);
    EXPECT_EQ(reader.find_bag(id), index);
    EXPECT_EQ(reader.read(index), bytes) << id;
    EXPECT_EQ(reader.bag(index).width, 40 + static_cast<int64_t>(bytes.size()));
    EXPECT_EQ(reader.source(index).path, "/data/" + id + ".png");
    ++index;
  }
}

inline std::vector<std::string> files_in(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

inline void flip_byte(const std::filesystem::path& path, uint64_t offset) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(static_cast<std::streamoff>(offset));
  const char byte = static_cast<char>(file.get() ^ 0x20);
  file.seekp(static_cast<std::streamoff>(offset));
  file.put(byte);
}

// Where some bytes stand in a file; they must be there.
inline uint64_t find_in_file(const std::filesystem::path& path, std::string_view wanted) {
  const size_t at = read_text_file(path).find(wanted);
  EXPECT_NE(at, std::string::npos);
  return at;
}

inline std::string_view as_text(const std::vector<uint8_t>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace dbps::store
