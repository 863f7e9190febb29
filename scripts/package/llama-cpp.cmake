# Included by CMake in place of cmake/side-cars.cmake when llama.cpp is built for a package (scripts/package/build.js).
#
# Adds to it what only published binaries need: no libstdc++ of the system, an older glibc, nothing in them that nobody calls, and no more
# processor variants than are of use. Changes nothing of how the code itself is optimised.

include("${CMAKE_CURRENT_LIST_DIR}/../../cmake/side-cars.cmake")

# Once only: ggml is a project of its own inside.
if(CMAKE_SYSTEM_NAME STREQUAL "Linux" AND PROJECT_SOURCE_DIR STREQUAL CMAKE_SOURCE_DIR)
    # What a library does not export, and nobody in it uses, is left out. Its calls to itself need no detour through a table either.
    set(CMAKE_C_VISIBILITY_PRESET hidden)
    set(CMAKE_CXX_VISIBILITY_PRESET hidden)
    set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
    add_compile_options($<$<COMPILE_LANGUAGE:C,CXX>:-ffunction-sections> $<$<COMPILE_LANGUAGE:C,CXX>:-fdata-sections>)
    # The C++ library is hidden in each library: one that is loaded into Node must not mix it with the one that Node brought along.
    # `defs`: what a neighbour keeps to itself is missed here, and not when it is called.
    set(LLAMA_WORKER_LINKER_FLAGS "-static-libstdc++ -Wl,--exclude-libs,libstdc++.a -Wl,--gc-sections -Wl,-z,defs")
    foreach(kind SHARED MODULE)
        set(CMAKE_${kind}_LINKER_FLAGS "${CMAKE_${kind}_LINKER_FLAGS} ${LLAMA_WORKER_LINKER_FLAGS}")
    endforeach()
endif()

# The crate that brings llama.cpp asks for one Arm build, and ggml refuses that together with all of them.
if(GGML_CPU_ALL_VARIANTS)
    unset(GGML_CPU_ARM_ARCH CACHE)
endif()

set(LLAMA_WORKER_PACKAGE_DIR "${CMAKE_CURRENT_LIST_DIR}")

# What a library gives to others, where its sources do not say it or say more than anyone here uses.
function(llama_worker_export library list)
    set(exports "${LLAMA_WORKER_PACKAGE_DIR}/${list}.map")
    target_link_options(${library} PRIVATE "-Wl,--version-script=${exports}")
    set_property(TARGET ${library} APPEND PROPERTY LINK_DEPENDS "${exports}")
endfunction()

function(llama_worker_finish_package)
    if(CMAKE_SYSTEM_NAME STREQUAL "Linux")
        foreach(library llama llama-common)
            if(TARGET ${library})
                # The C++ library asks glibc 2.36 for random numbers when it was compiled on a system that has it.
                target_sources(${library} PRIVATE "${LLAMA_WORKER_PACKAGE_DIR}/arc4random.c")
            endif()
        endforeach()
        if(TARGET llama-common)
            set_target_properties(llama-common PROPERTIES
                C_VISIBILITY_PRESET default CXX_VISIBILITY_PRESET default VISIBILITY_INLINES_HIDDEN OFF)
            llama_worker_export(llama-common llama-common)
        endif()
        get_property(targets DIRECTORY "${CMAKE_SOURCE_DIR}/ggml/src" PROPERTY BUILDSYSTEM_TARGETS)
        list(FILTER targets INCLUDE REGEX "^ggml-cpu")
        foreach(backend IN LISTS targets ITEMS ggml-vulkan ggml-cuda)
            if(TARGET ${backend})
                get_target_property(type ${backend} TYPE)
                if(type STREQUAL "MODULE_LIBRARY")
                    llama_worker_export(${backend} backend)
                endif()
            endif()
        endforeach()
    endif()
    set(omitted $ENV{LLAMA_WORKER_OMITTED_VARIANTS})
    # Left out of the package, because a neighbour serves their processors nearly as well. They cannot be taken out of the build, which
    # installs them, so they become empty. Without their flags: not every compiler knows the newest processors.
    foreach(variant IN LISTS omitted)
        if(TARGET ggml-cpu-${variant})
            set_target_properties(ggml-cpu-${variant} PROPERTIES
                SOURCES "${LLAMA_WORKER_PACKAGE_DIR}/empty.c" COMPILE_OPTIONS "")
        endif()
    endforeach()
endfunction()

if(PROJECT_SOURCE_DIR STREQUAL CMAKE_SOURCE_DIR)
    cmake_language(DEFER DIRECTORY "${CMAKE_SOURCE_DIR}" CALL llama_worker_finish_package)
endif()
