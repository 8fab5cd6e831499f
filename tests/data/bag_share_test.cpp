// Batches that several ranks share: each reads its part, and what travels is what one rank reads.
#include "data/bag_share.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <barrier>
#include <cstring>
#include <filesystem>
#include <memory>
#include <numeric>
#include <thread>
#include <vector>

#include "base/random.h"
#include "data/load_all.h"
#include "data/tile_stream.h"
#include "support/small_store.h"
#include "support/temp_folder.h"
#include "support/tile_store.h"

namespace dbps::data {
namespace {

using ::testing::Pair;

constexpr int64_t kMembers = 3;
constexpr int64_t kWidth = 5;
constexpr int64_t kTile = 32;
const std::vector<int64_t> kSizes = {40, 61, 1, 100};

TEST(BagShare, OfWhatWasKeptAllScanAsMany) {
  const std::vector<int64_t> kept = {0, 1, 2, 3, 8, 9};
  BagShare share{0, 2};
  EXPECT_THAT(share.of(kept, 10), Pair(0, 3));
  EXPECT_EQ(share.most_of(6, 10), 3);
  share.member = 1;
  EXPECT_THAT(share.of(kept, 10), Pair(3, 6));
}

TEST(BagShare, OfPlacesALimitStaysWhereItIs) {
  const std::vector<int64_t> kept = {0, 1, 2, 3, 8, 9};
  BagShare share{0, 2, true};
  EXPECT_THAT(share.of(kept, 10), Pair(0, 4));
  EXPECT_EQ(share.most_of(6, 10), 5);
  EXPECT_EQ(share.most_of(2, 10), 2);
  share.member = 1;
  EXPECT_THAT(share.of(kept, 10), Pair(4, 6));
  EXPECT_THAT(share.of({}, 10), Pair(0, 0));
}

// Threads that add up what each of them brings.
class Meeting {
 public:
  explicit Meeting(int64_t members) : brought_(members), barrier_(members) {}

  SumOverRanks sum(int64_t member) {
    return [this, member](const at::Tensor& own) {
      brought_[member] = own;
      barrier_.arrive_and_wait();
      at::Tensor total = brought_[0].clone();
      for (size_t i = 1; i < brought_.size(); ++i) total += brought_[i];
      barrier_.arrive_and_wait();
      return total;
    };
  }

 private:
  std::vector<at::Tensor> brought_;
  std::barrier<> barrier_;
};

class SharedBatch : public ::testing::Test {
 protected:
  void open() {
    std::string labels = "id,label\n";
    for (size_t b = 0; b < kSizes.size(); ++b) labels += fmt::format("b{},{}\n", b, b % 2);
    write_text(store_ / "labels.csv", labels);
    options_.data.store = {store_.string()};
    options_.data.fraction_validation = 0;
    options_.drop.ratio = "0.2";
    options_.salient = 5;
    options_.decode_threads = 2;
    dataset_ = std::make_unique<Dataset>(options_.data,
                                         std::vector<TaskColumn>{{"label", "", "multiclass", {}}});
  }

  void make_vectors() {
    store::WriterOptions options;
    options.settings.kind = store::Kind::kFeatures;
    options.settings.channels = kWidth;
    options.settings.pixel_type = "float32";
    store::Writer writer(store_, options);
    for (size_t b = 0; b < kSizes.size(); ++b) {
      const at::Tensor rows = at::randn({kSizes[b], kWidth});
      store::Vectors vectors;
      vectors.count = kSizes[b];
      vectors.read = [&](int64_t first, int64_t count, uint8_t* out) {
        const size_t width = kWidth * sizeof(float);
        std::memcpy(out, static_cast<const uint8_t*>(rows.data_ptr()) + first * width,
                    count * width);
      };
      store::Bag bag;
      bag.id = fmt::format("b{}", b);
      writer.append(bag, {bag.id + ".npy", 1, 1, "", {}, ""}, vectors);
    }
    writer.finish();
    open();
  }

  void make_tiles() {
    std::vector<MadeSlide> slides;
    for (size_t b = 0; b < kSizes.size(); ++b) slides.push_back({fmt::format("b{}", b), kSizes[b]});
    make_tile_store(store_, slides);
    options_.data.resize = Resize::kNone;
    options_.data.patch_size = options_.data.patch_stride = kTile;
    options_.augment.translate = 0;
    open();
  }

  HostBatch load(const BagShare& share) const {
    LoaderOptions options = options_;
    options.share = share;
    return std::move(load_all(*dataset_, options, {{3, 0, 2, 1}}).front());
  }

  // What each member gets of `rows`, in turn: equal parts in their order.
  at::Tensor together(bool by_place, bool apart, const std::vector<int64_t>& rows,
                      std::vector<HostBatch>& batches) {
    batches.resize(kMembers);
    std::vector<at::Tensor> got(kMembers);
    std::vector<std::thread> ranks;
    Meeting meeting(kMembers);
    const auto n = static_cast<int64_t>(rows.size());
    for (int64_t r = 0; r < kMembers; ++r) {
      ranks.emplace_back([&, r] {
        batches[r] = load({r, kMembers, by_place, apart});
        join(batches[r], meeting.sum(r));
        const DevicePatches patches = on_device(batches[r]);
        EXPECT_TRUE(patches.holds_own_part());
        const int64_t first = n * r / kMembers;
        got[r] =
            patches.gather_together(rows, first, n * (r + 1) / kMembers - first, meeting.sum(r));
      });
    }
    for (std::thread& rank : ranks) rank.join();
    return at::cat(got);
  }

  DevicePatches on_device(const HostBatch& batch) const {
    const bool vectors = batch.pixels.defined();
    const std::vector<double> three = vectors ? std::vector<double>{} : std::vector{0.5, 0.4, 0.3};
    return DevicePatches(batch, three, three, at::kCPU, at::kFloat, 0);
  }

  // Some rows, in no order.
  static std::vector<int64_t> chosen(const HostBatch& batch) {
    std::vector<int64_t> rows = RandomStream(1, Purpose::kDemo).permutation(batch.offsets.back());
    rows.resize(rows.size() / 3);
    return rows;
  }

  TempFolder folder_;
  std::filesystem::path store_ = folder_.path() / "store";
  LoaderOptions options_;
  std::unique_ptr<Dataset> dataset_;
};

TEST_F(SharedBatch, OfVectorsEachRankReadsAndHoldsItsPart) {
  make_vectors();
  const HostBatch whole = load({});
  const std::vector<int64_t> rows = chosen(whole);
  const at::Tensor expected = on_device(whole).gather(rows);
  for (const bool by_place : {false, true}) {
    std::vector<HostBatch> parts;
    EXPECT_TRUE(at::equal(together(by_place, false, rows, parts), expected));
    int64_t bytes = 0, held = 0;
    for (const HostBatch& part : parts) {
      EXPECT_EQ(part.offsets, whole.offsets);
      EXPECT_EQ(part.bytes_read, part.pixels.size(0) * kWidth * 4);
      EXPECT_LT(part.pixels.size(0), whole.offsets.back() / 2);
      bytes += part.bytes_read;
      held += part.pixels.size(0);
      for (size_t b = 0; b < part.bags.size(); ++b) {
        const auto [first, last] = part.own_parts()[b];
        std::vector<int64_t> own(last - first);
        std::iota(own.begin(), own.end(), part.offsets[b] + first);
        EXPECT_TRUE(at::equal(on_device(part).gather(own), on_device(whole).gather(own)));
      }
    }
    EXPECT_EQ(bytes, whole.bytes_read);
    EXPECT_EQ(held, whole.offsets.back());
  }
}

TEST_F(SharedBatch, MemoryInFlightIsOfThePartsAlone) {
  make_vectors();
  options_.share = {1, kMembers};
  options_.data.prefetch_batches = 8;
  Loader loader(*dataset_, options_, std::vector<std::vector<int64_t>>(8, {0, 1, 3}));
  int64_t all = 0;
  while (auto batch = loader.next()) all = batch->offsets.back() * kWidth * 4;
  EXPECT_GT(loader.peak_bytes(), 0);
  EXPECT_LE(loader.peak_bytes(), 8 * (all / kMembers + 3 * kWidth * 4));
}

TEST_F(SharedBatch, TilesTravelAsOneRankReadsThem) {
  make_tiles();
  for (const JitterPer per : {JitterPer::kBag, JitterPer::kPatch}) {
    options_.augment.jitter_per = per;
    const HostBatch whole = load({});
    const std::vector<int64_t> rows = chosen(whole);
    const at::Tensor expected = on_device(whole).gather(rows);
    std::vector<HostBatch> parts;
    // Of one tile most have nothing to give.
    EXPECT_TRUE(at::equal(together(true, true, {rows[0]}, parts), expected.narrow(0, 0, 1)));
    EXPECT_TRUE(at::equal(together(true, true, rows, parts), expected));
    int64_t read = 0;
    for (const HostBatch& part : parts) {
      read += part.tiles->bytes_read();
      for (size_t b = 0; b < part.jitter.size() && per == JitterPer::kBag; ++b) {
        EXPECT_EQ(part.jitter[b].mean_grey, whole.jitter[b].mean_grey);
      }
    }
    EXPECT_EQ(read, whole.tiles->bytes_read());
    EXPECT_EQ(whole.jitter[0].mean_grey > 0.1, per == JitterPer::kBag);
  }
}

}  // namespace
}  // namespace dbps::data
