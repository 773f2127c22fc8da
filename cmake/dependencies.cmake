# Every library that narrowmac uses, found in one place. All are Debian 12 packages; scripts/setup installs them.
find_package(fmt 9 REQUIRED)
find_package(spdlog REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(CLI11 2.1 REQUIRED)
find_package(hwy 1.0 REQUIRED)
find_package(TBB REQUIRED)
find_package(ZLIB REQUIRED)
find_package(Boost 1.74 REQUIRED)
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
foreach(module systemc tlm openblas tomlplusplus)  # these come with pkg-config files only, or with better ones
  pkg_check_modules(${module} REQUIRED IMPORTED_TARGET ${module})
endforeach()
if(NARROWMAC_TESTS)
  find_package(GTest REQUIRED)
  find_package(benchmark REQUIRED)
  pkg_check_modules(mpfr REQUIRED IMPORTED_TARGET mpfr)  # the oracle of the numerics tests
endif()

# Warnings and floating-point rules of our own targets only: never of a library's, never of generated code.
# -ffp-contract=off: the kernels decide themselves which operations are fused; a compiler's choice would change bits.
add_library(narrowmac_flags INTERFACE)
target_compile_options(narrowmac_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow -ffp-contract=off)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(narrowmac_flags INTERFACE -Wno-restrict)  # false alarms on "text" + string (GCC PR105651)
endif()
if(NARROWMAC_UNITY)
  target_compile_options(narrowmac_flags INTERFACE -Wno-subobject-linkage)  # g++ takes an included .cpp for a header
endif()
if(NARROWMAC_WERROR)
  target_compile_options(narrowmac_flags INTERFACE -Werror)
endif()
if(NARROWMAC_SANITIZE)
  # Without the checks that repeat what the address sanitizer sees (null, object size), those of alignment and virtual
  # tables, and use after scope: they more than double the time to compile.
  target_compile_options(narrowmac_flags INTERFACE
    -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
    -fno-sanitize=null,alignment,object-size,vptr -fno-sanitize-address-use-after-scope
    -Wno-maybe-uninitialized)  # g++ 12 sees such variables in sanitized code that has none
  target_link_options(narrowmac_flags INTERFACE -fsanitize=address,undefined)
endif()

# Vector targets of Highway that kernels are not compiled for. SSSE3 and AVX3_DL would only repeat the code of SSE4 and
# AVX3 for our operations. Sanitized kernels are large: the baseline and AVX2 see every memory access.
set(narrowmac_disabled_targets "HWY_SSSE3|HWY_AVX3_DL")
if(NARROWMAC_SANITIZE)
  string(APPEND narrowmac_disabled_targets "|HWY_SSE4|HWY_AVX3")
endif()
target_compile_definitions(narrowmac_flags INTERFACE "HWY_DISABLED_TARGETS=(${narrowmac_disabled_targets})")

# SystemC 2.3.4 of Debian 12 was built as C++17: without SC_CPLUSPLUS a C++20 program does not link.
add_library(narrowmac_systemc INTERFACE)
target_link_libraries(narrowmac_systemc INTERFACE PkgConfig::systemc)
target_compile_definitions(narrowmac_systemc INTERFACE SC_CPLUSPLUS=201703L SC_INCLUDE_DYNAMIC_PROCESSES)
