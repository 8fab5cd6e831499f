#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <limits>
#include <random>

#include "base/error.h"
#include "base/files.h"
#include "base/safetensors.h"
#include "checkpoint/checkpoint.h"
#include "support/temp_folder.h"

namespace dbps::checkpoint {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

Snapshot make_snapshot(int64_t step) {
  Snapshot snapshot;
  snapshot.step = step;
  snapshot.model = {{"weight", at::full({2, 3}, 0.5 + static_cast<double>(step), at::kFloat)},
                    {"bias", at::arange(3, at::kDouble) / 3}};
  snapshot.optimizer = {{"weight.moment", at::full({2, 3}, static_cast<double>(step), at::kFloat)}};
  snapshot.model_metadata = {{"encoder", "tiny"}, {"tasks", "[\"digit\"]"}};
  snapshot.state = "{\"step\": " + std::to_string(step) + "}";
  return snapshot;
}

void expect_equal(const NamedTensors& got, NamedTensors want) {
  std::sort(want.begin(), want.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < want.size(); ++i) {
    EXPECT_EQ(got[i].first, want[i].first);
    const at::Tensor a = got[i].second, b = want[i].second.contiguous();
    ASSERT_EQ(a.scalar_type(), b.scalar_type()) << want[i].first;
    ASSERT_EQ(a.sizes(), b.sizes()) << want[i].first;
    if (b.nbytes() > 0) {
      EXPECT_EQ(std::memcmp(a.data_ptr(), b.data_ptr(), b.nbytes()), 0) << want[i].first;
    }
  }
}

void expect_equal(const Snapshot& got, const Snapshot& want) {
  EXPECT_EQ(got.step, want.step);
  expect_equal(got.model, want.model);
  expect_equal(got.optimizer, want.optimizer);
  EXPECT_EQ(got.model_metadata, want.model_metadata);
  EXPECT_EQ(got.state, want.state);
}

void save_now(Manager& manager, int64_t step, bool best = false) {
  manager.save(make_snapshot(step), best);
  manager.wait();
}

std::vector<std::string> everything_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

void write_raw(const fs::path& path, const std::vector<uint8_t>& content) {
  std::ofstream(path, std::ios::binary | std::ios::trunc)
      .write(reinterpret_cast<const char*>(content.data()),
             static_cast<std::streamsize>(content.size()));
}

TEST(Checkpoint, ListsWhatIsThereAndWhatIsDamaged) {
  const TempFolder run;
  Manager manager(run.path(), 3);
  EXPECT_TRUE(manager.list().empty());
  save_now(manager, 10, /*best=*/true);
  save_now(manager, 20);
  write_raw(run.path() / "checkpoints" / checkpoint_name(20) / "state.json", {'{'});

  const std::vector<Listing> listings = manager.list();
  ASSERT_EQ(listings.size(), 2u);
  EXPECT_EQ(listings[0].name, checkpoint_name(10));
  EXPECT_EQ(listings[0].damage, "");
  EXPECT_TRUE(listings[0].best);
  EXPECT_FALSE(listings[0].latest);
  EXPECT_GT(listings[0].bytes, 100u);
  EXPECT_THAT(listings[1].damage, HasSubstr("state.json"));
  EXPECT_TRUE(listings[1].latest);
}

TEST(Checkpoint, ComesBackBitForBit) {
  const TempFolder run;
  Snapshot snapshot = make_snapshot(1200);
  const float special[] = {-0.0f, std::numeric_limits<float>::denorm_min(),
                           std::numeric_limits<float>::infinity(), std::nanf("7")};
  snapshot.model = {
      {"z.special", at::tensor(at::ArrayRef<float>(special))},
      {"fp64", at::rand({3, 5}, at::kDouble)},
      {"transposed", at::rand({3, 5}).t()},
      {"channels_last", at::rand({2, 3, 4, 4}).contiguous(at::MemoryFormat::ChannelsLast)},
      {"expanded", at::rand({1, 4}).expand({3, 4})},
      {"steps", at::tensor({int64_t{1} << 62, int64_t{-3}}, at::kLong)},
      {"empty", at::empty({0, 4})},
      {"a.scalar", at::scalar_tensor(2.5, at::kDouble)},
      {"half", at::rand({3}).to(at::kHalf)},
      {"bf16", at::rand({3}).to(at::kBFloat16)},
      {"mask", at::rand({5}) > 0.5},
      {"trained", at::rand({2}).requires_grad_(true)}};
  snapshot.optimizer = {};
  Manager(run.path(), 3).save(snapshot, false);
  const std::optional<Loaded> loaded = Manager(run.path(), 3).load_latest();
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->folder, run.path() / "checkpoints" / "step-00001200");
  expect_equal(loaded->snapshot, snapshot);
  EXPECT_THAT(everything_in(loaded->folder), ElementsAre("manifest.json", "model.safetensors",
                                                         "optimizer.safetensors", "state.json"));
  EXPECT_EQ(read_text_file(run.path() / "checkpoints" / "latest"), "step-00001200\n");
  EXPECT_EQ(read_safetensors_header(loaded->folder / "model.safetensors").metadata.at("encoder"),
            "tiny");
}

TEST(Checkpoint, SaveTakesTheValuesOfItsMoment) {
  const TempFolder run;
  Manager manager(run.path(), 3);
  const Snapshot snapshot = make_snapshot(1);
  manager.save(snapshot, false);
  snapshot.model[0].second.fill_(99);
  manager.wait();
  expect_equal(manager.load("latest").snapshot, make_snapshot(1));
}

TEST(Checkpoint, KeepsTheNewestAndTheBest) {
  const TempFolder run;
  Manager manager(run.path(), 2);
  EXPECT_FALSE(manager.load_latest());
  EXPECT_THROW(manager.load("best"), DataError);
  for (int64_t step = 10; step <= 60; step += 10) save_now(manager, step, step == 20);
  EXPECT_THAT(manager.names(), ElementsAre("step-00000020", "step-00000050", "step-00000060"));
  EXPECT_EQ(manager.load("best").snapshot.step, 20);
  EXPECT_EQ(manager.load("latest").snapshot.step, 60);
  EXPECT_EQ(manager.load("step-00000050").snapshot.step, 50);
  EXPECT_THROW(manager.load("step-00000040"), ConfigError);
  EXPECT_THROW(manager.load("step-50"), ConfigError);
  EXPECT_THROW(manager.load("../secret"), ConfigError);
  save_now(manager, 70, true);
  EXPECT_THAT(manager.names(), ElementsAre("step-00000060", "step-00000070"));
  EXPECT_THAT(everything_in(run.path() / "checkpoints"),
              ElementsAre("best", "latest", "step-00000060", "step-00000070"));
}

TEST(Checkpoint, TheSameStepAgainReplacesIt) {
  const TempFolder run;
  Manager manager(run.path(), 2);
  save_now(manager, 5);
  Snapshot other = make_snapshot(5);
  other.state = "{\"best\": 0.9}";
  manager.save(other, true);
  manager.wait();
  expect_equal(manager.load("best").snapshot, other);
  EXPECT_THAT(everything_in(run.path() / "checkpoints"),
              ElementsAre("best", "latest", "step-00000005"));
}

TEST(Checkpoint, EveryFlippedByteAndEveryTruncationIsSeen) {
  const TempFolder run;
  Manager manager(run.path(), 3);
  save_now(manager, 1);
  const fs::path folder = run.path() / "checkpoints" / "step-00000001";
  for (const std::string& name : everything_in(folder)) {
    const std::vector<uint8_t> whole = read_file(folder / name);
    for (size_t i = 0; i < whole.size(); ++i) {
      std::vector<uint8_t> flipped = whole;
      flipped[i] ^= static_cast<uint8_t>(1u << (i % 8));
      write_raw(folder / name, flipped);
      ASSERT_THROW(manager.load("latest"), DataError) << name << " byte " << i;
      write_raw(folder / name, {whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(i)});
      ASSERT_THROW(manager.load("latest"), DataError) << name << " cut to " << i;
    }
    std::vector<uint8_t> longer = whole;
    longer.push_back('\n');
    write_raw(folder / name, longer);
    EXPECT_THROW(manager.load("latest"), DataError) << name;
    fs::remove(folder / name);
    EXPECT_THROW(manager.load("latest"), DataError) << name;
    write_raw(folder / name, whole);
  }
  expect_equal(manager.load("latest").snapshot, make_snapshot(1));
}

TEST(Checkpoint, ADamagedOneIsSetAsideAndTheOneBeforeUsed) {
  for (const std::string file :
       {"manifest.json", "model.safetensors", "optimizer.safetensors", "state.json"}) {
    const TempFolder run;
    Manager manager(run.path(), 3);
    save_now(manager, 1, true);
    save_now(manager, 2);
    const fs::path damaged = run.path() / "checkpoints" / "step-00000002" / file;
    std::vector<uint8_t> content = read_file(damaged);
    content[content.size() / 2] ^= 0x10;
    write_raw(damaged, content);
    try {
      manager.load("latest");
      FAIL() << file;
    } catch (const DataError& error) {
      // An altered manifest cannot be told from an altered file: the folder is named in any case.
      EXPECT_THAT(error.what(), HasSubstr(file == "manifest.json" ? damaged.parent_path().string()
                                                                  : damaged.string()));
    }
    expect_equal(manager.load_latest()->snapshot, make_snapshot(1));
    EXPECT_THAT(everything_in(run.path() / "checkpoints"),
                ElementsAre("best", "latest", "step-00000001", "step-00000002.damaged"));
    EXPECT_EQ(manager.load("latest").snapshot.step, 1);
    save_now(manager, 2);
    EXPECT_EQ(manager.load_latest()->snapshot.step, 2);
  }
}

TEST(Checkpoint, WhenNoneHoldsTheRunDoesNotStartAgainFromNothing) {
  const TempFolder run;
  Manager manager(run.path(), 3);
  for (const int64_t step : {1, 2}) {
    save_now(manager, step);
    fs::resize_file(run.path() / "checkpoints" / manager.names().back() / "state.json", 3);
  }
  EXPECT_THROW(manager.load_latest(), DataError);
  EXPECT_THROW(manager.load_latest(), DataError);
  EXPECT_EQ(manager.names().size(), 2u);
}

TEST(Checkpoint, ClearsWhatAnInterruptedWriterLeft) {
  const TempFolder run;
  const fs::path folder = run.path() / "checkpoints";
  {
    Manager manager(run.path(), 3);
    save_now(manager, 1);
    save_now(manager, 2);
  }
  fs::create_directory(folder / "step-00000003.tmp");
  write_raw(folder / "step-00000003.tmp" / "model.safetensors", {1, 2, 3});
  write_raw(folder / "latest.tmp-77", {1});
  fs::rename(folder / "step-00000002", folder / "step-00000002.replaced");
  fs::copy(folder / "step-00000001", folder / "step-00000001.replaced");
  EXPECT_EQ(Manager(run.path(), 3).load("step-00000001").snapshot.step, 1);
  EXPECT_TRUE(fs::exists(folder / "latest.tmp-77")) << "a reader changes nothing";
  EXPECT_EQ(Manager(run.path(), 3).load_latest()->snapshot.step, 2);
  EXPECT_THAT(everything_in(folder), ElementsAre("latest", "step-00000001", "step-00000002"));
}

TEST(Checkpoint, AFullDiskLeavesTheLastGoodOne) {
  const TempFolder run;
  Manager manager(run.path(), 3);
  save_now(manager, 1);
  struct rlimit before {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  struct sigaction ignore {
  }, old{};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGXFSZ, &ignore, &old);
  const struct rlimit small = {200, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  manager.save(make_snapshot(2), true);
  std::string message;
  try {
    manager.save(make_snapshot(3), false);
  } catch (const RuntimeFault& error) {
    message = error.what();
  }
  ::setrlimit(RLIMIT_FSIZE, &before);
  ::sigaction(SIGXFSZ, &old, nullptr);
  EXPECT_THAT(message, HasSubstr("step-00000002 is not saved"));
  EXPECT_THAT(message, HasSubstr("last good checkpoint is step-00000001"));
  EXPECT_THAT(everything_in(run.path() / "checkpoints"), ElementsAre("latest", "step-00000001"));
  save_now(manager, 4);
  EXPECT_EQ(manager.load("latest").snapshot.step, 4);
}

TEST(Checkpoint, ARunFolderThatVanishedIsNotMadeAnew) {
  const TempFolder folder;
  const fs::path run = folder.path() / "run";
  fs::create_directory(run);
  Manager manager(run, 3);
  save_now(manager, 1);
  EXPECT_NO_THROW(manager.check());
  EXPECT_EQ(manager.what_stands(), "the last good checkpoint is step-00000001");
  fs::rename(run, folder.path() / "away");
  manager.save(make_snapshot(2), false);
  std::string message;
  for (int i = 0; i < 10000 && message.empty(); ++i) {
    try {
      manager.check();  // which does not wait for the writer
      ::usleep(1000);
    } catch (const RuntimeFault& error) {
      message = error.what();
    }
  }
  EXPECT_THAT(message, HasSubstr("step-00000002 is not saved"));
  EXPECT_THAT(message, HasSubstr("is gone"));
  EXPECT_NO_THROW(manager.check());
  EXPECT_THAT(manager.what_stands(), HasSubstr("is gone"));
  EXPECT_FALSE(fs::exists(run));
}

TEST(Checkpoint, AFolderThatCannotBeWritten) {
  Manager manager("/proc/self/a-run", 3);  // root may write to any read-only folder but not here
  manager.save(make_snapshot(1), false);
  EXPECT_THROW(manager.wait(), RuntimeFault);
  EXPECT_NO_THROW(manager.wait());
  EXPECT_FALSE(manager.load_latest());
}

// Saves until it is killed.
[[noreturn]] void save_for_ever(const fs::path& run, int64_t step) {
  Manager manager(run, 2);
  while (true) {
    manager.save(make_snapshot(step), step % 3 == 0);
    // Every fourth step is saved twice: replacing has moments of its own.
    if (step % 4 == 0) manager.save(make_snapshot(step), false);
    ++step;
  }
}

TEST(Checkpoint, KilledAtAnyMomentTheLatestLoads) {
  const TempFolder run;
  std::mt19937 random(11);
  int64_t reached = 0;
  Manager(run.path(), 2).save(make_snapshot(reached), true);
  // On a busy machine none may be saved before the kill: then it goes on.
  for (int round = 0; round < 15 || (reached == 0 && round < 1000); ++round) {
    const pid_t child = ::fork();
    if (child == 0) save_for_ever(run.path(), reached + 1);
    ::usleep(2000 + static_cast<unsigned>(random() % 40000));
    ::kill(child, SIGKILL);
    ASSERT_EQ(::waitpid(child, nullptr, 0), child);

    Manager manager(run.path(), 2);
    const std::optional<Loaded> loaded = manager.load_latest();
    ASSERT_TRUE(loaded);
    ASSERT_GE(loaded->snapshot.step, reached);
    reached = loaded->snapshot.step;
    expect_equal(loaded->snapshot, make_snapshot(reached));
    EXPECT_NO_THROW(manager.load("best"));
    for (const std::string& name : everything_in(run.path() / "checkpoints")) {
      EXPECT_EQ(name.find('.'), std::string::npos) << name;
    }
  }
  EXPECT_GT(reached, 0);
}

}  // namespace
}  // namespace dbps::checkpoint
