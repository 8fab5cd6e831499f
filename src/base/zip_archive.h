// The members of a zip archive, as PyTorch writes them: stored, never compressed, read where they
// lie. Nothing is unpacked and no name is ever taken for a path of this machine.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace dbps {

struct ZipMember {
  uint64_t begin = 0;  // bytes from the start of the file
  uint64_t end = 0;
  uint32_t crc = 0;  // CRC-32 of those bytes, as the archive says
};

// Whether a file begins as a zip archive does.
bool is_zip(const std::vector<uint8_t>& head);

// Reads the directory at the archive's end (with zip64) and the header before each member, and
// checks them against each other and against the file's length: every member inside the file and
// before the directory, none over another, no name twice. Throws DataError naming `path` for
// anything else, and for members that are compressed or encrypted.
std::map<std::string, ZipMember> read_zip_directory(const std::filesystem::path& path);

// The bytes of a member that lies in `path`, checked against its CRC. Throws DataError.
std::vector<uint8_t> read_zip_member(const std::filesystem::path& path, const std::string& name,
                                     const ZipMember& member);

// The CRC-32 of zip archives.
uint32_t crc32_of(const void* data, uint64_t size);

}  // namespace dbps
