# Included by CMake in place of cmake/side-cars.cmake when llama.cpp is built for a package (scripts/package/build.js).
#
# Adds to it what only published binaries need: no libstdc++ of the system, an older glibc, and no more processor variants than are of use.

include("${CMAKE_CURRENT_LIST_DIR}/../../cmake/side-cars.cmake")

# Once only: ggml is a project of its own inside.
if(CMAKE_SYSTEM_NAME STREQUAL "Linux" AND PROJECT_SOURCE_DIR STREQUAL CMAKE_SOURCE_DIR)
    # Hidden in each library: one that is loaded into Node must not mix its C++ library with the one that Node brought along.
    set(LLAMA_WORKER_LINKER_FLAGS "-static-libstdc++ -Wl,--exclude-libs,libstdc++.a -Wl,--gc-sections")
    foreach(kind SHARED MODULE)
        set(CMAKE_${kind}_LINKER_FLAGS "${CMAKE_${kind}_LINKER_FLAGS} ${LLAMA_WORKER_LINKER_FLAGS}")
    endforeach()
endif()

set(LLAMA_WORKER_PACKAGE_DIR "${CMAKE_CURRENT_LIST_DIR}")

function(llama_worker_finish_package)
    # The C++ library asks glibc 2.36 for random numbers when it was compiled on a system that has it.
    if(CMAKE_SYSTEM_NAME STREQUAL "Linux")
        foreach(library llama llama-common)
            if(TARGET ${library})
                target_sources(${library} PRIVATE "${LLAMA_WORKER_PACKAGE_DIR}/arc4random.c")
            endif()
        endforeach()
    endif()
    set(omitted $ENV{LLAMA_WORKER_OMITTED_VARIANTS})
    # Left out of the package, because a neighbour serves their processors nearly as well. They cannot be taken out of the build, which
    # installs them, so they become empty.
    foreach(variant IN LISTS omitted)
        if(TARGET ggml-cpu-${variant})
            set_target_properties(ggml-cpu-${variant} PROPERTIES SOURCES "${LLAMA_WORKER_PACKAGE_DIR}/empty.c")
        endif()
    endforeach()
endfunction()

if(PROJECT_SOURCE_DIR STREQUAL CMAKE_SOURCE_DIR)
    cmake_language(DEFER DIRECTORY "${CMAKE_SOURCE_DIR}" CALL llama_worker_finish_package)
endif()
