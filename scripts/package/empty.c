/* A processor variant that is not shipped, see llama-cpp.cmake. */
typedef int llama_worker_empty;
