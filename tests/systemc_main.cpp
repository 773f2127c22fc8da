// The main of every test that simulates: libsystemc defines main itself and calls sc_main.
// One sc_start per TEST: a process holds one simulation, and CTest gives each TEST its own process.
#include <gtest/gtest.h>

#include <systemc>

int sc_main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
