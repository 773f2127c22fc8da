#include "sim/experiment/interrupt.h"

namespace narrowmac {
namespace {

volatile std::sig_atomic_t received = 0;  // a handler can reach nothing else

extern "C" void remember_signal(int number) { received = number; }

void install(int number, void (*handler)(int), int flags, struct sigaction* old) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = flags;
  sigaction(number, &action, old);
}

}  // namespace

InterruptGuard::InterruptGuard() {
  received = 0;
  const int once = static_cast<int>(SA_RESETHAND);
  install(SIGINT, remember_signal, once, &interrupt_);
  install(SIGTERM, remember_signal, once, &terminate_);
  install(SIGXFSZ, SIG_IGN, 0, &file_size_);
}

InterruptGuard::~InterruptGuard() {
  sigaction(SIGINT, &interrupt_, nullptr);
  sigaction(SIGTERM, &terminate_, nullptr);
  sigaction(SIGXFSZ, &file_size_, nullptr);
}

int InterruptGuard::signal() { return received; }

}  // namespace narrowmac
