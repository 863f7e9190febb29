// The C face of shim.cpp: what the engine calls of llama.cpp's C++ code, and every C call that may throw.
//
// Contract of each function that takes `error`: on failure it returns null (or the stated code) and stores a message in `*error` that the
// caller releases with lw_string_free. No exception ever leaves a function of this file.

#pragma once

#include "ggml-backend.h"
#include "llama.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct lw_templates;
struct lw_parser;

// Returned by lw_decode and lw_tokenize when llama.cpp threw; no llama.cpp function returns it.
#define LW_THREW (-1000000000)

void lw_string_free(char * text);

// Takes over what happens when an assertion of llama.cpp fails, see fatal.h. `report_death` writes the reason and the last lines of the log to
// standard error, on any thread.
void lw_watch_for_death(void (*report_death)(const char * reason));
// `own_memory` tells the bytes of memory that this process has to itself, or 0 where that cannot be told; for the limits of templates.
void lw_measure_memory_by(uint64_t (*own_memory)(void));

// Silences (or opens) the logger of llama.cpp's common code, which does not go through llama_log_set.
void lw_set_common_log(bool enabled);

// Loads every backend of a folder into ggml's registry. The caller keeps readers away.
void lw_load_backends(const char * folder, char ** error);
// A device of ggml's registry, as it says of itself: a driver is asked. The texts live as long as the registry.
void lw_device(size_t index, struct ggml_backend_dev_props * props, const char ** backend, char ** error);
// A threadpool by the CPU backend's own function `make`. When a thread cannot be started, those that were stay asleep and are lost.
struct ggml_threadpool * lw_threadpool_new(
    struct ggml_threadpool * (*make)(struct ggml_threadpool_params *), struct ggml_threadpool_params * params, char ** error);

// A model; null without an error when llama.cpp has logged why.
struct llama_model * lw_model_load(const char * path, struct llama_model_params params, char ** error);
uint32_t lw_model_quantize(const char * from, const char * to, const struct llama_model_quantize_params * params, char ** error);

// Loads the library of a backend into ggml's registry, whose readers the caller keeps away. False when it is not usable here.
bool lw_load_backend(const char * path, char ** error);

struct llama_context * lw_context_new(struct llama_model * model, struct llama_context_params params, char ** error);
// What a device still does is waited for first. One that fails then leaves a context that cannot be freed: it stays, and with it its memory.
void lw_context_free(struct llama_context * context, char ** error);
int32_t lw_decode(struct llama_context * context, struct llama_batch batch, char ** error);

// Waits for a device that still computes; null without an error where no logits were asked for.
float * lw_logits(struct llama_context * context, int32_t index, char ** error);
void lw_sample(struct llama_sampler * sampler, llama_token_data_array * candidates, char ** error);

// What sequences hold: cut off, all forgotten, shared, the last and the first position.
bool lw_memory_cut(struct llama_context * context, llama_seq_id sequence, llama_pos from, char ** error);
void lw_memory_clear(struct llama_context * context, char ** error);
void lw_memory_share(struct llama_context * context, llama_seq_id from, llama_seq_id to, llama_pos end, char ** error);
llama_pos lw_memory_last(struct llama_context * context, llama_seq_id sequence, char ** error);
llama_pos lw_memory_first(struct llama_context * context, llama_seq_id sequence, char ** error);

// The memory of one sequence as bytes: how many there are, copied out, copied in. Each returns how many bytes it took; 0 is a failure, an
// assertion that llama.cpp caught itself is an error too. One that
// failed to come in leaves the sequence in an unknown state.
size_t lw_state_size(struct llama_context * context, llama_seq_id sequence, char ** error);
size_t lw_state_save(struct llama_context * context, llama_seq_id sequence, uint8_t * bytes, size_t n_bytes, char ** error);
size_t lw_state_restore(struct llama_context * context, llama_seq_id sequence, const uint8_t * bytes, size_t n_bytes, char ** error);

int32_t lw_tokenize(
    const struct llama_vocab * vocab, const char * text, int32_t text_len,
    llama_token * tokens, int32_t n_tokens_max, bool parse_special, char ** error);

// The chat templates of a model, or `source` instead of them when it is not null. A template that goes over a limit of template_watch.cpp is
// an error; the calling thread must have more than its 32 MiB of stack.
struct lw_templates * lw_templates_new(const struct llama_model * model, const char * source, char ** error);
void lw_templates_free(struct lw_templates * templates);

// What the template can write: {"supports_tools": bool, ...} as JSON, to be released with lw_string_free. With "is_tried_out": llama.cpp finds
// out what answers look like by trying the template out, so that what lw_templates_render gives depends on the messages by "prompt" and
// "generation_prompt" only.
char * lw_templates_abilities(const struct lw_templates * templates, char ** error);

// Renders a conversation. `request`: {"messages": [], "tools": [], "tool_choice": "", "parallel_tool_calls": bool, "enable_thinking": bool,
// "variables": {name: JSON text}, "is_continued": bool}, messages and tools in the form of OpenAI's chat completions.
// Returns the fields of common_chat_params as JSON (see rendered_chat), to be released with lw_string_free.
char * lw_templates_render(const struct lw_templates * templates, const char * request, char ** error);

// The "prompt" and "generation_prompt" that lw_templates_render would give, for a small part of its time. Only where "is_tried_out" is true
// and "is_continued" false.
char * lw_templates_write(const struct lw_templates * templates, const char * request, char ** error);

// Takes apart answers in the syntax that lw_templates_render gave: {"format": int, "parser": "", "generation_prompt": ""}.
struct lw_parser * lw_parser_new(const char * description, char ** error);
void lw_parser_free(struct lw_parser * parser);
// Returns {"content": "", "reasoning": "", "tool_calls": [{"name", "arguments", "id"}]}, to be released with lw_string_free.
char * lw_parser_parse(const struct lw_parser * parser, const char * text, size_t text_len, bool is_partial, char ** error);

#ifdef __cplusplus
}
#endif
