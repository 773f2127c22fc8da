#include "sim/experiment/files.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/experiment/expect_error.h"
#include "tests/experiment/temporary_directory.h"

namespace narrowmac {
namespace {

/// Files of this process cannot grow beyond `bytes` while it lives: the same error path as a full
/// disk.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    old_handler_ = ::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &old_limit_);
    rlimit limit = old_limit_;
    limit.rlim_cur = bytes;
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &old_limit_);
    ::signal(SIGXFSZ, old_handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit old_limit_{};
  sighandler_t old_handler_ = SIG_DFL;
};

TEST(Files, AFileIsWrittenWholeAndLeavesNoTemporary) {
  const TemporaryDirectory folder;
  write_file(folder / "a.txt", "first");
  write_file(folder / "a.txt", "second");
  EXPECT_EQ(read_file(folder / "a.txt"), "second");
  EXPECT_EQ(folder.names(), std::vector<std::string>{"a.txt"});
}

TEST(Files, AWriteThatRunsOutOfSpaceKeepsTheOldContentsAndRemovesItsTemporary) {
  const TemporaryDirectory folder;
  write_file(folder / "results.csv", "earlier results");
  {
    const FileSizeLimit limit(1000);
    expect_error([&] { write_file(folder / "results.csv", std::string(5000, 'x')); },
                 {"results.csv", "cannot write", "File too large"}, Error::Kind::System);
  }
  EXPECT_EQ(read_file(folder / "results.csv"), "earlier results");
  EXPECT_EQ(folder.names(), std::vector<std::string>{"results.csv"});
}

TEST(Files, AMissingFolderIsASystemErrorThatNamesTheFile) {
  const TemporaryDirectory folder;
  expect_error([&] { write_file(folder / "no/such/file", "x"); },
               {"no/such/file", "No such file or directory"}, Error::Kind::System);
}

TEST(Files, AMissingInputNamesTheFile) {
  const TemporaryDirectory folder;
  expect_error([&] { (void)read_file(folder / "missing.npy"); },
               {"missing.npy", "No such file or directory"});
  expect_error([&] { (void)read_file(folder.path()); }, {"found no regular file"});
}

TEST(Files, LeftoversOfAKilledProcessAreRemovedAndNothingElse) {
  const TemporaryDirectory folder;
  folder.write(".steps.csv.12.tmp", "half");
  folder.write(".step-5.12.tmp/conv1.weight.npy", "half");
  folder.write("notes.tmp", "the user's own");
  remove_temporaries(folder.path());
  EXPECT_EQ(folder.names(), std::vector<std::string>{"notes.tmp"});
}

TEST(Files, AFolderIsLockedAgainstASecondProcessUntilTheFirstDies) {
  const TemporaryDirectory folder;
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const DirectoryLock lock(folder.path());
    if (::write(ready[1], "x", 1) != 1) ::_exit(1);
    for (;;) ::pause();
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  expect_error([&] { const DirectoryLock lock(folder.path()); }, {"another narrowmac process"});
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_NO_THROW(const DirectoryLock lock(folder.path()));
  ::close(ready[0]);
  ::close(ready[1]);
}

}  // namespace
}  // namespace narrowmac
