// The pickle of a state dict, and the tensors that it names in an archive with two storages. The
// archive around it is made here with checksums that hold.
#include "base/pickle.h"

#include <utility>
#include <vector>

#include "base/pth.h"
#include "base/zip_archive.h"
#include "fuzz/input.h"

namespace dbps::fuzz {
namespace {

using Bytes = std::vector<uint8_t>;

void put(Bytes& out, uint64_t value, int count) {
  for (; count > 0; --count, value >>= 8) out.push_back(static_cast<uint8_t>(value));
}

void put(Bytes& out, std::string_view text) { out.insert(out.end(), text.begin(), text.end()); }

// What a member's local header and its entry in the directory have in common.
void put_description(Bytes& out, std::string_view name, const Bytes& content) {
  put(out, 0, 10);  // version, flags, method, time, date
  put(out, crc32_of(content.data(), content.size()), 4);
  put(out, content.size(), 4);
  put(out, content.size(), 4);
  put(out, name.size(), 2);
  put(out, 0, 2);
}

Bytes archive(const std::vector<std::pair<std::string, Bytes>>& members) {
  Bytes body, directory;
  for (const auto& [name, content] : members) {
    put(directory, 0x02014b50, 4);
    put(directory, 0, 2);
    put_description(directory, name, content);
    put(directory, 0, 10);
    put(directory, body.size(), 4);
    put(directory, name);
    put(body, 0x04034b50, 4);
    put_description(body, name, content);
    put(body, name);
    body.insert(body.end(), content.begin(), content.end());
  }
  Bytes end;
  put(end, 0x06054b50, 4);
  put(end, 0, 4);
  put(end, members.size(), 2);
  put(end, members.size(), 2);
  put(end, directory.size(), 4);
  put(end, body.size(), 4);
  put(end, 0, 2);
  body.insert(body.end(), directory.begin(), directory.end());
  body.insert(body.end(), end.begin(), end.end());
  return body;
}

void check(const PthHeader& header) {
  for (const auto& [name, tensor] : header.tensors) {
    const PthStorage& storage = header.storages.at(tensor.storage);
    int64_t last = tensor.offset;
    bool empty = false;
    for (size_t i = 0; i < tensor.shape.size(); ++i) {
      empty = empty || tensor.shape[i] == 0;
      last += empty ? 0 : (tensor.shape[i] - 1) * tensor.strides[i];
    }
    if (!empty && static_cast<uint64_t>(last) >= storage.end - storage.begin) std::abort();
  }
}

}  // namespace
}  // namespace dbps::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace dbps;
  const fuzz::InputFile file(fuzz::archive({{"a/data.pkl", {data, data + size}},
                                            {"a/data/0", fuzz::Bytes(24)},
                                            {"a/data/1", fuzz::Bytes(16)}}));
  fuzz::refused_or_read([&] { fuzz::check(read_pth_header(file.path())); });
  return 0;
}
