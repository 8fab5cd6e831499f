// libjpeg-turbo and nothing else: what `dbps bench decode` holds decode() against.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace dbps::image {

// Rows of RGB, as they lie in the file, into `rgb`, which grows to the largest picture and is
// overwritten by the next. `bytes` are a colour JPEG that decode() reads. Any thread, each with an
// `rgb` of its own. Throws DataError with `name` at its start.
void decode_jpeg_bare(std::span<const uint8_t> bytes, const std::string& name,
                      std::vector<uint8_t>& rgb);

}  // namespace dbps::image
