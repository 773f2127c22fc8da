// What Verilator makes of grid.v, behind functions that a program finds by name in a shared
// library.
#include <cstdint>
#include <cstring>

#include "Vgrid.h"

extern "C" {

struct GridPorts {
  std::uint64_t *a, *b, *accumulator, *random, *next;
  std::uint64_t *mac_a, *mac_b, *mac_control, *mac_random, *mac_random_second, *sum;
  std::uint64_t *chunk_sum, *second_accumulator, *second_random, *second_next;
};

void* grid_create() { return new Vgrid; }
void grid_destroy(void* model) { delete static_cast<Vgrid*>(model); }

// Steps without registers.
void grid_step(void* model, const GridPorts* ports) {
  Vgrid& grid = *static_cast<Vgrid*>(model);
  std::memcpy(&grid.a, ports->a, sizeof(grid.a));
  std::memcpy(&grid.b, ports->b, sizeof(grid.b));
  std::memcpy(&grid.accumulator, ports->accumulator, sizeof(grid.accumulator));
  std::memcpy(&grid.random, ports->random, sizeof(grid.random));
  std::memcpy(&grid.chunk_sum, ports->chunk_sum, sizeof(grid.chunk_sum));
  std::memcpy(&grid.second_accumulator, ports->second_accumulator, sizeof(grid.second_accumulator));
  std::memcpy(&grid.second_random, ports->second_random, sizeof(grid.second_random));
  grid.eval();
  std::memcpy(ports->next, &grid.next, sizeof(grid.next));
  std::memcpy(ports->second_next, &grid.second_next, sizeof(grid.second_next));
}

// One clock cycle of the units.
void grid_cycle(void* model, const GridPorts* ports) {
  Vgrid& grid = *static_cast<Vgrid*>(model);
  std::memcpy(&grid.mac_a, ports->mac_a, sizeof(grid.mac_a));
  std::memcpy(&grid.mac_b, ports->mac_b, sizeof(grid.mac_b));
  std::memcpy(&grid.mac_control, ports->mac_control, sizeof(grid.mac_control));
  std::memcpy(&grid.mac_random, ports->mac_random, sizeof(grid.mac_random));
  std::memcpy(&grid.mac_random_second, ports->mac_random_second, sizeof(grid.mac_random_second));
  grid.clock = 0;
  grid.eval();
  grid.clock = 1;
  grid.eval();
  std::memcpy(ports->sum, &grid.sum, sizeof(grid.sum));
}
}
