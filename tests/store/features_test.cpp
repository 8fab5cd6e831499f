// Stores of feature vectors: what is read back, what is noticed, and writers that are killed.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <numeric>

#include "base/error.h"
#include "store/local_copy.h"
#include "store/verify.h"
#include "store_fixture.h"

namespace dbps::store {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr int kWidth = 48;

WriterOptions vector_options(const std::string& type = "float32") {
  WriterOptions options;
  options.settings.kind = Kind::kFeatures;
  options.settings.channels = kWidth;
  options.settings.pixel_type = type;
  options.shard_bytes = 40'000;
  return options;
}

std::vector<uint8_t> some_vectors(int64_t count, uint32_t seed, const Settings& settings) {
  return some_bytes(static_cast<size_t>(count) * vector_bytes(settings), seed);
}

void append(Writer& writer, const std::string& id, const std::vector<uint8_t>& bytes,
            const Settings& settings, std::vector<Place> places = {}, int32_t part = 0) {
  const uint64_t width = vector_bytes(settings);
  Vectors vectors;
  vectors.count = static_cast<int64_t>(bytes.size() / width);
  vectors.places = std::move(places);
  vectors.read = [&](int64_t first, int64_t count, uint8_t* out) {
    std::memcpy(out, bytes.data() + static_cast<uint64_t>(first) * width,
                static_cast<uint64_t>(count) * width);
  };
  Bag bag;
  bag.id = id;
  bag.part = part;
  writer.append(bag, {"/data/" + id + ".npy", bytes.size(), 1234, "", {}, ""}, vectors);
}

// Bags b0, b1, ... of 1, 21, 41, ... vectors.
std::map<std::string, std::vector<uint8_t>> make_bags(int count, const Settings& settings) {
  std::map<std::string, std::vector<uint8_t>> bags;
  for (int i = 0; i < count; ++i) {
    bags[fmt::format("b{}", i)] = some_vectors(1 + 20 * i, 7 + i, settings);
  }
  return bags;
}

void make_vector_store(const fs::path& folder, int count, const WriterOptions& options) {
  Writer writer(folder, options);
  for (const auto& [id, bytes] : make_bags(count, options.settings)) {
    if (!writer.contains(id)) append(writer, id, bytes, options.settings);
  }
  writer.finish();
}

std::vector<uint8_t> read_rows(const Reader& reader, int64_t bag,
                               const std::vector<int64_t>& rows) {
  std::vector<uint8_t> out(rows.size() * vector_bytes(reader.settings()));
  reader.read_vectors(bag, rows, out.data());
  return out;
}

std::vector<int64_t> all_rows(int64_t count) {
  std::vector<int64_t> rows(static_cast<size_t>(count));
  std::iota(rows.begin(), rows.end(), 0);
  return rows;
}

class VectorStoreTest : public testing::TestWithParam<std::string> {};

TEST_P(VectorStoreTest, RowsComeBackAlsoSomeOfThem) {
  TempFolder temp;
  const WriterOptions options = vector_options(GetParam());
  make_vector_store(temp.path(), 8, options);
  const Reader reader(temp.path());
  EXPECT_GT(reader.num_shards(), 1);
  const uint64_t width = vector_bytes(options.settings);
  for (const auto& [id, bytes] : make_bags(8, options.settings)) {
    const int64_t bag = reader.find_bag(id);
    const int64_t count = reader.bag(bag).tile_count;
    ASSERT_EQ(count, static_cast<int64_t>(bytes.size() / width));
    EXPECT_EQ(read_rows(reader, bag, all_rows(count)), bytes);
    std::vector<int64_t> some;
    std::vector<uint8_t> expected;
    for (int64_t row = 0; row < count; ++row) {
      if (row % 5 == 1 || row % 7 == 2) continue;
      some.push_back(row);
      expected.insert(expected.end(), bytes.begin() + row * width,
                      bytes.begin() + (row + 1) * width);
    }
    EXPECT_EQ(read_rows(reader, bag, some), expected) << id;
  }
  EXPECT_TRUE(verify(temp.path(), 2).damages.empty());
}

INSTANTIATE_TEST_SUITE_P(Types, VectorStoreTest, testing::Values("float32", "float16"));

TEST(VectorStoreTest, PlacesAreKeptOrElseTheRowsNumber) {
  TempFolder temp;
  const WriterOptions options = vector_options();
  {
    Writer writer(temp.path(), options);
    append(writer, "placed", some_vectors(2, 1, options.settings), options.settings,
           {{512, 256}, {-3, 70000}});
    append(writer, "plain", some_vectors(3, 2, options.settings), options.settings);
    writer.finish();
  }
  const Reader reader(temp.path());
  EXPECT_EQ(reader.tile(0, 1).x, -3);
  EXPECT_EQ(reader.tile(0, 1).y, 70000);
  EXPECT_EQ(reader.tile(1, 2).x, 2);
  EXPECT_EQ(reader.tile(1, 2).y, 0);
}

TEST(VectorStoreTest, AFlippedBitIsNoticedWhereItIsReadAndNowhereElse) {
  TempFolder temp;
  const WriterOptions options = vector_options();
  make_vector_store(temp.path(), 4, options);
  const std::vector<uint8_t> bytes = make_bags(4, options.settings)["b3"];
  const std::vector<uint8_t> row(bytes.begin() + 30 * 4 * kWidth, bytes.begin() + 31 * 4 * kWidth);
  flip_byte(temp.path() / "shard-00000.h5",
            find_in_file(temp.path() / "shard-00000.h5", as_text(row)) + 17);
  const Reader reader(temp.path());
  EXPECT_NO_THROW(read_rows(reader, 2, all_rows(41)));
  EXPECT_NO_THROW(read_rows(reader, 3, {0, 1, 29, 31, 60}));  // a dropped vector is not read
  try {
    read_rows(reader, 3, {28, 29, 30, 31});
    FAIL() << "the flipped bit was not noticed";
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), HasSubstr("vector 30 of the bag 'b3' is damaged"));
  }
  const Verification found = verify(temp.path(), 1);
  ASSERT_EQ(found.damages.size(), 1u);
  EXPECT_EQ(found.damages[0].bag, "b3");
  EXPECT_EQ(found.damages[0].source, "/data/b3.npy");
}

TEST(VectorStoreTest, DamageIsRepairedByTheNextWriter) {
  TempFolder temp;
  const WriterOptions options = vector_options();
  make_vector_store(temp.path(), 4, options);
  const std::vector<uint8_t> bytes = make_bags(4, options.settings)["b1"];
  flip_byte(temp.path() / "shard-00000.h5",
            find_in_file(temp.path() / "shard-00000.h5", as_text(bytes)));
  {
    Writer writer(temp.path(), options);
    EXPECT_FALSE(writer.contains("b1"));
    EXPECT_TRUE(writer.contains("b3"));
  }
  make_vector_store(temp.path(), 4, options);
  EXPECT_TRUE(verify(temp.path(), 1).damages.empty());
  EXPECT_EQ(Reader(temp.path()).num_bags(), 4);
}

TEST(VectorStoreTest, AKilledWriterLosesNoFinishedBag) {
  TempFolder temp, whole;
  const WriterOptions options = vector_options();
  const pid_t child = fork();
  if (child == 0) {
    Writer writer(temp.path(), options);
    const auto bags = make_bags(6, options.settings);
    for (int i = 0; i < 5; ++i) {
      const std::string id = fmt::format("b{}", i);
      append(writer, id, bags.at(id), options.settings);
    }
    Vectors torn;
    torn.count = 20;
    torn.read = [reads = 0](int64_t, int64_t, uint8_t*) mutable {
      if (reads++ > 0) ::raise(SIGKILL);
    };
    Bag bag;
    bag.id = "b5";
    writer.append(bag, {"/data/b5.npy", 1, 1, "", {}, ""}, torn);
    ::_exit(1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status));
  {
    Writer writer(temp.path(), options);
    for (int i = 0; i < 5; ++i) EXPECT_TRUE(writer.contains(fmt::format("b{}", i))) << i;
    EXPECT_FALSE(writer.contains("b5"));
  }
  make_vector_store(temp.path(), 6, options);
  make_vector_store(whole.path(), 6, options);
  EXPECT_EQ(Reader(temp.path()).fingerprint(), Reader(whole.path()).fingerprint());
  EXPECT_TRUE(verify(temp.path(), 1).damages.empty());
}

TEST(VectorStoreTest, ASourceThatChangesMeanwhileIsNotTaken) {
  TempFolder temp;
  const WriterOptions options = vector_options();
  Writer writer(temp.path(), options);
  Vectors vectors;
  vectors.count = 3;
  vectors.read = [reads = 0](int64_t, int64_t count, uint8_t* out) mutable {
    std::memset(out, ++reads, static_cast<size_t>(count) * 4 * kWidth);
  };
  Bag bag;
  bag.id = "restless";
  EXPECT_THROW(writer.append(bag, {"restless.npy", 1, 1, "", {}, ""}, vectors), DataError);
  EXPECT_FALSE(writer.contains("restless"));
  append(writer, "calm", some_vectors(5, 3, options.settings), options.settings);
  writer.finish();
  EXPECT_EQ(Reader(temp.path()).num_bags(), 1);
  EXPECT_TRUE(verify(temp.path(), 1).damages.empty());
}

// Two nodes that share slides, some in several parts: each holds its half of every slide, in the
// order of its vectors, and both together all of them.
TEST(PortionsOfAStore, EachHoldsItsRangeOfEverySlide) {
  TempFolder temp;
  const fs::path folder = temp.path() / "store";
  const WriterOptions options = vector_options();
  make_vector_store(folder, 5, options);
  {
    Writer writer(folder, options);
    for (const int32_t part : {0, 1, 2}) {
      append(writer, "long", some_vectors(100 + 100 * part, 30 + part, options.settings),
             options.settings, {}, part);
    }
    writer.finish();
  }
  const Reader whole(folder);
  ASSERT_EQ(whole.num_bags(), 5 + 3);
  std::vector<int64_t> bags = all_rows(whole.num_bags());
  std::vector<int64_t> held(bags.size(), 0);
  std::vector<std::vector<uint8_t>> expected;
  for (const int64_t bag : bags) {
    expected.push_back(read_rows(whole, bag, all_rows(whole.bag(bag).tile_count)));
  }
  Reader readers[2] = {Reader(folder), Reader(folder)};
  std::vector<LocalCopy> copies;
  uint64_t bytes = 0;
  for (const int64_t half : {0, 1}) {
    // Ranks 0 and 1 of 4, and 2 and 3.
    LocalCopy& copy = copies.emplace_back(readers[half], temp.path() / "scratch", "home 0 of 1",
                                          bags, Portion{2 * half, 2 * half + 2, 4});
    copy.claim();
    EXPECT_NEAR(static_cast<double>(copy.bytes_missing()), static_cast<double>(copy.bytes()),
                4096.0 * 2 * static_cast<double>(bags.size()));
    EXPECT_EQ(copy.fill(2, [](uint64_t) {}).copied, copy.bytes());
    readers[half].read_from(copy.folder(), copy.ranges());
    bytes += copy.bytes();
  }
  EXPECT_NE(copies[0].folder(), copies[1].folder());
  EXPECT_EQ(bytes, (1 + 21 + 41 + 61 + 81 + 600) * vector_bytes(options.settings));
  // Of a slide as a whole the first half, by the numbers of its vectors, is with the first.
  int64_t first_half = 0;
  for (const TileRange& range : copies[0].ranges()) {
    if (whole.bag(range.bag).id == "long") first_half += range.last - range.first;
    EXPECT_EQ(whole.bag(range.bag).id == "b0", range.last == range.first && range.bag == 0);
  }
  EXPECT_EQ(first_half, 300);

  // Across the limit a slide is read from both files.
  for (const Reader& reader : readers) {
    for (const int64_t bag : bags) {
      std::vector<TilePlace> places;
      for (const int64_t row : all_rows(whole.bag(bag).tile_count)) places.push_back({bag, row});
      std::vector<uint8_t> buffer, read;
      reader.read_tiles(places, buffer, [&](size_t, std::span<const uint8_t> bytes) {
        read.insert(read.end(), bytes.begin(), bytes.end());
      });
      EXPECT_EQ(read, expected[bag]);
      EXPECT_EQ(read_rows(reader, bag, all_rows(whole.bag(bag).tile_count)), expected[bag]);
    }
  }
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() != ".h5") continue;
    for (const int64_t bag : bags) {
      if (whole.shard_name(bag) != entry.path().filename()) continue;
      for (const Tile& tile : whole.tiles(bag)) {
        flip_byte(entry.path(), whole.blob_offset(bag) + tile.offset + 7);
      }
    }
  }
  for (const int64_t half : {0, 1}) {
    for (const TileRange& range : copies[half].ranges()) {
      std::vector<int64_t> rows;
      for (int64_t row = range.first; row < range.last; ++row) rows.push_back(row);
      held[range.bag] += static_cast<int64_t>(rows.size());
      const std::vector<uint8_t> read = read_rows(readers[half], range.bag, rows);
      const uint64_t at = range.first * vector_bytes(options.settings);
      EXPECT_TRUE(std::equal(read.begin(), read.end(), expected[range.bag].begin() + at));
      // The others come from the store itself, which is damaged.
      if (range.last == whole.bag(range.bag).tile_count) continue;
      EXPECT_THROW(read_rows(readers[half], range.bag, {range.last}), DataError);
    }
  }
  for (const int64_t bag : bags) EXPECT_EQ(held[bag], whole.bag(bag).tile_count);
}

}  // namespace
}  // namespace dbps::store
