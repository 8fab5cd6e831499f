// Trees and CSVs into stores.
#include "ingest/ingest.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>

#include "base/error.h"
#include "base/files.h"
#include "image/codec.h"
#include "ingest/labels.h"
#include "ingest/stored_sources.h"
#include "store/reader.h"
#include "support/temp_folder.h"

namespace dbps::ingest {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

image::Image picture(int64_t width, int64_t height, uint8_t value, int channels = 3) {
  image::Image image(width, height, channels);
  for (size_t i = 0; i < image.pixels.size(); ++i) {
    image.pixels[i] = static_cast<uint8_t>(value + i % 7);
  }
  return image;
}

void write(const fs::path& path, std::span<const uint8_t> bytes) {
  fs::create_directories(path.parent_path());
  write_file_atomic(path, bytes);
}

void write(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  write_file_atomic(path, text);
}

class IngestTest : public testing::Test {
 protected:
  void add_picture(const std::string& name, int64_t width = 20, int64_t height = 10,
                   uint8_t value = 100) {
    const image::Image image = picture(width, height, value);
    const bool jpeg = name.ends_with(".jpg");
    write(source_ / name, jpeg ? image::encode_jpeg(image) : image::encode_png(image));
  }

  Summary run(const IngestOptions& options = {}) {
    return ingest(find_sources(source_), store_, options);
  }

  std::vector<std::string> ids() const {
    const store::Reader reader(store_);
    std::vector<std::string> ids;
    for (int64_t i = 0; i < reader.num_bags(); ++i) ids.push_back(reader.bag(i).id);
    return ids;
  }

  TempFolder temp_;
  fs::path source_ = temp_.path() / "pictures";
  fs::path store_ = temp_.path() / "store";
};

TEST_F(IngestTest, ClassPerFolderKeepsTheBytes) {
  add_picture("cat/007.png", 30, 40);
  add_picture("dog/7.jpg", 50, 60);
  const Summary summary = run();
  EXPECT_EQ(summary.kept, 2);
  const store::Reader reader(store_);
  EXPECT_THAT(ids(), ElementsAre("cat/007", "dog/7"));
  EXPECT_EQ(reader.read(0), read_file(source_ / "cat/007.png"));
  EXPECT_EQ(reader.read(1), read_file(source_ / "dog/7.jpg"));
  EXPECT_EQ(reader.bag(1).width, 50);
  EXPECT_EQ(reader.bag(1).height, 60);
  EXPECT_EQ(reader.source(0).path, (source_ / "cat/007.png").string());
  EXPECT_EQ(read_text_file(labels_path(store_)), "id,label\ncat/007,cat\ndog/7,dog\n");
}

TEST_F(IngestTest, GreyKeepsGreyBytesAndConvertsColours) {
  add_picture("colour.png");
  const std::vector<uint8_t> bytes = image::encode_png(picture(20, 10, 50, 1));
  write(source_ / "grey.png", bytes);
  IngestOptions options;
  options.channels = 1;
  Summary summary = run(options);
  EXPECT_THAT(ids(), ElementsAre("grey"));
  ASSERT_EQ(summary.failed.size(), 1u);
  EXPECT_THAT(summary.failed[0].reason, HasSubstr("is RGB, not grey: --codec png or jpeg"));
  {
    const store::Reader reader(store_);
    EXPECT_EQ(reader.settings().channels, 1);
    EXPECT_EQ(reader.read(0), bytes);
  }
  EXPECT_THROW(run(), ConfigError);  // a store has one number of channels

  options.codec = store::Codec::kPng;
  fs::remove_all(store_);
  summary = run(options);
  EXPECT_EQ(summary.kept, 2);
  const store::Reader reader(store_);
  for (int64_t i = 0; i < 2; ++i) {
    EXPECT_EQ(image::probe(reader.read(i), "").mode, image::Mode::kGrey);
  }
}

TEST_F(IngestTest, SplitFoldersBecomeAColumn) {
  add_picture("train/cat/a.png");
  add_picture("val/dog/b.png");
  add_picture("test/dog/deep/c.png");
  run();
  EXPECT_EQ(read_text_file(labels_path(store_)),
            "id,label,split\ntest/dog/deep/c,dog,test\ntrain/cat/a,cat,train\n"
            "val/dog/b,dog,validation\n");
}

TEST_F(IngestTest, AFlatFolderHasNoLabels) {
  add_picture("a.png");
  write(source_ / "notes.txt", std::string("no picture"));
  add_picture(".hidden/b.png");
  run();
  EXPECT_EQ(read_text_file(labels_path(store_)), "id,label\na,\n");
}

TEST_F(IngestTest, ClashingNamesKeepTheirExtension) {
  add_picture("c/a.png");
  add_picture("c/a.jpg");
  add_picture("c/b.v2.png");
  run();
  EXPECT_THAT(ids(), ElementsAre("c/a.jpg", "c/a.png", "c/b.v2"));
}

TEST_F(IngestTest, AFileKeepsItsIdWhenAnotherOfItsStemComesOrGoes) {
  add_picture("c/a.png");
  run();
  add_picture("c/a.jpg");
  const auto run_again = [&] {
    SourceList list = find_sources(source_);
    EXPECT_THAT(match_store(list, store_, 2), IsEmpty());
    return ingest(list, store_, {});
  };
  EXPECT_EQ(run_again().skipped, 1);
  EXPECT_THAT(ids(), ElementsAre("c/a", "c/a.jpg"));
  EXPECT_EQ(run_again().kept, 0);
  fs::remove(source_ / "c/a.png");
  EXPECT_EQ(run_again().kept, 0);
  add_picture("c/a.png", 31, 10);  // another file of the old name
  EXPECT_EQ(run_again().kept, 1);
  EXPECT_THAT(ids(), ElementsAre("c/a", "c/a.jpg", "c/a.png"));
}

TEST_F(IngestTest, AReplacedFileIsNamed) {
  for (const char* name : {"a.png", "b.png", "c.png", "d.png"}) add_picture(name);
  run();
  add_picture("a.png", 30, 30);                  // another size
  add_picture("b.png", 20, 10, 90);              // another time and content
  for (const char* name : {"b.png", "c.png"}) {  // c: another time alone
    fs::last_write_time(source_ / name, fs::file_time_type::clock::now() - std::chrono::hours(2));
  }
  ASSERT_EQ(fs::file_size(source_ / "b.png"), fs::file_size(source_ / "c.png"));
  SourceList list = find_sources(source_);
  std::vector<std::string> named;
  for (const ReplacedSource& replaced : match_store(list, store_, 2)) {
    named.push_back(replaced.id);
    EXPECT_EQ(replaced.made_from, replaced.path);
  }
  EXPECT_THAT(named, ElementsAre("a", "b"));
  EXPECT_EQ(list.pictures.size(), 4u);
}

TEST_F(IngestTest, CsvNamesPicturesAndCarriesColumns) {
  add_picture("x/1.png");
  add_picture("x/2.png");
  const fs::path csv = source_ / "list.csv";
  write(csv, fmt::format("path,label,split,patient\nx/1.png,\"a, b\",train,p1\n{},c,test,p2\n",
                         fs::absolute(source_ / "x/2.png").string()));
  ingest(find_sources(csv), store_, {});
  EXPECT_THAT(ids(), ElementsAre("x/1", "x/2"));
  EXPECT_EQ(read_text_file(labels_path(store_)),
            "id,label,split,patient\nx/1,\"a, b\",train,p1\nx/2,c,test,p2\n");
}

TEST_F(IngestTest, AClashInACsvNamesBothLines) {
  const fs::path csv = source_ / "list.csv";
  write(csv, std::string("path,label\na.png,x\nb.png,y\na.jpg,z\n"));
  try {
    find_sources(csv);
    FAIL() << "a clash was taken";
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), HasSubstr("lines 2 and 4"));
    EXPECT_THAT(error.what(), HasSubstr("add a column 'id'"));
  }
  write(csv, std::string("path,id\na.png,one\nb.png,one\n"));
  EXPECT_THAT([&] { find_sources(csv); },
              testing::ThrowsMessage<DataError>(HasSubstr("'one': give each an id of its own")));
  write(csv, std::string("path,id,label\na.png,one,x\na.jpg,two,z\n"));
  EXPECT_EQ(find_sources(csv).pictures[1].id, "two");
}

TEST_F(IngestTest, BadSourcesAreNamedAndSkipped) {
  add_picture("c/good.png");
  write(source_ / "c/empty.png", std::string());
  write(source_ / "c/text.jpg", std::string("this is no JPEG"));
  std::vector<uint8_t> half = image::encode_png(picture(200, 200, 3));
  half.resize(half.size() / 2);
  write(source_ / "c/half.png", half);
  const Summary summary = run();
  EXPECT_EQ(summary.kept, 1);
  ASSERT_EQ(summary.failed.size(), 3u);
  EXPECT_EQ(summary.failed[1].path, source_ / "c/half.png");
  const CsvTable failed = read_csv(store_ / "failed.csv");
  EXPECT_EQ(failed.rows.size(), 3u);
  EXPECT_EQ(read_text_file(labels_path(store_)), "id,label\nc/good,c\n");

  for (const char* name : {"c/empty.png", "c/half.png"}) add_picture(name);
  fs::remove(source_ / "c/text.jpg");
  const Summary again = run();
  EXPECT_EQ(again.kept, 2);
  EXPECT_EQ(again.skipped, 1);
  EXPECT_FALSE(fs::exists(store_ / "failed.csv"));
}

TEST_F(IngestTest, AFolderThatCannotBeReadIsNamedAndTheOthersGoOn) {
  for (const char* name : {"a/1.png", "b/2.png", "c/3.png"}) add_picture(name);
  fs::create_directory_symlink("../..", source_ / "b" / "loop");
  std::vector<std::string> wanted = {"a/1", "b/2", "c/3"};
  fs::path unread = source_ / "b" / "loop";
  if (::geteuid() != 0) {  // root may read all
    fs::remove(unread);
    unread = source_ / "b";
    fs::permissions(unread, fs::perms::none);
    wanted.erase(wanted.begin() + 1);
  }
  const Summary summary = run();
  fs::permissions(source_ / "b", fs::perms::owner_all);
  EXPECT_EQ(ids(), wanted);
  ASSERT_EQ(summary.failed.size(), 1u);
  EXPECT_EQ(summary.failed[0].path, unread);
  const CsvTable failed = read_csv(store_ / "failed.csv");
  ASSERT_EQ(failed.rows.size(), 1u);
  EXPECT_THAT(failed.rows[0].fields[1], HasSubstr("cannot read the folder " + unread.string()));
}

TEST_F(IngestTest, NothingKeptMakesNoStore) {
  write(source_ / "a.png", std::string("nothing"));
  const Summary summary = run();
  EXPECT_EQ(summary.kept, 0);
  EXPECT_EQ(summary.failed.size(), 1u);
  EXPECT_FALSE(fs::exists(store_ / "store.json"));
  EXPECT_FALSE(fs::exists(labels_path(store_)));
}

TEST_F(IngestTest, EditedLabelsStay) {
  add_picture("cat/a.png");
  run();
  const std::string edited = "id,label,patient\ncat/a,tiger,p\n";
  write(labels_path(store_), edited);
  run();
  EXPECT_EQ(read_text_file(labels_path(store_)), edited);
  add_picture("dog/b.png");
  EXPECT_EQ(run().labels_added, 1);
  EXPECT_EQ(read_text_file(labels_path(store_)), edited + "dog/b,dog,\n");
}

TEST_F(IngestTest, OtherCodecsAndShrinking) {
  add_picture("a.png", 100, 40);
  add_picture("b.png", 30, 40);
  IngestOptions options;
  options.codec = store::Codec::kPng;
  options.longest = 50;
  run(options);
  const store::Reader reader(store_);
  EXPECT_EQ(reader.bag(0).width, 50);
  EXPECT_EQ(reader.bag(0).height, 20);
  const std::vector<uint8_t> a = reader.read(0), b = reader.read(1);
  EXPECT_EQ(image::sniff(a), image::Format::kPng);
  EXPECT_EQ(image::decode(a, "a").width, 50);
  EXPECT_EQ(image::decode(b, "b").pixels, picture(30, 40, 100).pixels);
  options.longest = 60;
  EXPECT_THROW(run(options), ConfigError);
  options.codec = store::Codec::kKeep;
  EXPECT_THROW(settings_of(options), ConfigError);
}

TEST_F(IngestTest, ModesAreCounted) {
  add_picture("rgb.png");
  write(source_ / "grey.png", image::encode_png(picture(9, 9, 1, 1)));
  const Summary summary = run();
  EXPECT_THAT(summary.modes, ElementsAre(testing::Pair("grey", 1)));
}

TEST_F(IngestTest, ExifRotationIsAppliedToTheSizeAndTheBytesStay) {
  std::vector<uint8_t> bytes = image::encode_jpeg(picture(20, 10, 5));
  const std::vector<uint8_t> exif = {0xFF, 0xE1, 0, 34, 'E', 'x', 'i', 'f', 0, 0,  'M', 'M',
                                     0,    42,   0, 0,  0,   8,   0,   1,   1, 18, 0,   3,
                                     0,    0,    0, 1,  0,   6,   0,   0,   0, 0,  0,   0};
  bytes.insert(bytes.begin() + 2, exif.begin(), exif.end());
  write(source_ / "turned.jpg", bytes);
  const Summary summary = run();
  const store::Reader reader(store_);
  EXPECT_EQ(reader.bag(0).width, 10);
  EXPECT_EQ(reader.bag(0).height, 20);
  EXPECT_EQ(reader.read(0), bytes);
  EXPECT_THAT(summary.modes, ElementsAre(testing::Pair("rotated (EXIF)", 1)));
}

TEST_F(IngestTest, JobsChangeNothingButTime) {
  for (int i = 0; i < 40; ++i) {
    add_picture(fmt::format("c{}/{:02}.png", i % 2, i), 20 + i, 30, static_cast<uint8_t>(i));
  }
  IngestOptions options;
  options.jobs = 1;
  options.shard_bytes = 3000;
  run(options);
  const std::string fingerprint = store::Reader(store_).fingerprint();
  const std::string labels = read_text_file(labels_path(store_));
  fs::remove_all(store_);
  options.jobs = 4;
  options.max_pixels = 2000;
  int64_t calls = 0;
  Progress last;
  ingest(find_sources(source_), store_, options, [&](const Progress& progress) {
    EXPECT_EQ(progress.done, ++calls);
    last = progress;
  });
  EXPECT_EQ(calls, 40);
  EXPECT_EQ(last.total, 40);
  EXPECT_EQ(last.seconds_left, 0.0);
  EXPECT_EQ(store::Reader(store_).fingerprint(), fingerprint);
  EXPECT_EQ(read_text_file(labels_path(store_)), labels);
}

TEST_F(IngestTest, KilledAndFinished) {
  for (int i = 0; i < 60; ++i) add_picture(fmt::format("c/{:02}.png", i), 60, 60, i);
  IngestOptions options;
  options.jobs = 2;
  options.shard_bytes = 4000;
  int64_t at_least = 0;
  for (const int64_t stop_at : {7, 20}) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      int64_t calls = 0;
      ingest(find_sources(source_), store_, options, [&](const Progress&) {
        if (++calls == stop_at) ::kill(::getpid(), SIGKILL);
      });
      ::_exit(0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
    at_least += stop_at;
    EXPECT_THROW(store::Reader{store_}, DataError);
  }
  const Summary summary = run(options);
  EXPECT_GE(summary.skipped, at_least);
  EXPECT_EQ(summary.kept + summary.skipped, 60);
  const std::string fingerprint = store::Reader(store_).fingerprint();
  EXPECT_EQ(ids().size(), 60u);
  EXPECT_EQ(read_csv(labels_path(store_)).rows.size(), 60u);
  fs::remove_all(store_);
  run(options);
  EXPECT_EQ(store::Reader(store_).fingerprint(), fingerprint);
}

TEST_F(IngestTest, OtherPicturesArePassedOverAndCounted) {
  add_picture("cat/a.png");
  for (const char* name : {"cat/b.bmp", "cat/c.BMP", "dog/d.webp", "notes.txt", ".hidden/e.gif"}) {
    write(source_ / name, std::string("x"));
  }
  const SourceList list = find_sources(source_);
  EXPECT_EQ(list.pictures.size(), 1u);
  EXPECT_EQ(passed_over_text(list.passed_over), "2 .bmp and 1 .webp");
  fs::remove(source_ / "cat/a.png");
  EXPECT_THAT([&] { find_sources(source_); },
              testing::ThrowsMessage<ConfigError>(HasSubstr("but 2 .bmp and 1 .webp")));
}

TEST_F(IngestTest, NoSourceIsAConfigError) {
  EXPECT_THROW(find_sources(source_), ConfigError);
  fs::create_directories(source_);
  EXPECT_THROW(find_sources(source_), ConfigError);
  write(source_ / "a.svs", std::string("x"));
  EXPECT_THROW(find_sources(source_ / "a.svs"), ConfigError);
}

}  // namespace
}  // namespace dbps::ingest
