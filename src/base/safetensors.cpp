#include "base/safetensors.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/crc32c.h"
#include "base/error.h"
#include "base/files.h"

namespace dbps {
namespace {

using Json = nlohmann::ordered_json;

// As large a header as the format's own reader takes.
constexpr uint64_t kMaxHeaderBytes = 100'000'000;

// What a file with a checksum begins with, after its length; eight hexadecimal digits follow.
constexpr std::string_view kChecksumHead = R"({"__metadata__":{"crc32c":")";
constexpr const char* kChecksumKey = "crc32c";
constexpr std::string_view kNoChecksum = "00000000";
constexpr size_t kChecksumAt = 8 + kChecksumHead.size();

uint64_t read_length(std::span<const uint8_t> head) {
  uint64_t length = 0;
  for (int i = 7; i >= 0; --i) length = (length << 8) | head[i];
  return length;
}

SafetensorsEntry parse_entry(const std::string& name, const Json& json, uint64_t data_start,
                             uint64_t file_size, const std::filesystem::path& path) {
  const auto fail = [&](const std::string& why) -> DataError {
    return DataError(fmt::format("{}: tensor '{}': {}", path.string(), name, why));
  };
  SafetensorsEntry entry;
  uint64_t begin = 0;
  uint64_t end = 0;
  try {
    entry.dtype = json.at("dtype").get<std::string>();
    entry.shape = json.at("shape").get<std::vector<int64_t>>();
    const auto& offsets = json.at("data_offsets");
    if (offsets.size() != 2 || !offsets[0].is_number_unsigned() ||
        !offsets[1].is_number_unsigned()) {
      throw fail("data_offsets are not two byte positions");
    }
    begin = offsets[0].get<uint64_t>();
    end = offsets[1].get<uint64_t>();
  } catch (const Json::exception&) {
    throw fail("its header entry needs dtype, shape and data_offsets");
  }
  if (begin > end || end > file_size - data_start)
    throw fail("it reaches past the end of the file");
  uint64_t bytes = 0;
  try {
    bytes = static_cast<uint64_t>(safetensors_item_size(entry.dtype));
  } catch (const DataError& error) {
    throw fail(error.what());
  }
  for (const int64_t extent : entry.shape) {
    if (extent < 0 || (extent > 0 && bytes > file_size / static_cast<uint64_t>(extent))) {
      throw fail("its shape is larger than the file");
    }
    bytes *= static_cast<uint64_t>(extent);
  }
  if (bytes != end - begin) throw fail("its shape and its bytes disagree");
  entry.begin = data_start + begin;
  entry.end = data_start + end;
  return entry;
}

void check_no_overlap(const SafetensorsHeader& header, const std::filesystem::path& path) {
  std::vector<std::pair<uint64_t, uint64_t>> ranges;
  for (const auto& [name, entry] : header.entries) ranges.emplace_back(entry.begin, entry.end);
  std::sort(ranges.begin(), ranges.end());
  for (size_t i = 1; i < ranges.size(); ++i) {
    if (ranges[i].first < ranges[i - 1].second) {
      throw DataError(fmt::format("{}: two tensors share bytes", path.string()));
    }
  }
}

}  // namespace

int64_t safetensors_item_size(const std::string& dtype) {
  if (dtype == "F64" || dtype == "I64" || dtype == "U64") return 8;
  if (dtype == "F32" || dtype == "I32" || dtype == "U32") return 4;
  if (dtype == "F16" || dtype == "BF16" || dtype == "I16" || dtype == "U16") return 2;
  if (dtype == "U8" || dtype == "I8" || dtype == "BOOL") return 1;
  throw DataError(fmt::format("tensors of type '{}' are not read", dtype));
}

SafetensorsHeader parse_safetensors_header(std::span<const uint8_t> head, uint64_t file_size,
                                           const std::filesystem::path& path) {
  const auto fail = [&](const std::string& why) -> DataError {
    return DataError(fmt::format("{} is not a safetensors file: {}", path.string(), why));
  };
  if (head.size() < 8) throw fail("it is shorter than its header");
  const uint64_t length = read_length(head);
  if (length > kMaxHeaderBytes || length > file_size - 8 || head.size() < 8 + length) {
    throw fail("its header is longer than the file");
  }
  const char* text = reinterpret_cast<const char*>(head.data()) + 8;
  const Json json = Json::parse(text, text + length, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) throw fail("its header is not a JSON object");

  SafetensorsHeader header;
  for (const auto& [name, value] : json.items()) {
    if (name == "__metadata__") {
      if (!value.is_object()) throw fail("__metadata__ is not an object");
      for (const auto& [key, text_value] : value.items()) {
        if (!text_value.is_string()) throw fail("__metadata__ holds something that is not text");
        if (key != kChecksumKey) header.metadata[key] = text_value.get<std::string>();
      }
    } else {
      header.entries[name] = parse_entry(name, value, 8 + length, file_size, path);
    }
  }
  check_no_overlap(header, path);
  return header;
}

SafetensorsHeader read_safetensors_header(const std::filesystem::path& path) {
  const FileDescriptor file = open_for_reading(path);
  const uint64_t file_size = file_bytes(file, path);
  std::vector<uint8_t> head(std::min<uint64_t>(8, file_size));
  pread_exactly(file.get(), head.data(), head.size(), 0, path);
  if (head.size() == 8) {
    const uint64_t length = std::min({read_length(head), kMaxHeaderBytes, file_size - 8});
    head.resize(8 + length);
    pread_exactly(file.get(), head.data() + 8, length, 8, path);
  }
  return parse_safetensors_header(head, file_size, path);
}

void check_safetensors(const std::filesystem::path& path) {
  constexpr uint64_t kPiece = 4 << 20;
  const FileDescriptor file = open_for_reading(path);
  const uint64_t size = file_bytes(file, path);
  std::string piece(std::min<uint64_t>(size, kChecksumAt + kNoChecksum.size()), '\0');
  pread_exactly(file.get(), piece.data(), piece.size(), 0, path);
  if (piece.size() < kChecksumAt || piece.compare(8, kChecksumHead.size(), kChecksumHead) != 0) {
    return;
  }
  const std::string stored = piece.substr(kChecksumAt);
  piece.replace(kChecksumAt, stored.size(), kNoChecksum);
  uint32_t crc = crc32c(piece.data(), piece.size());
  for (uint64_t at = piece.size(); at < size; at += piece.size()) {
    piece.resize(std::min(size - at, kPiece));
    pread_exactly(file.get(), piece.data(), piece.size(), at, path);
    crc = crc32c(piece.data(), piece.size(), crc);
  }
  if (stored != fmt::format("{:08x}", crc)) {
    throw DataError(fmt::format("{} is damaged: its checksum does not hold", path.string()));
  }
}

void write_safetensors(const std::filesystem::path& path,
                       const std::vector<SafetensorsView>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  Json json = Json::object();
  json["__metadata__"][kChecksumKey] = kNoChecksum;
  json["__metadata__"].update(Json(metadata));
  uint64_t offset = 0;
  for (const SafetensorsView& tensor : tensors) {
    DBPS_CHECK(!json.contains(tensor.name), "tensor '" + tensor.name + "' is given twice");
    json[tensor.name] = {{"dtype", tensor.dtype},
                         {"shape", tensor.shape},
                         {"data_offsets", {offset, offset + tensor.data.size()}}};
    offset += tensor.data.size();
  }
  std::string text = json.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // tensors start aligned

  std::string content;
  content.reserve(8 + text.size() + offset);
  for (int i = 0; i < 8; ++i) content += static_cast<char>((text.size() >> (8 * i)) & 0xFF);
  content += text;
  for (const SafetensorsView& tensor : tensors) {
    content.append(reinterpret_cast<const char*>(tensor.data.data()), tensor.data.size());
  }
  content.replace(kChecksumAt, kNoChecksum.size(),
                  fmt::format("{:08x}", crc32c(content.data(), content.size())));
  write_file_atomic(path, content);
}

}  // namespace dbps
