# Clang and LLD as they come in one program, zig.exe, with libstdc++ and the C runtime of MinGW-w64.
# "zig c++" would be shorter, and does not run on a wine template: its cache locks files in a way
# that Wine lacks.
set(CMAKE_SYSTEM_NAME Windows)
set(CMAKE_SYSTEM_PROCESSOR x86_64)

set(TOOLCHAIN C:/toolchain)
set(ZIG ${TOOLCHAIN}/zig/zig.exe)
set(CMAKE_CXX_COMPILER ${ZIG} clang)
set(CMAKE_CXX_COMPILER_TARGET x86_64-w64-mingw32)
set(CMAKE_AR ${ZIG})
set(CMAKE_RANLIB ${ZIG})
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
# What cmake would ask a compiler by having it link a program.
set(CMAKE_CXX_COMPILER_ID_RUN TRUE)
set(CMAKE_CXX_COMPILER_ID Clang)
set(CMAKE_CXX_COMPILER_VERSION 16.0.6)
set(CMAKE_CXX_COMPILER_FRONTEND_VARIANT GNU)
set(CMAKE_CXX_STANDARD_COMPUTED_DEFAULT 17)
set(CMAKE_CXX_COMPILER_FORCED TRUE)

set(CMAKE_CXX_FLAGS_INIT "--driver-mode=g++ -nostdinc++ -nostdlibinc")
foreach(folder include/c++ include/c++/x86_64-w64-mingw32 zig/include include/c)
  string(APPEND CMAKE_CXX_FLAGS_INIT " -isystem ${TOOLCHAIN}/${folder}")
endforeach()

set(CMAKE_USER_MAKE_RULES_OVERRIDE ${CMAKE_CURRENT_LIST_DIR}/clang-rules.cmake)
