# The tests of an installation, one per value of `step`; see CMakeLists.txt.
cmake_minimum_required(VERSION 3.25)
set(example ${source}/docs/tutorials/c-api)
set(model ${prefix}/share/linnet/demo.gguf)
set(messages "My name is Anna." "What is my name?")
if(sanitize)
  set(sanitizers -fsanitize=${sanitize})
endif()

# run(command...): it has to succeed; its output becomes `out`.
function(run)
  execute_process(COMMAND ${ARGN} OUTPUT_VARIABLE out ERROR_VARIABLE err RESULT_VARIABLE code)
  if(NOT code EQUAL 0)
    message(FATAL_ERROR "${ARGN}: ${code}\n${out}${err}")
  endif()
  set(out "${out}" PARENT_SCOPE)
endfunction()

function(skip why)
  execute_process(COMMAND ${CMAKE_COMMAND} -E echo "skipped: ${why}")
endfunction()

# A conversation came about: the model was told a name and says it again, and less was computed than was said.
function(expect_conversation out)
  foreach(expected "> My name is Anna" "> What is my name" "Anna.*Anna.*Anna" "\\[eog, ")
    if(NOT out MATCHES "${expected}")
      message(FATAL_ERROR "expected ${expected} in:\n${out}")
    endif()
  endforeach()
endfunction()

# A program that says what is wrong instead of ending in some other way.
function(expect_sentence)
  execute_process(COMMAND ${ARGN} ${prefix}/no-such-model.gguf hello OUTPUT_VARIABLE out ERROR_VARIABLE err
    RESULT_VARIABLE code)
  if(NOT code EQUAL 1 OR NOT err MATCHES "no-such-model.gguf: no such file.*io_not_found")
    message(FATAL_ERROR "expected exit code 1 and a sentence, got ${code}: ${out}${err}")
  endif()
endfunction()

if("${step}" STREQUAL "prefix")
  file(REMOVE_RECURSE ${prefix})
  run(${CMAKE_COMMAND} --install ${build} --prefix ${prefix})

elseif("${step}" STREQUAL "tree")
  foreach(file bin/linnet lib/liblinnet.so lib/liblinnet.so.0 lib/libwasi_nn_backend.so lib/libwasi_nn_llamacpp.so
      include/linnet/linnet.h include/linnet/linnet_sampler.h include/linnet/wasi_nn/client.h
      include/linnet/wasi_nn/host.h include/linnet/wasi_nn/types.h share/linnet/demo.gguf lib/pkgconfig/linnet.pc
      lib/cmake/linnet/linnet-config.cmake lib/cmake/linnet/linnet-config-version.cmake)
    if(NOT EXISTS ${prefix}/${file})
      message(FATAL_ERROR "${file} was not installed")
    endif()
  endforeach()
  # Headers stand alone, in C and in C++.
  foreach(header linnet.h linnet_sampler.h wasi_nn/client.h wasi_nn/host.h)
    foreach(language c c++)
      file(WRITE ${prefix}/../header.${language} "#include <linnet/${header}>\n")
      run(${cc} -x ${language} -Wall -Wextra -Wpedantic -Werror -I${prefix}/include -fsyntax-only
          ${prefix}/../header.${language})
    endforeach()
  endforeach()

elseif("${step}" STREQUAL "symbols")
  # The library exports what the header declares, no more and no less, and says which version it is.
  file(READ ${source}/capi/linnet.h header)
  string(REGEX MATCHALL "LINNET_EXPORT [a-z0-9_ ]+[ *]+linnet_[a-z_]+\\(" declared "${header}")
  list(TRANSFORM declared REPLACE ".*(linnet_[a-z_]+)\\($" "\\1")
  list(SORT declared)
  run(nm -D --defined-only ${prefix}/lib/liblinnet.so)
  string(REGEX MATCHALL " [TtWwVvBbDdRriu] [A-Za-z0-9_]+" exported "${out}")
  list(TRANSFORM exported REPLACE "^ . " "")
  list(SORT exported)
  list(LENGTH declared count)
  if(count LESS 20 OR NOT "${declared}" STREQUAL "${exported}")
    message(FATAL_ERROR "the header declares\n${declared}\nand the library exports\n${exported}")
  endif()
  run(readelf -d ${prefix}/lib/liblinnet.so)
  if(NOT out MATCHES "SONAME[^\n]*\\[liblinnet\\.so\\.0\\]")
    message(FATAL_ERROR "the soname is not liblinnet.so.0:\n${out}")
  endif()

elseif("${step}" STREQUAL "find_package")
  set(folder ${prefix}/../find_package)
  file(REMOVE_RECURSE ${folder})
  run(${CMAKE_COMMAND} -S ${example} -B ${folder} -DCMAKE_PREFIX_PATH=${prefix} -DCMAKE_C_COMPILER=${cc}
      "-DCMAKE_C_FLAGS=-Wall -Wextra -Werror ${sanitizers}")
  run(${CMAKE_COMMAND} --build ${folder})
  run(${folder}/chat ${model} ${messages})
  expect_conversation("${out}")
  expect_sentence(${folder}/chat)

elseif("${step}" STREQUAL "pkg_config")
  if(NOT pkg_config)
    skip("pkg-config was not found")
    return()
  endif()
  set(ENV{PKG_CONFIG_PATH} ${prefix}/lib/pkgconfig)
  run(${pkg_config} --cflags --libs linnet)
  separate_arguments(flags UNIX_COMMAND "${out}")
  set(program ${prefix}/../chat_pkg_config)
  run(${cc} -Wall -Wextra -Werror -std=c11 ${sanitizers} ${example}/chat.c ${flags} -Wl,-rpath,${prefix}/lib
      -o ${program})
  run(${program} ${model} ${messages})
  expect_conversation("${out}")

elseif("${step}" STREQUAL "python")
  if(NOT python)
    skip("python3 was not found")
    return()
  elseif(sanitize)
    skip("a sanitizer's library cannot be loaded into python3")
    return()
  endif()
  set(ENV{LINNET_LIBRARY} ${prefix}/lib/liblinnet.so)
  run(${python} ${example}/chat.py ${model} ${messages})
  expect_conversation("${out}")
  expect_sentence(${python} ${example}/chat.py)

elseif("${step}" STREQUAL "command")
  # The installed command finds its model beside itself.
  run(${prefix}/bin/linnet run -p "My name is Anna." -n 20 --temp 0)
  if(NOT out MATCHES "Anna")
    message(FATAL_ERROR "expected a greeting, got ${out}")
  endif()

else()
  message(FATAL_ERROR "there is no step ${step}")
endif()
