#pragma once

#include <gtest/gtest.h>

#include <string>

#include "models/design/error.h"

namespace narrowmac {

/// The message of the Error that `call` throws; fails if it throws none.
template <typename Call>
std::string message_of(Call&& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  ADD_FAILURE() << "no error was thrown";
  return "";
}

}  // namespace narrowmac
