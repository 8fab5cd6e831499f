// Copies of some bags on a local disk: what they hold, and how copying ends and goes on.
#include "store/local_copy.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>

#include "base/error.h"
#include "store/scratch.h"
#include "store_fixture.h"

namespace dbps::store {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

constexpr size_t kPicture = 3 << 20;

const auto kGoOn = [](uint64_t) {};

// Twelve pictures of some megabytes in three shards; every second one is of the share.
class LocalCopyTest : public testing::Test {
 protected:
  LocalCopyTest() {
    for (int i = 0; i < 12; ++i) {
      pictures_[fmt::format("{:02}", i)] = some_bytes(kPicture + i, static_cast<uint32_t>(i));
    }
    WriterOptions options;
    options.shard_bytes = 4 * kPicture + 100000;
    make_store(store_, pictures_, options);
    fs::create_directory(scratch_);
  }

  LocalCopy make_copy(const Reader& reader) const {
    LocalCopy copy(reader, scratch_, "home 0 of 2", share_);
    copy.claim();
    return copy;
  }
  void damage_store() const {
    for (const auto& [id, bytes] : pictures_) {
      for (const auto& entry : fs::directory_iterator(store_)) {
        const size_t at = read_text_file(entry.path()).find(as_text(bytes).substr(0, 64));
        if (at != std::string::npos) flip_byte(entry.path(), at + 100);
      }
    }
  }
  static uint64_t on_disk(const fs::path& folder) {
    uint64_t bytes = 0;
    for (const auto& entry : fs::directory_iterator(folder)) {
      struct stat status {};
      EXPECT_EQ(::stat(entry.path().c_str(), &status), 0);
      bytes += static_cast<uint64_t>(status.st_blocks) * 512;
    }
    return bytes;
  }

  TempFolder temp_;
  const fs::path store_ = temp_.path() / "store";
  const fs::path scratch_ = temp_.path() / "scratch";
  const std::vector<int64_t> share_ = {0, 2, 4, 6, 8, 10};
  Pictures pictures_;
};

TEST_F(LocalCopyTest, HoldsItsShareAndNothingElse) {
  Reader reader(store_);
  ASSERT_GE(reader.num_shards(), 3);
  LocalCopy copy = make_copy(reader);
  EXPECT_NEAR(static_cast<double>(copy.bytes_missing()), 6.0 * kPicture, 6 * 8192);
  copy.reserve();
  EXPECT_LT(copy.bytes_missing(), 8192u);
  const LocalCopy::Filled filled = copy.fill(2, kGoOn);
  EXPECT_EQ(filled.copied, copy.bytes());
  EXPECT_EQ(filled.kept, 0u);
  EXPECT_NEAR(static_cast<double>(on_disk(copy.folder())), 6.0 * kPicture, 200000);
  size_t looked_at = 0;
  for (const auto& entry : fs::directory_iterator(copy.folder())) {
    if (entry.path().extension() != ".h5") continue;
    EXPECT_EQ(fs::file_size(entry.path()), fs::file_size(store_ / entry.path().filename()));
    const std::string ours = read_text_file(entry.path());
    const std::string theirs = read_text_file(store_ / entry.path().filename());
    for (int64_t bag = 0; bag < reader.num_bags(); ++bag) {
      const size_t at = theirs.find(as_text(pictures_[reader.bag(bag).id]));
      if (at == std::string::npos) continue;
      ++looked_at;
      // A block may belong to two pictures.
      const std::string held = ours.substr(at + 8192, kPicture - 16384);
      const bool wanted = std::find(share_.begin(), share_.end(), bag) != share_.end();
      EXPECT_EQ(held, wanted ? theirs.substr(at + 8192, kPicture - 16384)
                             : std::string(kPicture - 16384, '\0'));
    }
  }
  EXPECT_EQ(looked_at, 12u);
}

TEST_F(LocalCopyTest, IsReadInTheStoresStead) {
  Reader reader(store_);
  LocalCopy copy = make_copy(reader);
  copy.fill(1, kGoOn);
  reader.read_from(copy.folder(), copy.ranges());
  damage_store();
  for (int64_t bag = 0; bag < reader.num_bags(); ++bag) {
    EXPECT_EQ(reader.reads_copy(bag), bag % 2 == 0);
    if (bag % 2 == 0) {
      EXPECT_EQ(reader.read(bag), pictures_[reader.bag(bag).id]);
    } else {
      EXPECT_THROW(reader.read(bag), DataError);
    }
  }
  const std::string file = (copy.folder() / reader.shard_name(0)).string();
  flip_byte(file, find_in_file(file, as_text(pictures_["00"])) + 5);
  try {
    reader.read(0);
    FAIL() << "a damaged copy was read";
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr(file), HasSubstr("remove"), HasSubstr("'00'")));
  }
}

// What ends a copy in the middle, here in the second shard, leaves what the next one goes on with,
// and only what is right.
TEST_F(LocalCopyTest, GoesOnWhereItWasEnded) {
  const Reader reader(store_);
  {
    LocalCopy copy = make_copy(reader);
    copy.reserve();
    uint64_t seen = 0;
    EXPECT_THROW(copy.fill(1,
                           [&](uint64_t bytes) {
                             seen += bytes;
                             if (seen > 4 * kPicture) throw RuntimeFault("ended");
                           }),
                 RuntimeFault);
  }
  LocalCopy copy = make_copy(reader);
  const std::string file = (copy.folder() / reader.shard_name(4)).string();
  flip_byte(file, find_in_file(file, as_text(pictures_["04"])) + 5);
  std::atomic<uint64_t> told{0};
  const LocalCopy::Filled filled = copy.fill(2, [&](uint64_t bytes) { told += bytes; });
  // The first shard's two, and the one after that which was damaged since.
  EXPECT_EQ(filled.kept, pictures_["00"].size() + pictures_["02"].size() + pictures_["06"].size());
  EXPECT_EQ(filled.kept + filled.copied, copy.bytes());
  EXPECT_EQ(told, copy.bytes());
  Reader again(store_);
  again.read_from(copy.folder(), copy.ranges());
  damage_store();
  for (const int64_t bag : share_) EXPECT_EQ(again.read(bag), pictures_[again.bag(bag).id]);
  const LocalCopy::Filled nothing = copy.fill(2, kGoOn);
  EXPECT_EQ(nothing.copied, 0u);
  EXPECT_EQ(nothing.kept, copy.bytes());
}

TEST_F(LocalCopyTest, TakesOnMoreBags) {
  const Reader reader(store_);
  make_copy(reader).fill(1, kGoOn);
  LocalCopy more(reader, scratch_, "home 0 of 2", {1, 2, 3});
  more.claim();
  EXPECT_NEAR(static_cast<double>(more.bytes_missing()), 2.0 * kPicture, 50000);
  const LocalCopy::Filled filled = more.fill(1, kGoOn);
  EXPECT_EQ(filled.copied, pictures_["01"].size() + pictures_["03"].size());
  EXPECT_EQ(filled.kept, pictures_["02"].size());
  EXPECT_EQ(make_copy(reader).fill(1, kGoOn).copied, 0u);
}

TEST_F(LocalCopyTest, ADamagedStoreIsNotCopied) {
  const Reader reader(store_);
  damage_store();
  LocalCopy copy = make_copy(reader);
  try {
    copy.fill(1, kGoOn);
    FAIL() << "a damaged store was copied";
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr((store_ / reader.shard_name(0)).string()),
                                    HasSubstr("'00'"), HasSubstr("dbps verify")));
  }
}

TEST_F(LocalCopyTest, AnotherStoreAndAnotherShareLieApart) {
  const Reader reader(store_);
  const fs::path moved = temp_.path() / "moved";
  fs::copy(store_, moved);
  const fs::path other = temp_.path() / "other";
  make_store(other, make_pictures(0, 3));
  const auto folder = [&](const Reader& of, const std::string& share) {
    return LocalCopy(of, scratch_, share, {}).folder();
  };
  EXPECT_EQ(folder(reader, "home 0 of 2"), folder(Reader(moved), "home 0 of 2"));
  EXPECT_NE(folder(reader, "home 0 of 2"), folder(reader, "home 1 of 2"));
  EXPECT_NE(folder(reader, "home 0 of 2"), folder(Reader(other), "home 0 of 2"));
}

TEST_F(LocalCopyTest, AScratchThatIsTooSmallIsRefusedWithBothFigures) {
  const Scratch scratch(scratch_, "somewhere: data.stage_dir = /x");
  scratch.check_room(1);
  try {
    scratch.check_room(uint64_t{1} << 60);
    FAIL() << "an exabyte is free";
  } catch (const RuntimeFault& fault) {
    EXPECT_THAT(fault.what(), AllOf(HasSubstr("somewhere: data.stage_dir = /x"),
                                    HasSubstr("1152.9 PB"), HasSubstr("free")));
  }
}

}  // namespace
}  // namespace dbps::store
