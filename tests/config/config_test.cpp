#include <gmock/gmock.h>

#include <fstream>

#include "base/files.h"
#include "base/random.h"
#include "config/minimal.h"
#include "config/value.h"
#include "support/temp_folder.h"
#include "support/test_data.h"

namespace dbps::config {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

TEST(Parse, NamesFileLineAndNearestKey) {
  EXPECT_EQ(refused_text("[data]\n\nheigth = 3\n"),
            "some/run.toml:3: unknown key data.heigth; did you mean data.height?");
  EXPECT_EQ(refused_text("\n[dta]\n"),
            "some/run.toml:2: unknown table [dta]; did you mean [data]?");
  EXPECT_EQ(refused_text("[data]\nsalient = 3\n"),
            "some/run.toml:2: unknown key data.salient; did you mean selection.salient?");
  EXPECT_EQ(refused_text("height = 3\n"),
            "some/run.toml:1: unknown key height; did you mean data.height?");
  EXPECT_EQ(refused_text("data = 3\n"), "some/run.toml:1: data must be a table [data]");
  EXPECT_EQ(refused_text("[[task]]\nname = \"a\"\nweigt = 1\n"),
            "some/run.toml:3: unknown key task.a.weigt; did you mean task.a.weight?");
  EXPECT_EQ(refused_text("[[task]]\nkind = \"binary\"\n"), "some/run.toml:1: task.name is missing");
  EXPECT_THAT(refused_text("[task]\nname = \"a\"\n"), HasSubstr("[[task]]"));
  EXPECT_THAT(refused_text("[selection.dbps]\nx = 1\n"),
              StartsWith("some/run.toml:1: unknown table [selection.dbps]"));
}

TEST(Parse, NamesTheAllowedRange) {
  EXPECT_EQ(refused_text("[drop]\nratio = 1.0\n"),
            "some/run.toml:2: drop.ratio = 1.0: must be a decimal number from 0 to below 1");
  EXPECT_EQ(refused_text("[data]\nheight = \"big\"\n"),
            "some/run.toml:2: data.height = \"big\": must be a whole number from 0 to 1000000");
  EXPECT_EQ(refused_text("data = { labels = \"\u00e9\u00e8.csv\", height = -1_0 }\n").substr(0, 35),
            "some/run.toml:1: data.height = -1_0");
  EXPECT_EQ(refused_text("[data]\nheight = {a = 1}\n"),
            "some/run.toml:2: data.height = a table: must be a whole number from 0 to 1000000");
  EXPECT_EQ(refused_text("[selection]\nranking = \"globl\"\n"),
            "some/run.toml:2: selection.ranking = \"globl\": must be one of \"upstream\", "
            "\"joint\", \"global\"; did you mean \"global\"?");
}

TEST(Parse, SyntaxErrorsNameTheLine) {
  EXPECT_THAT(refused_text("[data]\nheight = \n"), StartsWith("some/run.toml:2: "));
  EXPECT_THAT(refused_text("[data]\nheight = 1\nheight = 2\n"), StartsWith("some/run.toml:3: "));
}

TEST(Parse, KeysThatDoNotFitEachOther) {
  EXPECT_EQ(refused({"data.patch_size=300"}),
            "--set data.patch_size=300: data.patch_size = 300 is larger than the picture "
            "(data.height = 256, data.width = 256)");
  EXPECT_THAT(refused({"selection.salient=0"}), HasSubstr("selection.salient (M)"));
  EXPECT_THAT(refused({"selection.method=ips", "selection.sub_salient=4"}),
              HasSubstr("selection.sub_salient (S) = 4 must be 0"));
  EXPECT_THAT(refused({"selection.method=random", "selection.sub_salient=4"}), HasSubstr("(S)"));
  EXPECT_THAT(refused({"data.height=0"}), HasSubstr("data.height"));
  EXPECT_THAT(refused({"data.resize=longest", "data.patch_size=257"}), HasSubstr("patch_size"));
  EXPECT_THAT(refused({"training.epochs=9"}), HasSubstr("its range is 0 to 9"));
  EXPECT_THAT(refused({"training.micro_batches=17"}), HasSubstr("training.micro_batches"));
  EXPECT_THAT(refused({"task.digit.classes=3", "task.digit.class_weights=[1, 2]"}),
              HasSubstr("2 numbers for 3 classes"));
  EXPECT_THAT(refused({"task.digit.kind=binary", "task.digit.classes=3"}), HasSubstr("at most 2"));
  EXPECT_THAT(refused({"experiment.name=a/b"}), HasSubstr("one folder's name"));
  EXPECT_THAT(refused({"experiment.name=a-{sed}"}), HasSubstr("{seed}"));
  EXPECT_NO_THROW(minimal({"selection.method=whole", "selection.salient=0", "data.patch_size=0"}));
  EXPECT_NO_THROW(minimal({"data.resize=none", "data.height=0", "data.width=0"}));
  EXPECT_NO_THROW(minimal({"training.epochs=1", "optimizer.warmup_steps=5"}));
}

TEST(Parse, WhatIsMissingIsNamed) {
  for (const std::string line :
       {"name = \"a\"\n[data]", "store = ", "patch_size = ", "salient = ", "epochs = "}) {
    std::string text = kMinimal;
    const size_t at = text.find(line);
    ASSERT_NE(at, std::string::npos);
    text.erase(at, text.find('\n', at) - at);
    const std::string message = refused_text(text);
    EXPECT_THAT(message, StartsWith("some/run.toml: ")) << line;
    EXPECT_THAT(message, HasSubstr(line.substr(0, line.find(' ')))) << line;
  }
  std::string text = kMinimal;
  text.erase(text.find("[[task]]"), 24);
  EXPECT_THAT(refused_text(text), HasSubstr("[[task]]"));
}

TEST(Overrides, TakeTomlOrABareWord) {
  const Config config = minimal({"experiment.name=2024-01-01", "data.store = /nowhere/a b",
                                 "data.labels=12", "validation.monitor=\"loss\""});
  EXPECT_EQ(config.experiment.name, "2024-01-01");
  EXPECT_EQ(config.data.store, std::vector<std::string>{"/nowhere/a b"});
  EXPECT_EQ(config.data.labels, "12");
  EXPECT_EQ(config.validation.monitor, "loss");
  EXPECT_EQ(refused({"data.heigth=3"}),
            "--set data.heigth=3: unknown key data.heigth; did you mean data.height?");
  EXPECT_THAT(refused({"height=3"}), HasSubstr("table.key=value"));
  EXPECT_THAT(refused({"data.height"}), HasSubstr("table.key=value"));
  EXPECT_THAT(refused({"task.letter.weight=2"}), HasSubstr("task.digit"));
  EXPECT_THAT(refused({"dta.height=1"}), HasSubstr("did you mean [data]?"));
  EXPECT_THAT(refused({"data.height=1\nwidth=2"}), HasSubstr("must be a whole number"));
  EXPECT_EQ(minimal({"data.height=64", "data.height=96"}).data.height, 96);
}

TEST(Overrides, OnAConfigurationWithoutAFileAreNamedThemselves) {
  const Config config = minimal();
  EXPECT_EQ(with_overrides(config, {"data.height=512"}).data.height, 512);
  EXPECT_EQ(to_toml(with_overrides(config, {}), false), to_toml(config, false));
  EXPECT_THAT(refusal([&] { with_overrides(config, {"data.height=x"}); }),
              testing::StartsWith("--set data.height=x: data.height"));
  EXPECT_THAT(
      refusal([&] {
        with_overrides(config, {"data.fold=1", "selection.method=whole"});
      }),
      testing::StartsWith("--set data.fold=1 --set selection.method=whole: data.patch_size = "
                          "32 must be 0"));
}

TEST(DropRatio, IsTheDecimalThatWasWritten) {
  const auto ratio = [](const std::string& written) {
    return parse(kMinimal + "[drop]\n" + written + "\n", "a.toml", {}).drop.ratio;
  };
  EXPECT_EQ(ratio("ratio = 0.7"), "0.7");
  EXPECT_EQ(ratio("ratio = 0.70000000000000000001 # more than a double"), "0.70000000000000000001");
  EXPECT_EQ(ratio("ratio=0.3"), "0.3");
  EXPECT_EQ(ratio("ratio = 0"), "0");
  EXPECT_EQ(minimal({"drop.ratio=3e-1"}).drop.ratio, "0.3");
  EXPECT_EQ(parse("drop = { \"ratio\" = 0.25 }\n" + kMinimal, "a.toml", {}).drop.ratio, "0.25");
  EXPECT_EQ(minimal({"drop.ratio=0.99999999999999999999"}).drop.ratio, "0.99999999999999999999");
}

TEST(PlainFraction, AcceptsDecimalsBelowOne) {
  EXPECT_EQ(plain_fraction("0.30"), "0.3");
  EXPECT_EQ(plain_fraction("+0.3"), "0.3");
  EXPECT_EQ(plain_fraction("0.1_5"), "0.15");
  EXPECT_EQ(plain_fraction("12.5e-2"), "0.125");
  EXPECT_EQ(plain_fraction("0.002E+2"), "0.2");
  EXPECT_EQ(plain_fraction("0.0"), "0");
  for (const char* bad : {"1", "1.0", "10e-1", "0.1e1", "-0.1", "0x0", "inf", "nan", "", "."}) {
    EXPECT_EQ(plain_fraction(bad), std::nullopt) << bad;
  }
}

TEST(Base, FilesChangeTheirBases) {
  const TempFolder folder;
  std::filesystem::create_directories(folder.path() / "sub");
  write_file_atomic(folder.path() / "base.toml", std::string_view(kMinimal));
  write_file_atomic(folder.path() / "middle.toml",
                    std::string_view("base = \"base.toml\"\n[data]\nheight = 512\nwidth = 512\n"));
  write_file_atomic(folder.path() / "sub" / "top.toml",
                    std::string_view("base = \"../middle.toml\"\n[data]\nwidth = 64\n"));
  const Config config = load(folder.path() / "sub" / "top.toml", {"data.fold=2"});
  EXPECT_EQ(config.data.height, 512);
  EXPECT_EQ(config.data.width, 64);
  EXPECT_EQ(config.data.fold, 2);
  EXPECT_EQ(config.training.epochs, 30);
  EXPECT_EQ(config.tasks.size(), 1u);

  write_file_atomic(folder.path() / "tasks.toml",
                    std::string_view("base = \"base.toml\"\n[[task]]\nname = \"b\"\n"));
  EXPECT_EQ(load(folder.path() / "tasks.toml", {}).tasks.at(0).name, "b");
}

TEST(Base, ErrorsNameTheFileTheyStandIn) {
  const TempFolder folder;
  write_file_atomic(folder.path() / "a.toml", std::string_view("base = \"b.toml\"\n"));
  write_file_atomic(folder.path() / "b.toml", std::string_view("\nbase = \"a.toml\"\n"));
  const std::string circle = refusal([&] { load(folder.path() / "a.toml", {}); });
  EXPECT_THAT(circle, HasSubstr("b.toml:2"));
  EXPECT_THAT(circle, HasSubstr("leads back to itself"));

  write_file_atomic(folder.path() / "b.toml", std::string_view("[data]\nheight = -2\n"));
  EXPECT_THAT(refusal([&] { load(folder.path() / "a.toml", {}); }), HasSubstr("b.toml:2: data.h"));

  std::filesystem::remove(folder.path() / "b.toml");
  EXPECT_THAT(refusal([&] { load(folder.path() / "a.toml", {}); }), HasSubstr("a.toml:1: base"));
  EXPECT_THAT(refusal([&] { load(folder.path() / "none.toml", {}); }), HasSubstr("none.toml"));
}

TEST(Aggregators, AreRefusedBesideASelectionTheyCannotServe) {
  const std::string mean = refused({"aggregator.kind=mean"});
  EXPECT_THAT(mean, HasSubstr("aggregator.kind = \"mean\""));
  EXPECT_THAT(mean, HasSubstr("selection.method = \"dbps\""));
  EXPECT_NO_THROW(minimal({"aggregator.kind=mean", "selection.method=random"}));
  EXPECT_THAT(refused({"aggregator.kind=top_mil", "selection.sub_salient=3"}),
              HasSubstr("selection.method = \"ips\""));
  EXPECT_NO_THROW(minimal({"aggregator.kind=top_mil", "selection.method=ips"}));
  EXPECT_THAT(refused({"aggregator.kind=gated_attention", "aggregator.position_encoding=true"}),
              HasSubstr("aggregator.position_encoding must be false"));
  EXPECT_THAT(refused({"aggregator.kind=gated_attention", "aggregator.gated_attention.widht=3"}),
              HasSubstr("did you mean"));
  const std::string shared = kMinimal + "[[task]]\nname = \"b\"\n[[task]]\nname = \"c\"\n";
  EXPECT_THAT(refusal([&] { parse(shared, "a.toml", {"aggregator.tokens=2"}); }),
              HasSubstr("aggregator.tokens = 2 must be 0, 1 or at least one a task (3)"));
  for (const char* tokens : {"0", "1", "3", "7"}) {
    EXPECT_NO_THROW(parse(shared, "a.toml", {std::string("aggregator.tokens=") + tokens}));
  }
}

TEST(Erasing, IsRefusedWhereItMeansNothing) {
  const auto refused_with = [](std::vector<std::string> beside) {
    beside.insert(beside.end(), {"augment.erase=patches", "drop.erase_ratio=0.3"});
    return refused(beside);
  };
  EXPECT_THAT(refused({"drop.erase_ratio=0.3"}), HasSubstr("needs augment.erase"));
  EXPECT_THAT(refused({"augment.erase=random"}), HasSubstr("drop.erase_ratio must be above 0"));
  EXPECT_THAT(refused_with({"drop.ratio=0.1"}), HasSubstr("drop.ratio = 0.1 must be 0"));
  EXPECT_THAT(refused_with({"selection.method=whole", "data.patch_size=0"}),
              HasSubstr("use \"random\""));
  EXPECT_NO_THROW(minimal({"augment.erase=patches", "drop.erase_ratio=0.3", "drop.ratio=0.0"}));
}

TEST(Paths, AreFoundBesideTheFileFirst) {
  const TempFolder folder;
  std::filesystem::create_directories(folder.path() / "configs");
  std::filesystem::create_directories(folder.path() / "store");
  std::string text = kMinimal;
  text.replace(text.find("store-that-is-nowhere"), 21, "../store");
  write_file_atomic(folder.path() / "configs" / "a.toml", std::string_view(text));
  const Config config = load(folder.path() / "configs" / "a.toml", {"data.labels=nowhere.csv"});
  EXPECT_EQ(config.data.store.at(0), (folder.path() / "store").string());
  EXPECT_EQ(config.data.labels, "nowhere.csv");
}

TEST(Configs, AllAreWhole) {
  const std::filesystem::path folder = test_data() / ".." / "configs";
  int count = 0;
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    if (file.path().extension() != ".toml") continue;
    if (file.path().stem() == "paper") continue;  // what others have for a base
    ++count;
    EXPECT_NO_THROW(load(file.path(), {})) << file.path();
  }
  EXPECT_GE(count, 1);
  EXPECT_EQ(load(folder / "demo.toml", {}).selection.sub_salient, 12);
}

TEST(ToToml, ReadsBackToTheSame) {
  RandomStream random(1, Purpose::kDemo);
  for (int i = 0; i < 200; ++i) {
    Config config = minimal({"drop.ratio=0.1234567890123456789012345"});
    config.optimizer.learning_rate = random.uniform(1e-12, 1.0);
    config.optimizer.weight_decay = random.uniform() * 1e-300;
    config.data.picture_pixels = random.uniform(1.0, 1e300);
    config.data.mean = {random.uniform(), random.uniform(), random.uniform()};
    config.data.labels = "qu\"ote\\ tab\t newline\n \x7f é.csv";
    config.tasks[0].classes = {"a", "b, c", "\""};
    config.tasks[0].class_weights = {1.0 / 3.0, 1.0, 1e22};
    for (const bool comments : {false, true}) {
      const Config again = parse(to_toml(config, comments), "again.toml", {});
      EXPECT_EQ(again.optimizer.learning_rate, config.optimizer.learning_rate);
      EXPECT_EQ(again.optimizer.weight_decay, config.optimizer.weight_decay);
      EXPECT_EQ(again.data.picture_pixels, config.data.picture_pixels);
      EXPECT_EQ(again.data.mean, config.data.mean);
      EXPECT_EQ(again.data.labels, config.data.labels);
      EXPECT_EQ(again.tasks[0].classes, config.tasks[0].classes);
      EXPECT_EQ(again.tasks[0].class_weights, config.tasks[0].class_weights);
      EXPECT_EQ(again.drop.ratio, "0.1234567890123456789012345");
      EXPECT_EQ(to_toml(again, false), to_toml(config, false));
    }
  }
}

TEST(ToToml, CommentsSayRangeAndResume) {
  const std::string text = to_toml(minimal(), true);
  EXPECT_THAT(text, HasSubstr("a whole number from 1 on; a resumed run may change it\nkeep = 3"));
  EXPECT_THAT(text, HasSubstr("kept by a resumed run\nepochs = 30"));
  EXPECT_THAT(text, HasSubstr("foreseen but not built yet\nbag = \"id\""));
}

}  // namespace
}  // namespace dbps::config
