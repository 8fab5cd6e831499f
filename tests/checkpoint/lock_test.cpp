#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/lock_file.h"
#include "support/temp_folder.h"

namespace dbps::checkpoint {
namespace {

using testing::HasSubstr;

std::string refusal(const std::function<void()>& claim) {
  try {
    claim();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "not refused";
}

TEST(RunLock, HoldsHostProcessAndJobAndRefusesASecond) {
  const TempFolder run;
  {
    const RunLock lock(run.path(), "node-7");
    const auto holder = parse_holder(read_text_file(run.path() / "lock"));
    ASSERT_TRUE(holder);
    EXPECT_EQ(holder->host, "node-7");
    EXPECT_EQ(holder->process, ::getpid());
    const std::string message = refusal([&] { RunLock second(run.path(), "node-8"); });
    EXPECT_THAT(message, HasSubstr("node-7"));
    EXPECT_THAT(message, HasSubstr(std::to_string(::getpid())));
    EXPECT_EQ(parse_holder(read_text_file(run.path() / "lock"))->host, "node-7");
  }
  EXPECT_FALSE(std::filesystem::exists(run.path() / "lock"));
  EXPECT_NO_THROW(RunLock(run.path(), "node-8"));
}

TEST(RunLock, AProcessThatIsKilledLetsGo) {
  const TempFolder run;
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const RunLock lock(run.path(), "here");
    if (::write(ready[1], "x", 1) != 1) ::_exit(1);
    ::pause();
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  EXPECT_THAT(refusal([&] { RunLock second(run.path(), "here"); }),
              HasSubstr(std::to_string(child)));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_TRUE(std::filesystem::exists(run.path() / "lock"));
  EXPECT_NO_THROW(RunLock(run.path(), "here"));
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST(RunLock, OneHolderAtATimeWhileManyComeAndGo) {
  const TempFolder run;
  std::atomic<int> inside{0}, most{0}, taken{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 40; ++i) {
        try {
          const RunLock lock(run.path(), "here");
          most = std::max<int>(most, ++inside);
          ++taken;
          --inside;
        } catch (const ConfigError&) {
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(most, 1);
  EXPECT_GT(taken, 0);
}

TEST(RunLock, WithoutLocksTheFileItselfIsTheLock) {
  const TempFolder run;
  const std::filesystem::path path = run.path() / "lock";
  const Holder us = {"here", ::getpid(), "-"};
  EXPECT_TRUE(claim_by_creation(path, us));
  EXPECT_THAT(refusal([&] { claim_by_creation(path, us); }), HasSubstr("remove the file"));

  const pid_t gone = ::fork();
  if (gone == 0) ::_exit(0);
  ::waitpid(gone, nullptr, 0);
  write_file_atomic(path, to_text({"elsewhere", gone, "12"}));
  EXPECT_THAT(refusal([&] { claim_by_creation(path, us); }), HasSubstr("job 12"));
  write_file_atomic(path, to_text({"here", gone, "12"}));
  EXPECT_TRUE(claim_by_creation(path, us));
  EXPECT_EQ(parse_holder(read_text_file(path))->process, ::getpid());
}

TEST(RunLock, AFolderThatCannotBeWritten) {
  EXPECT_THROW(RunLock("/proc/self/a-run", "here"), RuntimeFault);
}

}  // namespace
}  // namespace dbps::checkpoint
