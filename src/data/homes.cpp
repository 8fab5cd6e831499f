#include "data/homes.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "base/parallel.h"

namespace dbps::data {

// Round by round, the largest bags that are left to one home each, the largest of them to the home
// with the fewest bytes.
std::vector<int64_t> deal_homes(const std::vector<int64_t>& bytes, int64_t homes) {
  DBPS_CHECK(homes >= 1, "at least one home");
  std::vector<size_t> by_size(bytes.size());
  std::iota(by_size.begin(), by_size.end(), 0);
  std::stable_sort(by_size.begin(), by_size.end(),
                   [&](size_t a, size_t b) { return bytes[a] > bytes[b]; });
  std::vector<int64_t> load(static_cast<size_t>(homes), 0);
  std::vector<int64_t> home_of(bytes.size());
  std::vector<int64_t> by_load(static_cast<size_t>(homes));
  for (size_t i = 0; i < by_size.size(); ++i) {
    const size_t turn = i % static_cast<size_t>(homes);
    if (turn == 0) {
      std::iota(by_load.begin(), by_load.end(), 0);
      std::stable_sort(by_load.begin(), by_load.end(),
                       [&](int64_t a, int64_t b) { return load[a] < load[b]; });
    }
    home_of[by_size[i]] = by_load[turn];
    load[by_load[turn]] += bytes[by_size[i]];
  }
  return home_of;
}

std::pair<int64_t, int64_t> ReaderPlace::at_place(int64_t n) const {
  DBPS_CHECK(n % num_places == 0, "homes are dealt to places in equal parts");
  return {n / num_places * place, n / num_places * (place + 1)};
}

std::pair<int64_t, int64_t> ReaderPlace::own(int64_t n) const {
  const auto [first, last] = at_place(n);
  const auto [from, to] = share_of(last - first, reader, num_readers);
  return {first + from, first + to};
}

}  // namespace dbps::data
