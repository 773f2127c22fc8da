# Installs the build into a new prefix, builds a project that finds narrowmac there, and runs it and the program.
# Called by CTest with BUILD (a finished build), CONSUMER, README and WORK (a scratch directory).
function(run)
  execute_process(COMMAND ${ARGN} WORKING_DIRECTORY ${CONSUMER}
    RESULT_VARIABLE code OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT code EQUAL 0)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "${command}: exit code ${code}\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

file(REMOVE_RECURSE ${WORK})
run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/prefix)
run(${CMAKE_COMMAND} -S ${CONSUMER} -B ${WORK}/build -G Ninja -DCMAKE_BUILD_TYPE=Release
    -DCMAKE_PREFIX_PATH=${WORK}/prefix)
run(${CMAKE_COMMAND} --build ${WORK}/build)

run(${WORK}/build/consumer)
if(NOT output MATCHES "64 ones add up to 16\n")
  message(FATAL_ERROR "the consumer printed: ${output}")
endif()
run(${WORK}/prefix/bin/narrowmac formats e6m3)

# The example in README is this consumer.
file(READ ${README} readme)
foreach(file main.cpp CMakeLists.txt)
  file(READ ${CONSUMER}/${file} example)
  string(FIND "${readme}" "${example}" position)
  if(position EQUAL -1)
    message(FATAL_ERROR "README.md does not hold ${CONSUMER}/${file} as it is")
  endif()
endforeach()
