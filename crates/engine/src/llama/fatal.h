// What happens when an assertion of ggml or llama.cpp fails: on a thread that is ready to catch, a C++ exception; on any other, the end of
// the process, with the reason and the last lines of the log on standard error.

#pragma once

#include <stdexcept>
#include <string>

// An assertion that failed while `assertion_catcher` was in force.
struct failed_assertion : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

// While one lives, assertions that fail on this thread are thrown. `computes_alone`: no other thread takes part in what is evaluated; with
// others, who would wait for this one without end, an assertion of the evaluation itself still ends the process. `asks_devices`: nothing is evaluated
// but devices are looked at, which CUDA's assertions may end too.
class assertion_catcher {
public:
    explicit assertion_catcher(bool computes_alone = true, bool asks_devices = false);
    ~assertion_catcher();
    assertion_catcher(const assertion_catcher &) = delete;
    assertion_catcher & operator=(const assertion_catcher &) = delete;

private:
    const int  outer;
    const bool outer_alone;
    const bool outer_asks;
};

// How many assertions have been thrown on this thread: llama.cpp catches some of them itself.
unsigned thrown_assertions();
