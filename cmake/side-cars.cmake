# Included by CMake after each project() of llama.cpp's build (CMAKE_PROJECT_INCLUDE in .cargo/config.toml).
#
# Gives the shared libraries names of their own (libllama-lw.so ...). Two addons in one process that both need a `libggml-base.so.0` would
# otherwise share whichever was loaded first, with another ABI. The file name is the SONAME: npm drops the version links CMake would make.
# Also lets each library find its neighbours in its own folder: the addon's rpath is not inherited by what it loads.

if(APPLE)
    set(CMAKE_INSTALL_RPATH "@loader_path")
else()
    set(CMAKE_INSTALL_RPATH "$ORIGIN")
endif()

function(llama_worker_name_side_cars)
    foreach(library llama llama-common ggml ggml-base)
        if(TARGET ${library})
            set_target_properties(${library} PROPERTIES OUTPUT_NAME "${library}-lw")
            # Emptied rather than set: a version would bring the links back.
            set_property(TARGET ${library} PROPERTY VERSION)
            set_property(TARGET ${library} PROPERTY SOVERSION)
        endif()
    endforeach()
endfunction()

# Deferred to the end of the outermost project, when the targets exist.
if(PROJECT_SOURCE_DIR STREQUAL CMAKE_SOURCE_DIR)
    cmake_language(DEFER DIRECTORY "${CMAKE_SOURCE_DIR}" CALL llama_worker_name_side_cars)
endif()
