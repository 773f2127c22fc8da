#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "models/design/error.h"

namespace narrowmac {

/// Expects `action` to throw Error of a kind, with a message that contains every part.
template <typename Action>
void expect_error(Action&& action, const std::vector<std::string>& parts,
                  Error::Kind kind = Error::Kind::Input) {
  try {
    action();
    ADD_FAILURE() << "no error; expected one that says: " << parts.front();
  } catch (const Error& error) {
    for (const std::string& part : parts) {
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos)
          << "\"" << error.what() << "\" does not say \"" << part << "\"";
    }
    EXPECT_EQ(error.kind(), kind) << error.what();
  }
}

}  // namespace narrowmac
