// What a sweep starts for a point, without the command line of narrowmac: PROGRAM run CONFIG --out
// DIR ...
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
  try {
    return narrowmac::run_experiment(options).outcome == narrowmac::RunOutcome::Interrupted ? 1 : 0;
  } catch (const narrowmac::Error& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 2;
  }
}
