// `narrowmac run` without the command line of narrowmac, for tests that need a run in a process of
// its own: PROGRAM run CONFIG --out DIR [--set KEY=VALUE]... [--checkpoint-always] ...
#include <cstdio>
#include <string>
#include <systemc>

#include "models/design/error.h"
#include "sim/experiment/run.h"

int sc_main(int argc, char** argv) {
  if (argc < 5 || std::string(argv[1]) != "run" || std::string(argv[3]) != "--out") return 2;
  narrowmac::RunOptions options;
  options.config = argv[2];
  options.out = argv[4];
  options.resume = true;
  options.quiet = true;
  options.threads = 1;
  for (int i = 5; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--set" && i + 1 < argc) options.set.emplace_back(argv[++i]);
    if (word == "--checkpoint-always") options.checkpoint_seconds = 0;
  }
  try {
    const narrowmac::RunReport report = narrowmac::run_experiment(options);
    if (report.outcome != narrowmac::RunOutcome::Interrupted) return 0;
    std::fprintf(stderr, "stopped by signal %d\n", report.signal);
    return 130;
  } catch (const narrowmac::Error& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return error.kind() == narrowmac::Error::Kind::System ? 1 : 2;
  }
}
