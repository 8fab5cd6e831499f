// Reading, and what every kind of damage looks like to a reader and to verify.
#include <gmock/gmock.h>
#include <signal.h>

#include <thread>

#include "base/error.h"
#include "store/verify.h"
#include "store_fixture.h"

namespace dbps::store {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

std::string error_of_opening(const fs::path& folder) {
  try {
    const Reader reader(folder);
  } catch (const DataError& error) {
    return error.what();
  }
  return "";
}

std::vector<std::string> damaged_bags(const Verification& verification) {
  std::vector<std::string> ids;
  for (const Damage& damage : verification.damages) ids.push_back(damage.bag);
  return ids;
}

class DamageTest : public testing::Test {
 protected:
  DamageTest() : pictures_(make_pictures(0, 30)) { make_store(store_, pictures_); }

  TempFolder temp_;
  fs::path store_ = temp_.path() / "store";
  fs::path shard_ = store_ / "shard-00001.h5";
  Pictures pictures_;
};

TEST(StoreTest, ManyBagsInSeveralShardsComeBackInIdOrder) {
  TempFolder temp;
  const Pictures pictures = make_pictures(0, 60);
  make_store(temp.path(), pictures);
  expect_holds(temp.path(), pictures);
  const Reader reader(temp.path());
  EXPECT_GT(reader.num_shards(), 3);
  EXPECT_EQ(reader.find_bag("absent"), -1);
  const Verification verification = verify(temp.path(), 2);
  EXPECT_TRUE(verification.damages.empty());
  EXPECT_EQ(verification.bags, 60);
  EXPECT_EQ(verification.shards, reader.num_shards());
}

TEST_F(DamageTest, AShardThatIsCutShortWhileItIsMappedIsNamed) {
  const auto read_cut = [&] {
    const Reader reader(store_);
    fs::resize_file(shard_, 0);
    for (int64_t bag = 0; bag < reader.num_bags(); ++bag) reader.tile(bag);
  };
  EXPECT_EXIT(read_cut(), testing::ExitedWithCode(65),
              "error: .*shard-00001.h5 can no longer be read: another program cut it short");
  const auto sent_another = [&] {
    const Reader reader(temp_.path() / "again");
    { const Reader forgotten(temp_.path() / "again"); }
    ::raise(SIGBUS);
  };
  make_store(temp_.path() / "again", pictures_);
  // It goes where it went before: AddressSanitizer has a handler of its own.
#ifdef __SANITIZE_ADDRESS__
  EXPECT_EXIT(sent_another(), testing::ExitedWithCode(1), "AddressSanitizer: BUS");
#else
  EXPECT_EXIT(sent_another(), testing::KilledBySignal(SIGBUS), "^$");
#endif
}

TEST(StoreTest, NothingButShardsAndStoreJsonIsLeft) {
  TempFolder temp;
  make_store(temp.path(), make_pictures(0, 8));
  EXPECT_THAT(files_in(temp.path()), testing::ElementsAre("shard-00000.h5", "store.json"));
}

TEST(StoreTest, EmptyStore) {
  TempFolder temp;
  make_store(temp.path(), {});
  EXPECT_EQ(Reader(temp.path()).num_bags(), 0);
}

TEST(StoreTest, SlidesAndTheirPartsHaveManyTiles) {
  TempFolder temp;
  WriterOptions options;
  options.settings.kind = Kind::kTiles;
  options.settings.codec = Codec::kJpeg;
  options.settings.tile_size = 256;
  options.settings.mpp = 0.5;
  const std::vector<uint8_t> jpeg_tables = {0xFF, 0xD8, 0, 7, 0xFF, 0xD9};
  std::vector<std::vector<uint8_t>> pixels;
  for (int i = 0; i < 6; ++i) pixels.push_back(some_bytes(100 + i, i));
  {
    Writer writer(temp.path(), options);
    for (int part = 1; part >= 0; --part) {
      std::vector<EncodedTile> tiles;
      for (int i = 0; i < 3; ++i) tiles.push_back({pixels[3 * part + i], 256 * i, -1 - part});
      const Bag bag{"slide", 9000, 7000, 0, 0, 0, 1, 4.0, 0.25, part};
      writer.append(bag, {"/s.svs", 5, 6, "crc32c:0", jpeg_tables, "RGB"}, tiles);
    }
    writer.finish();
  }
  const Reader reader(temp.path());
  EXPECT_EQ(reader.settings(), options.settings);
  ASSERT_EQ(reader.num_bags(), 2);
  EXPECT_EQ(reader.find_bag("slide"), 0);
  for (int part = 0; part < 2; ++part) {
    EXPECT_EQ(reader.bag(part).part, part);
    EXPECT_EQ(reader.bag(part).level, 1);
    EXPECT_EQ(reader.bag(part).downsample, 4.0);
    EXPECT_EQ(reader.bag(part).mpp, 0.25);
    ASSERT_EQ(reader.bag(part).tile_count, 3);
    EXPECT_EQ(reader.source(part).jpeg_tables, jpeg_tables);
    EXPECT_EQ(reader.source(part).photometric, "RGB");
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(reader.read(part, i), pixels[3 * part + i]);
      EXPECT_EQ(reader.tile(part, i).x, 256 * i);
      EXPECT_EQ(reader.tile(part, i).y, -1 - part);
    }
  }
}

TEST(StoreTest, ThreadsReadTogether) {
  TempFolder temp;
  const Pictures pictures = make_pictures(0, 60);
  make_store(temp.path(), pictures);
  const Reader reader(temp.path());
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int64_t i = 0; i < 5 * reader.num_bags(); ++i) {
        const int64_t bag = (i * (2 * t + 1)) % reader.num_bags();
        if (reader.read(bag) != pictures.at(reader.bag(bag).id)) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(StoreTest, NoStoreAndAnUnfinishedOneAreToldApart) {
  TempFolder temp;
  EXPECT_THAT(error_of_opening(temp.path()), HasSubstr("is not a store"));
  {
    Writer writer(temp.path(), small_shards());
    append_picture(writer, "a", {1, 2, 3});
  }
  EXPECT_THAT(error_of_opening(temp.path()), HasSubstr("not finished"));
  EXPECT_THROW(verify(temp.path(), 1), DataError);
}

TEST_F(DamageTest, MissingShard) {
  fs::remove(shard_);
  EXPECT_THAT(error_of_opening(store_), HasSubstr("shard-00001.h5 is missing: run `dbps verify"));
  const Verification verification = verify(store_, 2);
  ASSERT_EQ(verification.damages.size(), 1u);
  EXPECT_EQ(verification.damages[0].file, "shard-00001.h5");
  EXPECT_EQ(verification.damages[0].what, "missing");
}

TEST_F(DamageTest, TruncatedShard) {
  fs::resize_file(shard_, fs::file_size(shard_) - 1);
  EXPECT_THAT(error_of_opening(store_), HasSubstr("shard-00001.h5 has"));
  EXPECT_THAT(error_of_opening(store_), HasSubstr("dbps verify"));
  EXPECT_FALSE(verify(store_, 2).damages.empty());
}

TEST_F(DamageTest, AlteredPicture) {
  const auto& [id, bytes] = *std::next(pictures_.begin(), 15);
  const Reader before(store_);
  const fs::path shard = store_ / before.shard_name(before.find_bag(id));
  flip_byte(shard, find_in_file(shard, as_text(bytes)) + 3);
  const Reader reader(store_);
  for (int64_t i = 0; i < reader.num_bags(); ++i) {
    if (reader.bag(i).id != id) {
      EXPECT_NO_THROW(reader.read(i));
      continue;
    }
    try {
      reader.read(i);
      FAIL() << "an altered picture was read";
    } catch (const DataError& error) {
      EXPECT_THAT(error.what(), HasSubstr(reader.shard_name(i)));
      EXPECT_THAT(error.what(), HasSubstr("'" + id + "'"));
      EXPECT_THAT(error.what(), HasSubstr("dbps verify"));
    }
  }
  const Verification verification = verify(store_, 2);
  EXPECT_THAT(damaged_bags(verification), testing::ElementsAre(id));
  EXPECT_EQ(verification.damages.at(0).source, "/data/" + id + ".png");
}

TEST_F(DamageTest, AlteredTables) {
  for (const char* text : {"class_1/0", "/data/class", "crc32c:0", "dbps-store", "uint8"}) {
    const uint64_t at = find_in_file(shard_, text);
    flip_byte(shard_, at);
    EXPECT_THAT(error_of_opening(store_), HasSubstr("shard-00001.h5")) << text;
    EXPECT_FALSE(verify(store_, 2).damages.empty()) << text;
    flip_byte(shard_, at);
  }
  EXPECT_EQ(error_of_opening(store_), "");
}

TEST_F(DamageTest, AnyByteIsNoticed) {
  const uint64_t size = fs::file_size(shard_);
  for (uint64_t at = 0; at < size; at += 97) {
    flip_byte(shard_, at);
    try {
      const Reader reader(store_);
      for (int64_t i = 0; i < reader.num_bags(); ++i) reader.read(i);
      ADD_FAILURE() << "byte " << at << " was altered and everything was read";
    } catch (const DataError& error) {
      EXPECT_THAT(error.what(), HasSubstr("shard-00001.h5"));
    }
    EXPECT_FALSE(verify(store_, 2).damages.empty()) << at;
    flip_byte(shard_, at);
  }
}

TEST_F(DamageTest, AlteredStoreJson) {
  const fs::path path = store_ / "store.json";
  for (const char* text : {"\"crc32c\": \"", "\"bytes\": ", "fingerprint\": \"", "quality"}) {
    const uint64_t at = find_in_file(path, text) + std::string_view(text).size() - 2;
    flip_byte(path, at);
    EXPECT_THAT(error_of_opening(store_), HasSubstr("store.json is damaged")) << text;
    EXPECT_EQ(verify(store_, 2).damages.at(0).file, "store.json") << text;
    flip_byte(path, at);
  }
  EXPECT_EQ(error_of_opening(store_), "");
}

TEST_F(DamageTest, AShardOfAnotherStore) {
  TempFolder other;
  make_store(other.path(), make_pictures(100, 30));
  fs::copy_file(other.path() / "shard-00001.h5", shard_, fs::copy_options::overwrite_existing);
  EXPECT_NE(error_of_opening(store_), "");
  EXPECT_FALSE(verify(store_, 2).damages.empty());
}

}  // namespace
}  // namespace dbps::store
