// Making stores: growth, repair, threads, and writers that are killed.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "base/error.h"
#include "store/verify.h"
#include "store_fixture.h"

namespace dbps::store {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

Pictures joined(Pictures a, const Pictures& b) {
  a.insert(b.begin(), b.end());
  return a;
}

std::string fingerprint(const fs::path& folder) { return Reader(folder).fingerprint(); }

void append_to_file(const fs::path& path, const std::string& text) {
  std::ofstream(path, std::ios::app | std::ios::binary) << text;
}

TEST(WriterTest, AStoreGrowsInNewShards) {
  TempFolder temp;
  const Pictures first = make_pictures(0, 20), second = make_pictures(20, 15);
  make_store(temp.path(), first);
  const std::vector<uint8_t> shard = read_file(temp.path() / "shard-00000.h5");
  make_store(temp.path(), second);
  expect_holds(temp.path(), joined(first, second));
  EXPECT_EQ(read_file(temp.path() / "shard-00000.h5"), shard);
}

TEST(WriterTest, NothingNewChangesNothing) {
  TempFolder temp;
  make_store(temp.path(), make_pictures(0, 20));
  const auto time = fs::last_write_time(temp.path() / "store.json");
  const std::vector<std::string> files = files_in(temp.path());
  make_store(temp.path(), make_pictures(0, 20));
  EXPECT_EQ(fs::last_write_time(temp.path() / "store.json"), time);
  EXPECT_EQ(files_in(temp.path()), files);
}

TEST(WriterTest, OtherSettingsAreRefused) {
  TempFolder temp;
  make_store(temp.path(), make_pictures(0, 5));
  WriterOptions other = small_shards();
  other.settings.codec = Codec::kPng;
  EXPECT_THROW(Writer(temp.path(), other), ConfigError);
  WriterOptions same = small_shards();
  same.shard_bytes = 1000;
  EXPECT_NO_THROW(Writer(temp.path(), same));
}

TEST(WriterTest, OtherSettingsAreRefusedForAnUnfinishedStore) {
  TempFolder temp;
  {
    Writer writer(temp.path(), small_shards());
    append_picture(writer, "a", {1, 2, 3});
  }
  WriterOptions other = small_shards();
  other.settings.quality = 50;
  EXPECT_THROW(Writer(temp.path(), other), ConfigError);
}

TEST(WriterTest, AnIdIsTakenOnce) {
  TempFolder temp;
  Writer writer(temp.path(), small_shards());
  append_picture(writer, "007", {1});
  append_picture(writer, "7", {2});
  EXPECT_THROW(append_picture(writer, "007", {3}), DataError);
  writer.finish();
  EXPECT_EQ(Reader(temp.path()).read(Reader(temp.path()).find_bag("007")), std::vector<uint8_t>{1});
}

TEST(WriterTest, TwoWritersOfOneFolderAreRefused) {
  TempFolder temp;
  Writer writer(temp.path(), small_shards());
  EXPECT_THROW(Writer(temp.path(), small_shards()), ConfigError);
}

TEST(WriterTest, FingerprintIsOfThePixelsOnly) {
  TempFolder a, b, c, d;
  Pictures pictures = make_pictures(0, 20);
  make_store(a.path(), pictures);
  WriterOptions one_shard;
  make_store(b.path(), pictures, one_shard);
  make_store(c.path(), make_pictures(10, 10), one_shard);
  make_store(c.path(), make_pictures(0, 10), one_shard);
  EXPECT_EQ(fingerprint(a.path()), fingerprint(b.path()));
  EXPECT_EQ(fingerprint(a.path()), fingerprint(c.path()));
  pictures.begin()->second[0] ^= 1;
  make_store(d.path(), pictures);
  EXPECT_NE(fingerprint(a.path()), fingerprint(d.path()));
}

TEST(WriterTest, ThreadsAppendTogether) {
  TempFolder temp, reference;
  const Pictures pictures = make_pictures(0, 80);
  std::vector<std::string> ids;
  for (const auto& [id, bytes] : pictures) ids.push_back(id);
  {
    Writer writer(temp.path(), small_shards());
    std::atomic<size_t> next{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (size_t i = next++; i < ids.size(); i = next++) {
          append_picture(writer, ids[i], pictures.at(ids[i]));
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    writer.finish();
  }
  expect_holds(temp.path(), pictures);
  make_store(reference.path(), pictures);
  EXPECT_EQ(fingerprint(temp.path()), fingerprint(reference.path()));
}

TEST(WriterTest, WritersByStrideAreFinishedByOne) {
  TempFolder temp;
  const Pictures even = make_pictures(0, 25), odd = make_pictures(25, 25);
  for (int rank = 0; rank < 2; ++rank) {
    WriterOptions options = small_shards();
    options.shard_offset = rank;
    options.shard_stride = 2;
    Writer writer(temp.path(), options);
    for (const auto& [id, bytes] : rank == 0 ? even : odd) append_picture(writer, id, bytes);
    writer.seal();
  }
  Writer(temp.path(), small_shards()).finish();
  expect_holds(temp.path(), joined(even, odd));
}

TEST(WriterTest, ATornLastLineIsDropped) {
  TempFolder temp;
  const Pictures pictures = make_pictures(0, 6);
  {
    Writer writer(temp.path(), small_shards());
    for (const auto& [id, bytes] : pictures) append_picture(writer, id, bytes);
  }
  const fs::path journal = temp.path() / "shard-00000.journal";
  const fs::path spool = temp.path() / "shard-00000.spool";
  fs::resize_file(journal, fs::file_size(journal) - 7);
  append_to_file(spool, "bytes of a bag that has no line yet");
  {
    Writer writer(temp.path(), small_shards());
    EXPECT_EQ(writer.num_bags(), 5);
    EXPECT_FALSE(writer.contains(pictures.rbegin()->first));
  }
  make_store(temp.path(), pictures);
  expect_holds(temp.path(), pictures);
}

TEST(WriterTest, AnAlteredSpooledBagIsMadeAgain) {
  TempFolder temp;
  const Pictures pictures = make_pictures(0, 6);
  {
    Writer writer(temp.path(), small_shards());
    for (const auto& [id, bytes] : pictures) append_picture(writer, id, bytes);
  }
  const auto& [id, bytes] = *std::next(pictures.begin(), 2);
  const fs::path spool = temp.path() / "shard-00000.spool";
  flip_byte(spool, find_in_file(spool, as_text(bytes)) + 5);
  {
    const Writer writer(temp.path(), small_shards());
    EXPECT_EQ(writer.num_bags(), 5);
    EXPECT_FALSE(writer.contains(id));
  }
  make_store(temp.path(), pictures);
  expect_holds(temp.path(), pictures);
}

// After a power cut the journal may have reached the disk and the bytes not, or half of either.
TEST(WriterTest, AShortSpoolAndAnAlteredLine) {
  TempFolder temp;
  const Pictures pictures = make_pictures(0, 6);
  {
    Writer writer(temp.path(), small_shards());
    for (const auto& [id, bytes] : pictures) append_picture(writer, id, bytes);
  }
  const fs::path spool = temp.path() / "shard-00000.spool";
  fs::resize_file(spool, fs::file_size(spool) - 1);
  EXPECT_EQ(Writer(temp.path(), small_shards()).num_bags(), 5);
  const fs::path journal = temp.path() / "shard-00000.journal";
  const std::string& id = std::next(pictures.begin(), 4)->first;
  flip_byte(journal, find_in_file(journal, id));
  {
    const Writer writer(temp.path(), small_shards());
    EXPECT_EQ(writer.num_bags(), 4);
    EXPECT_FALSE(writer.contains(id));
  }
  make_store(temp.path(), pictures);
  expect_holds(temp.path(), pictures);
}

TEST(WriterTest, ADamagedShardIsRepairedByIngestingAgain) {
  TempFolder temp;
  const Pictures pictures = make_pictures(0, 30);
  make_store(temp.path(), pictures);
  const std::string before = fingerprint(temp.path());
  const auto& [id, bytes] = *pictures.begin();
  const Reader reader(temp.path());
  const fs::path shard = temp.path() / reader.shard_name(reader.find_bag(id));
  flip_byte(shard, find_in_file(shard, as_text(bytes)));
  {
    Writer writer(temp.path(), small_shards());
    EXPECT_FALSE(writer.contains(id));
    EXPECT_EQ(writer.num_bags(), 29);
    append_picture(writer, id, bytes);
    writer.finish();
  }
  EXPECT_FALSE(fs::exists(shard));
  expect_holds(temp.path(), pictures);
  EXPECT_EQ(fingerprint(temp.path()), before);
  EXPECT_TRUE(verify(temp.path(), 2).damages.empty());
}

TEST(WriterTest, AMissingShardIsRepairedByIngestingAgain) {
  TempFolder temp;
  const Pictures pictures = make_pictures(0, 30);
  make_store(temp.path(), pictures);
  fs::remove(temp.path() / "shard-00001.h5");
  make_store(temp.path(), pictures);
  expect_holds(temp.path(), pictures);
}

TEST(WriterTest, ALostStoreJsonIsMadeOfTheShards) {
  TempFolder temp;
  const Pictures pictures = make_pictures(0, 30);
  make_store(temp.path(), pictures);
  const std::string before = read_text_file(temp.path() / "store.json");
  fs::remove(temp.path() / "store.json");
  Writer(temp.path(), small_shards()).finish();
  EXPECT_EQ(read_text_file(temp.path() / "store.json"), before);
}

// Appends in a child that is killed after a while; then others finish what it began.
TEST(WriterTest, KilledWhileWriting) {
  TempFolder temp;
  const Pictures pictures = make_pictures(0, 400);
  int kills = 0;
  size_t done_before = 0;
  for (int delay_us = 3000; delay_us < 60000; delay_us += 6000) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      Writer writer(temp.path(), small_shards());
      for (const auto& [id, bytes] : pictures) {
        if (writer.contains(id)) continue;
        append_picture(writer, id, bytes);
        ::usleep(200);
      }
      ::pause();
    }
    ::usleep(delay_us);
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
    ++kills;
    const Writer writer(temp.path(), small_shards());
    const auto done = static_cast<size_t>(writer.num_bags());
    EXPECT_GE(done, done_before);
    done_before = done;
  }
  EXPECT_GE(kills, 5);
  EXPECT_GT(done_before, 0u);
  Writer writer(temp.path(), small_shards());
  size_t appended = 0;
  for (const auto& [id, bytes] : pictures) {
    if (writer.contains(id)) continue;
    append_picture(writer, id, bytes);
    ++appended;
  }
  EXPECT_EQ(appended, pictures.size() - done_before);
  writer.finish();
  expect_holds(temp.path(), pictures);
  for (const std::string& name : files_in(temp.path())) {
    EXPECT_TRUE(name == "store.json" || name.ends_with(".h5")) << name;
  }
}

// A writer killed between making a shard and removing its spool.
TEST(WriterTest, SealedButNotCleanedUp) {
  TempFolder temp, copy;
  const Pictures pictures = make_pictures(0, 6);
  {
    Writer writer(temp.path(), small_shards());
    for (const auto& [id, bytes] : pictures) append_picture(writer, id, bytes);
  }
  for (const char* end : {"journal", "spool"}) {
    const std::string name = fmt::format("shard-00000.{}", end);
    fs::copy_file(temp.path() / name, copy.path() / name);
  }
  Writer(temp.path(), small_shards()).seal();
  for (const char* end : {"journal", "spool"}) {
    const std::string name = fmt::format("shard-00000.{}", end);
    fs::copy_file(copy.path() / name, temp.path() / name);
  }
  append_to_file(temp.path() / "shard-00001.h5.tmp", "half a shard");
  make_store(temp.path(), pictures);
  expect_holds(temp.path(), pictures);
  EXPECT_THAT(files_in(temp.path()), testing::ElementsAre("shard-00000.h5", "store.json"));
}

TEST(WriterTest, AFolderThatCannotBeMade) {
  TempFolder temp;
  append_to_file(temp.path() / "file", "x");
  EXPECT_THROW(Writer(temp.path() / "file" / "store", small_shards()), RuntimeFault);
}

}  // namespace
}  // namespace dbps::store
