// Stands between ggml's `abort()` and the process.
//
// ggml calls back before it aborts and does nothing afterwards that could not be left by an exception: it is C code with unwind tables, holds
// no lock there, and what it leaves behind is freed with its model or context. Its CUDA backend is not like that while it evaluates: it counts under way
// what every later context waits for. Where C frames cannot be unwound (Windows) nothing is thrown.

#include "fatal.h"

#include "ggml.h"

#include <cstdlib>
#include <cstring>
#include <exception>

namespace {

// Set once, before anything can fail.
void (*report_death)(const char * reason) = nullptr;

thread_local int  catchers       = 0;
thread_local bool computes_alone = true;
thread_local bool asks_devices   = false;

thread_local unsigned n_thrown = 0;

#if defined(_WIN32)
constexpr bool CAN_UNWIND = false;
#else
constexpr bool CAN_UNWIND = true;
#endif

// Operations are evaluated in these files only, possibly by several threads that wait for each other. What they use of ggml itself beside these asserts
// nothing that does not hold for every graph.
bool is_of_evaluation(const char * message) {
    return std::strstr(message, "ggml-cpu") != nullptr || std::strstr(message, "ggml-quants") != nullptr;
}

bool is_of_cuda(const char * message) {
    return std::strstr(message, "ggml-cuda") != nullptr;
}

void on_assertion(const char * message) {
    const bool is_whole = (asks_devices || !is_of_cuda(message)) && (computes_alone || !is_of_evaluation(message));
    if (CAN_UNWIND && catchers > 0 && is_whole) {
        n_thrown += 1;
        throw failed_assertion(message);
    }
    report_death(message);
}

[[noreturn]] void on_terminate() {
    std::string reason = "an uncaught C++ exception";
    if (const std::exception_ptr thrown = std::current_exception()) {
        try {
            std::rethrow_exception(thrown);
        } catch (const std::exception & exception) {
            reason += std::string(": ") + exception.what();
        } catch (...) {
            // It has no text.
        }
    }
    report_death(reason.c_str());
    std::abort();
}

} // namespace

assertion_catcher::assertion_catcher(bool alone, bool asks) :
    outer(catchers), outer_alone(computes_alone), outer_asks(asks_devices) {
    catchers       = outer + 1;
    computes_alone = alone;
    asks_devices   = asks;
}

assertion_catcher::~assertion_catcher() {
    catchers       = outer;
    computes_alone = outer_alone;
    asks_devices   = outer_asks;
}

unsigned thrown_assertions() {
    return n_thrown;
}

extern "C" void lw_watch_for_death(void (*report)(const char * reason)) {
    report_death = report;
    ggml_set_abort_callback(on_assertion);
    // ggml's own handler would start a debugger to print a backtrace.
    std::set_terminate(on_terminate);
}
