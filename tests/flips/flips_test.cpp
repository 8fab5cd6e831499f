// Random flips and truncations of what is read back: stores, checkpoints, weights, configurations.
// Each is refused in one line that names the file, with the right exit code, or read as it was.
//
// DBPS_FLIPS says how many (100). A configuration has no checksum: altered, it may be another one.
#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "checkpoint/checkpoint.h"
#include "config/config.h"
#include "model/weights.h"
#include "store/reader.h"
#include "store/writer.h"
#include "support/temp_folder.h"

namespace dbps {
namespace {

namespace fs = std::filesystem;

std::string bytes_of(const at::Tensor& tensor) {
  const at::Tensor whole = tensor.contiguous();
  return {static_cast<const char*>(whole.data_ptr()), whole.nbytes()};
}

// What is altered, and all that is in it.
struct Subject {
  std::string name;
  std::vector<std::string> files;  // in the folder that make() fills
  std::function<void(const fs::path&)> make;
  std::function<std::string(const fs::path&)> content;
  bool has_checksums = true;
};

void make_store(const fs::path& folder) {
  store::WriterOptions options;
  options.settings.codec = store::Codec::kPng;
  store::Writer writer(folder, options);
  for (const std::string id : {"a", "b", "c"}) {
    store::Bag bag;
    bag.id = id;
    bag.width = bag.height = 10;
    const std::vector<uint8_t> bytes(300, static_cast<uint8_t>(id[0]));
    writer.append(bag, {id + ".png", bytes.size(), 1, "crc32c:00000001", {}, ""}, bytes);
  }
  writer.finish();
}

std::string content_of_store(const fs::path& folder) {
  const store::Reader reader(folder);
  std::string content = reader.fingerprint();
  for (int64_t bag = 0; bag < reader.num_bags(); ++bag) {
    const std::vector<uint8_t> bytes = reader.read(bag);
    content += fmt::format("\n{} {} {} {} ", reader.bag(bag).id, reader.bag(bag).width,
                           reader.source(bag).path, reader.source(bag).hash);
    content.append(bytes.begin(), bytes.end());
  }
  return content;
}

void make_checkpoints(const fs::path& folder) {
  checkpoint::Manager manager(folder, 3);
  for (int64_t step = 1; step <= 2; ++step) {
    checkpoint::Snapshot snapshot;
    snapshot.step = step;
    snapshot.model = {{"weight", at::full({20, 10}, static_cast<double>(step))}};
    snapshot.optimizer = {{"weight.moment", at::full({20, 10}, 0.5)}};
    snapshot.model_metadata = {{"encoder", "tiny"}};
    snapshot.state = fmt::format("{{\"step\": {}}}", step);
    manager.save(snapshot, /*best=*/step == 1);
  }
  manager.wait();
}

std::string content_of_checkpoint(const checkpoint::Snapshot& snapshot) {
  std::string content = fmt::format("{} {}", snapshot.step, snapshot.state);
  for (const auto& [name, tensor] : snapshot.model) content += name + bytes_of(tensor);
  for (const auto& [name, tensor] : snapshot.optimizer) content += name + bytes_of(tensor);
  for (const auto& [key, value] : snapshot.model_metadata) content += key + value;
  return content;
}

std::string content_of_weights(const fs::path& path) {
  std::string content;
  for (const auto& [name, tensor] : model::read_weights(path).tensors) {
    content += fmt::format("{} {} ", name, c10::toString(tensor.scalar_type())) + bytes_of(tensor);
  }
  return content;
}

std::vector<Subject> subjects() {
  const std::vector<std::string> of_checkpoint = {"checkpoints/step-00000002/model.safetensors",
                                                  "checkpoints/step-00000002/optimizer.safetensors",
                                                  "checkpoints/step-00000002/state.json",
                                                  "checkpoints/step-00000002/manifest.json"};
  const auto newest = [](const fs::path& folder) {
    return content_of_checkpoint(
        checkpoint::Manager(folder, 3).load(checkpoint::checkpoint_name(2)).snapshot);
  };
  const auto copy = [](const fs::path& from) {
    return [from](const fs::path& folder) { fs::copy(from, folder / from.filename()); };
  };
  const fs::path golden = fs::path(DBPS_TEST_DATA) / "model" / "golden";
  const fs::path configs = fs::path(DBPS_TEST_DATA).parent_path() / "configs";
  return {{"shard", {"shard-00000.h5"}, make_store, content_of_store},
          {"store.json", {"store.json"}, make_store, content_of_store},
          {"checkpoint", of_checkpoint, make_checkpoints, newest},
          {"safetensors",
           {"w.safetensors"},
           [](const fs::path& folder) {
             model::write_weights(folder / "w.safetensors",
                                  {{"encoder.weight", at::full({9, 9}, 0.25)},
                                   {"encoder.bias", at::full({9}, -1.5, at::kDouble)}},
                                  {{"tasks", "[\"digit\"]"}});
           },
           [](const fs::path& folder) { return content_of_weights(folder / "w.safetensors"); }},
          {"pth",
           {"wrapped.pth"},
           copy(golden / "wrapped.pth"),
           [](const fs::path& folder) { return content_of_weights(folder / "wrapped.pth"); }},
          {"configuration",
           {"megapixel_mnist.toml"},
           copy(configs / "megapixel_mnist.toml"),
           [](const fs::path& folder) {
             return config::to_toml(config::load(folder / "megapixel_mnist.toml", {}), false);
           },
           /*has_checksums=*/false}};
}

// One bit, some bytes, or the file's end.
std::string alter(std::vector<uint8_t>& bytes, std::mt19937& random) {
  const size_t at = random() % bytes.size();
  switch (random() % 4) {
    case 0:
      bytes.resize(at);
      return fmt::format("cut to {}", at);
    case 1: {
      const size_t end = std::min(bytes.size(), at + 1 + random() % 16);
      for (size_t i = at; i < end; ++i) bytes[i] = static_cast<uint8_t>(random());
      return fmt::format("bytes {} to {}", at, end);
    }
    default:
      bytes[at] ^= static_cast<uint8_t>(1u << (random() % 8));
      return fmt::format("a bit of byte {}", at);
  }
}

// "refused", "the same" or "another"; adds a failure for any other end.
std::string outcome(const Subject& subject, const fs::path& folder, const std::string& content) {
  try {
    return subject.content(folder) == content ? "the same" : "another";
  } catch (const Error& error) {
    const std::string line = error.what();
    const bool right =
        error.code() == (subject.has_checksums ? ExitCode::kBadData : ExitCode::kConfiguration);
    EXPECT_TRUE(right) << line;
    EXPECT_EQ(line.find('\n'), std::string::npos) << line;
    EXPECT_NE(line.find(subject.has_checksums ? folder.string() : subject.files[0]),
              std::string::npos)
        << line;
    return "refused";
  } catch (const std::exception& error) {
    ADD_FAILURE() << "not foreseen: " << error.what();
    return "not foreseen";
  }
}

int how_many() {
  const char* value = std::getenv("DBPS_FLIPS");
  return value == nullptr ? 100 : std::atoi(value);
}

TEST(Flips, AreRefusedOrHarmless) {
  std::mt19937 random(20);
  std::map<std::string, int> counts;
  const std::vector<Subject> all = subjects();
  const int each = (how_many() + static_cast<int>(all.size()) - 1) / static_cast<int>(all.size());
  for (const Subject& subject : all) {
    const TempFolder folder;
    subject.make(folder.path());
    const std::string content = subject.content(folder.path());
    for (int i = 0; i < each; ++i) {
      const fs::path file = folder.path() / subject.files[random() % subject.files.size()];
      const std::vector<uint8_t> whole = read_file(file);
      std::vector<uint8_t> altered = whole;
      const std::string how = alter(altered, random);
      SCOPED_TRACE(fmt::format("{}: {}", file.filename().string(), how));
      std::ofstream(file, std::ios::binary)
          .write(reinterpret_cast<const char*>(altered.data()),
                 static_cast<std::streamsize>(altered.size()));
      const std::string end = outcome(subject, folder.path(), content);
      EXPECT_FALSE(subject.has_checksums && end == "another");
      ++counts[subject.name + " " + end];
      std::ofstream(file, std::ios::binary)
          .write(reinterpret_cast<const char*>(whole.data()),
                 static_cast<std::streamsize>(whole.size()));
    }
    EXPECT_GT(counts[subject.name + " refused"], each / 4);
    EXPECT_EQ(subject.content(folder.path()), content);
  }
  for (const auto& [what, count] : counts) fmt::print("{}: {}\n", what, count);
}

// A resumed run takes the newest that is whole: the altered one as it was, or the one before.
TEST(Flips, AResumedRunTakesAWholeCheckpoint) {
  std::mt19937 random(21);
  const TempFolder made;
  make_checkpoints(made.path());
  std::vector<std::string> contents;
  for (int64_t step = 1; step <= 2; ++step) {
    contents.push_back(content_of_checkpoint(
        checkpoint::Manager(made.path(), 3).load(checkpoint::checkpoint_name(step)).snapshot));
  }
  int before = 0;
  for (int i = 0; i < how_many() / 10; ++i) {
    const TempFolder folder;
    fs::copy(made.path(), folder.path(), fs::copy_options::recursive);
    const std::vector<std::string> files = subjects()[2].files;
    const fs::path file = folder.path() / files[random() % files.size()];
    std::vector<uint8_t> altered = read_file(file);
    SCOPED_TRACE(fmt::format("{}: {}", file.filename().string(), alter(altered, random)));
    write_file_atomic(file, altered);
    const auto loaded = checkpoint::Manager(folder.path(), 3).load_latest();
    ASSERT_TRUE(loaded);
    EXPECT_EQ(content_of_checkpoint(loaded->snapshot), contents.at(loaded->snapshot.step - 1));
    before += loaded->snapshot.step == 1;
  }
  EXPECT_GT(before, 0);
}

}  // namespace
}  // namespace dbps
