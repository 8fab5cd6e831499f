#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>

#include "base/crc32c.h"
#include "base/csv.h"
#include "base/error.h"
#include "base/files.h"
#include "base/parallel.h"
#include "base/random.h"
#include "base/safetensors.h"
#include "base/split_csv.h"
#include "base/text.h"
#include "support/temp_folder.h"

namespace dbps {
namespace {

TEST(Crc32c, KnownVectors) {
  EXPECT_EQ(crc32c("123456789", 9), 0xE3069283u);
  const std::vector<uint8_t> zeros(32, 0);  // RFC 3720, B.4
  EXPECT_EQ(crc32c(zeros.data(), zeros.size()), 0x8A9136AAu);
  const std::vector<uint8_t> ones(32, 0xFF);
  EXPECT_EQ(crc32c(ones.data(), ones.size()), 0x62A8AB43u);
  EXPECT_EQ(crc32c("", 0), 0u);
}

TEST(Crc32c, GoesOnFromAnEarlierResult) {
  EXPECT_EQ(crc32c("6789", 4, crc32c("12345", 5)), crc32c("123456789", 9));
}

TEST(Random, SameStreamSameNumbersWhateverWasDrawnElsewhere) {
  RandomStream a(7, Purpose::kDrop, 3, 11);
  RandomStream other(7, Purpose::kDrop, 3, 12);
  other.next_u64();
  RandomStream b(7, Purpose::kDrop, 3, 11);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(a.next_u64(), b.next_u64());
}

TEST(Random, EveryPartOfTheNameMatters) {
  std::set<uint64_t> first;
  for (const uint64_t seed : {1, 2}) {
    for (const Purpose purpose : {Purpose::kDrop, Purpose::kShuffle}) {
      for (const uint64_t epoch : {0, 1}) {
        for (const uint64_t sample : {0, 1}) {
          first.insert(RandomStream(seed, purpose, epoch, sample).next_u64());
        }
      }
    }
  }
  EXPECT_EQ(first.size(), 16u);
}

TEST(Random, ChooseIsUniform) {
  std::vector<int> counts(10, 0);
  for (uint64_t sample = 0; sample < 20000; ++sample) {
    for (const int64_t i : RandomStream(1, Purpose::kDrop, 0, sample).choose(10, 3)) ++counts[i];
  }
  for (const int count : counts) EXPECT_NEAR(count, 6000, 5 * std::sqrt(20000 * 0.3 * 0.7));
}

TEST(Random, NormalHasItsMoments) {
  RandomStream stream(5, Purpose::kInitialize);
  double sum = 0;
  double squares = 0;
  const int n = 100000;
  for (int i = 0; i < n; ++i) {
    const double x = stream.normal();
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / n, 0.0, 0.02);
  EXPECT_NEAR(squares / n, 1.0, 0.03);
}

TEST(Csv, QuotesLineEndsAndShortRows) {
  const CsvTable table = parse_csv(
      "\xEF\xBB\xBFid,label,note\r\n007,\"a,b\",\"say \"\"hi\"\"\"\r\n\r\n8,x\r\n", "t.csv");
  ASSERT_EQ(table.rows.size(), 2u);
  EXPECT_EQ(table.rows[0].fields, (std::vector<std::string>{"007", "a,b", "say \"hi\""}));
  EXPECT_EQ(table.rows[1].fields, (std::vector<std::string>{"8", "x", ""}));
  EXPECT_EQ(table.rows[1].line, 4);
  EXPECT_EQ(csv_line(table.rows[0].fields), "007,\"a,b\",\"say \"\"hi\"\"\"\n");
}

TEST(Csv, NamesFileAndLine) {
  try {
    parse_csv("id,label\n1,2,3\n", "bad.csv");
    FAIL();
  } catch (const DataError& error) {
    EXPECT_NE(std::string(error.what()).find("bad.csv:2"), std::string::npos);
  }
  EXPECT_THROW(parse_csv("id\n\"open", "bad.csv"), DataError);
  EXPECT_THROW(parse_csv("id,id\n", "bad.csv"), DataError);
}

// "id=split@line" of each row.
std::vector<std::string> splits_of(const std::string& text) {
  TempFolder folder;
  write_file_atomic(folder.path() / "split.csv", std::string_view(text));
  const CsvTable table = read_split_csv(folder.path() / "split.csv");
  const size_t id = table.find_column("id").value();
  const size_t split = table.find_column("split").value();
  std::vector<std::string> rows;
  for (const CsvRow& row : table.rows) {
    rows.push_back(row.fields[id] + "=" + row.fields[split] + "@" + std::to_string(row.line));
  }
  return rows;
}

using Rows = std::vector<std::string>;

TEST(SplitCsv, ColumnsOfIdsPaddedWithBlanks) {
  const Rows expected = {"007=train@2", "b=val@2",  "c=test@2",
                         "d=train@3",   "e=test@3", "f=train@4"};
  EXPECT_EQ(splits_of(",train,val,test\n0,007,b,c\n1,d,,e\n2,f,,\n"), expected);
  EXPECT_EQ(splits_of("train,val,test\n007,b,c\nd, ,e\nf\n"), expected);
  EXPECT_EQ(splits_of(",train,train_label,val,val_label,test,test_label\n0,007,0,b,0.0,c,1.0\n"
                      "1,d,1,,,e,0.0\n2,f,1,,,,\n"),
            expected);
}

TEST(SplitCsv, TruthsOfOneSplitEach) {
  const Rows expected = {"007=train@2", "b=val@3", "c=test@4"};
  EXPECT_EQ(splits_of(",train,val,test\n007,True,False,False\nb,False,True,False\n"
                      "c,FALSE,FALSE,TRUE\n"),
            expected);
  EXPECT_THROW(splits_of(",train,val,test\n007,True,True,False\n"), DataError);
  EXPECT_THROW(splits_of(",train,val,test\n007,False,False,False\n"), DataError);
  EXPECT_THROW(splits_of("train,val,test\nTrue,False,False\n"), DataError);
}

TEST(SplitCsv, OurOwnColumnsAreLeftAlone) {
  EXPECT_EQ(splits_of("id,split,train,test\na,test,x,y\n"), Rows{"a=test@2"});
}

TEST(Files, AtomicWriteReplacesAndLeavesNothingElse) {
  const TempFolder folder;
  const auto path = folder.path() / "a.txt";
  write_file_atomic(path, std::string_view("one"));
  write_file_atomic(path, std::string_view("two"));
  EXPECT_EQ(read_text_file(path), "two");
  int files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    ++files;
  }
  EXPECT_EQ(files, 1);
  EXPECT_THROW(write_file_atomic(folder.path() / "none" / "b", std::string_view("x")),
               RuntimeFault);
  EXPECT_THROW(read_file(folder.path() / "missing"), DataError);
  EXPECT_NO_THROW(check_folder_of(path));
  EXPECT_THROW(check_folder_of(folder.path() / "none" / "b"), ConfigError);
  EXPECT_THROW(check_folder_of(folder.path()), ConfigError);
}

TEST(Parallel, VisitsAllOnceAndPassesOnTheFailure) {
  std::vector<std::atomic<int>> seen(1000);
  parallel_for(1000, 4, [&](int64_t i) { ++seen[i]; });
  for (const auto& count : seen) EXPECT_EQ(count, 1);
  EXPECT_THROW(parallel_for(100, 3,
                            [](int64_t i) {
                              if (i == 50) throw DataError("x");
                            }),
               DataError);
}

TEST(Text, Nearest) {
  EXPECT_EQ(nearest("learning_rat", {"learning_rate", "weight_decay"}), "learning_rate");
  EXPECT_EQ(nearest("zzz", {"learning_rate", "weight_decay"}), "");
  EXPECT_EQ(join_words({"a", "b", "c"}), "a, b and c");
  EXPECT_EQ(join_words({"a", "b", "c"}, 2), "a, b and 1 more");
  EXPECT_EQ(counted(1, "picture"), "1 picture");
  EXPECT_EQ(counted(0, "picture"), "0 pictures");
  EXPECT_EQ(counted(2, "patch", "patches"), "2 patches");
}

TEST(Safetensors, RoundTripAndRefusals) {
  const TempFolder folder;
  const auto path = folder.path() / "w.safetensors";
  const std::vector<float> values = {1, 2, 3, 4, 5, 6};
  const std::span<const uint8_t> bytes(reinterpret_cast<const uint8_t*>(values.data()), 24);
  write_safetensors(path, {{"w", "F32", {2, 3}, bytes}, {"empty", "F32", {0}, {}}}, {{"k", "v"}});
  const SafetensorsHeader header = read_safetensors_header(path);
  EXPECT_EQ(header.metadata.at("k"), "v");
  EXPECT_EQ(header.entries.at("w").shape, (std::vector<int64_t>{2, 3}));
  const std::vector<uint8_t> file = read_file(path);
  EXPECT_EQ(0, std::memcmp(file.data() + header.entries.at("w").begin, values.data(), 24));

  for (size_t size = 0; size < file.size(); ++size) {  // every truncation is refused
    write_file_atomic(path, std::span<const uint8_t>(file.data(), size));
    EXPECT_THROW(read_safetensors_header(path), DataError) << size;
  }
  EXPECT_EQ(header.metadata.size(), 1u) << "the checksum is no metadata of the caller's";
  for (size_t i = 0; i < file.size(); ++i) {  // every flipped byte is seen, or says nothing
    std::vector<uint8_t> flipped = file;
    flipped[i] ^= 1;
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(flipped.data()),
               static_cast<std::streamsize>(flipped.size()));
    try {
      const SafetensorsHeader read = read_safetensors_header(path);
      check_safetensors(path);
      EXPECT_EQ(read.metadata.at("k"), "v") << i;
      EXPECT_LT(i, 40u) << "only the words around the checksum may go unseen";
    } catch (const DataError& error) {
      const std::string line = error.what();
      EXPECT_NE(line.find(path.string()), std::string::npos) << i << ": " << line;
    }
  }
}

}  // namespace
}  // namespace dbps
