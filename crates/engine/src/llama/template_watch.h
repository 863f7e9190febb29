// Limits for running templates: a template is a program, and comes from a model file.

#pragma once

#include "jinja/runtime.h"

// Before a template runs on this thread, and after it: llama.cpp catches what templates throw where it only tries them out, and
// `end_template` throws again what went over a limit.
void begin_template();
void end_template();

// Puts the watch into a template.
void watch_template(const jinja::statements & statements);
