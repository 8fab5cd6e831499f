#include <gmock/gmock.h>

#include "config/minimal.h"

namespace dbps::config {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

std::vector<std::string> conflicts(const std::vector<std::string>& overrides,
                                   const std::vector<std::string>& accepted = {}) {
  std::vector<std::string> keys;
  for (const Difference& difference : resume_conflicts(minimal(), minimal(overrides), accepted)) {
    keys.push_back(difference.key);
  }
  return keys;
}

TEST(Resume, WhatTheResultDependsOnMayNotChange) {
  for (const std::string change :
       {"experiment.seed=1", "data.patch_size=64", "drop.ratio=0.2", "selection.scan_patches=8",
        "optimizer.learning_rate=0.5", "training.epochs=40", "training.batch_size_global=8",
        "training.micro_batches=2", "distributed.threads=3", "distributed.bucket_mb=1",
        "distributed.device=cpu", "validation.monitor=loss", "task.digit.weight=2",
        "augment.hue=0.2", "data.labels=other.csv"}) {
    EXPECT_EQ(conflicts({change}), std::vector<std::string>{change.substr(0, change.find('='))});
    EXPECT_THAT(conflicts({change}, {change.substr(0, change.find('='))}), IsEmpty()) << change;
  }
}

TEST(Resume, TheRestMay) {
  EXPECT_THAT(
      conflicts({"data.decode_threads=3", "data.prefetch_batches=5", "data.host_bytes=9",
                 "data.device_bytes=9", "experiment.output=elsewhere", "data.store=moved",
                 "checkpoint.every_steps=5", "checkpoint.keep=9", "report.tensorboard=false",
                 "distributed.deadline_seconds=5", "distributed.check_every=1"}),
      IsEmpty());
}

TEST(Resume, NamesBothValues) {
  const std::vector<Difference> found =
      resume_conflicts(minimal(), minimal({"training.epochs=40", "drop.ratio=0.2"}), {});
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].key, "drop.ratio");
  EXPECT_EQ(found[0].before, "0");
  EXPECT_EQ(found[0].now, "0.2");
  EXPECT_EQ(found[1].before, "30");
  EXPECT_EQ(found[1].now, "40");
}

TEST(Resume, OtherTasksAreOneConflict) {
  std::string text = kMinimal;
  text.replace(text.find("\"digit\""), 7, "\"other\"");
  const Config other = parse(text, "other.toml", {});
  const std::vector<Difference> found = resume_conflicts(minimal(), other, {});
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].key, "task");
  EXPECT_EQ(found[0].before, "digit");
  EXPECT_EQ(found[0].now, "other");
  EXPECT_THAT(resume_conflicts(minimal(), other, {"task"}), IsEmpty());
}

TEST(Resume, WhatResolvesAtTheStartKeepsWhatItWas) {
  const Config before = minimal({"distributed.threads=3", "training.micro_batches=2",
                                 "distributed.device=cpu", "task.digit.classes=[\"a\", \"b\"]"});
  Config now = minimal();
  EXPECT_THAT(resume_conflicts(before, now, {}), IsEmpty());
  keep_resolved(before, now);
  EXPECT_EQ(now.distributed.threads, 3);
  EXPECT_EQ(now.training.micro_batches, 2);
  EXPECT_EQ(now.distributed.device, distributed::DeviceKind::kCpu);
  EXPECT_EQ(now.tasks.at(0).classes.size(), 2u);

  Config other = minimal({"distributed.threads=4"});
  keep_resolved(before, other);
  EXPECT_EQ(other.distributed.threads, 4);
  EXPECT_EQ(resume_conflicts(before, other, {}).size(), 1u);
}

TEST(Resume, AcceptedKeysMustExist) {
  EXPECT_THAT(refusal([] { resume_conflicts(minimal(), minimal(), {"training.epoch"}); }),
              HasSubstr("did you mean training.epochs?"));
}

TEST(ExpandName, FillsInSeedFoldAndJob) {
  const Config config =
      minimal({"experiment.name=a-{seed}-{fold}-{job}-{seed}", "experiment.seed=7", "data.fold=2"});
  EXPECT_EQ(expand_name(config, "55"), "a-7-2-55-7");
  EXPECT_THAT(refusal([&] { expand_name(config, ""); }), HasSubstr("{job}"));
  EXPECT_EQ(expand_name(minimal(), ""), "a");
}

}  // namespace
}  // namespace dbps::config
