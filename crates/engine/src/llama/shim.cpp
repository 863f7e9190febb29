// Calls llama.cpp's C++ chat code and the C functions that may throw, and turns every exception into an error text.
//
// Holds no state and takes no decisions: what to render and what to do with it is the engine's.

#include "shim.h"

#include "fatal.h"
#include "template_watch.h"

#include "chat-auto-parser.h"
#include "chat.h"
#include "jinja/caps.h"
#include "jinja/lexer.h"
#include "jinja/parser.h"
#include "jinja/runtime.h"
#include "json.h"
#include "log.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

// As chat.cpp of the pinned llama.cpp defines it, which build.rs checks: there is no other way to the parsed template.
struct common_chat_templates {
    bool                                  add_bos;
    bool                                  add_eos;
    bool                                  has_explicit_template;
    std::unique_ptr<common_chat_template> template_default;
    std::unique_ptr<common_chat_template> template_tool_use;
};

namespace {

// Allocates nothing that could throw: it is called where an exception is handled.
char * copy_text(const char * text) {
    const size_t n_bytes = std::strlen(text) + 1;
    char *       copy    = static_cast<char *>(std::malloc(n_bytes));
    if (copy != nullptr) {
        std::memcpy(copy, text, n_bytes);
    }
    return copy;
}

char * copy_text(const std::string & text) {
    return copy_text(text.c_str());
}

// Runs `call`; an exception, or an assertion that fails on this thread, becomes `*error` and the value `failed`.
template <typename Call, typename Result>
Result guarded(char ** error, Result failed, Call call, bool computes_alone = true, bool asks_devices = false) {
    const assertion_catcher catcher(computes_alone, asks_devices);
    try {
        return call();
    } catch (const std::exception & exception) {
        *error = copy_text(exception.what());
    } catch (...) {
        *error = copy_text("an unknown C++ exception");
    }
    return failed;
}

// The same for what returns nothing.
template <typename Call>
void guarded_void(char ** error, Call call, bool asks_devices = false) {
    const auto called = [&] {
        call();
        return 0;
    };
    guarded(error, 0, called, true, asks_devices);
}

// The same for functions that catch exceptions themselves: an assertion that failed in one is no mere failure.
template <typename Call>
size_t guarded_state(char ** error, Call call) {
    return guarded(error, size_t(0), [&] {
        const unsigned before = thrown_assertions();
        const size_t   n_bytes = call();
        if (thrown_assertions() != before) {
            throw std::runtime_error("an assertion of llama.cpp failed on a sequence's state");
        }
        return n_bytes;
    });
}

// llama.cpp tries a template out before anybody can put the watch in, so this is done here first.
void try_template(const std::string & source) {
    jinja::lexer   lexer;
    jinja::program program = jinja::parse_from_tokens(lexer.tokenize(source));
    watch_template(program.body);
    begin_template();
    jinja::caps_get(program);
    end_template();
}

common_chat_templates_ptr watched_templates(const llama_model * model, const std::string & source) {
    const char * own[] = { nullptr, nullptr };
    if (model != nullptr && source.empty()) {
        own[0] = llama_model_chat_template(model, nullptr);
        own[1] = llama_model_chat_template(model, "tool_use");
    }
    for (const std::string & text : { source, std::string(own[0] ? own[0] : ""), std::string(own[1] ? own[1] : "") }) {
        try_template(text);
    }
    auto templates = common_chat_templates_init(model, source);
    for (const auto * one : { templates->template_default.get(), templates->template_tool_use.get() }) {
        if (one != nullptr) {
            watch_template(one->prog.body);
        }
    }
    return templates;
}

// Whether llama.cpp has code of its own for a template. It looks for words in the source first, so one that throws has been recognized.
bool is_known_to_llama_cpp(const common_chat_template * one) {
    if (one == nullptr) {
        return false;
    }
    common_json question   = common_json::object();
    question["role"]       = "user";
    question["content"]    = "?";
    autoparser::generation_params params;
    params.messages = common_json::array();
    params.messages.push_back(question);
    params.add_generation_prompt = true;
    try {
        begin_template();
        return common_chat_try_specialized_template(*one, one->source(), params).has_value();
    } catch (const std::exception &) {
        return true;
    }
}

} // namespace

struct lw_templates {
    common_chat_templates_ptr templates;
    // llama.cpp has no code of its own for the template: it finds out what answers look like by trying the template out, again each time.
    bool is_tried_out;
};

struct lw_parser {
    common_chat_parser_params params;
};

namespace {

common_chat_templates_inputs templates_inputs(const common_json & request) {
    common_chat_templates_inputs inputs;
    inputs.messages            = common_chat_msgs_parse_oaicompat(request.at("messages"));
    inputs.tools               = common_chat_tools_parse_oaicompat(request.at("tools"));
    inputs.tool_choice         = common_chat_tool_choice_parse_oaicompat(request.at("tool_choice").get<std::string>());
    inputs.parallel_tool_calls = request.at("parallel_tool_calls").get<bool>();
    inputs.enable_thinking     = request.at("enable_thinking").get<bool>();
    // Thoughts apart from the answer, in every format that has them.
    inputs.reasoning_format = COMMON_REASONING_FORMAT_DEEPSEEK;
    for (const auto & [name, value] : request.at("variables").items()) {
        inputs.chat_template_kwargs[name] = value.get<std::string>();
    }
    if (request.at("is_continued").get<bool>()) {
        inputs.continue_final_message = COMMON_CHAT_CONTINUATION_CONTENT;
        inputs.add_generation_prompt  = false;
    }
    return inputs;
}

const char * trigger_name(common_grammar_trigger_type type) {
    switch (type) {
        case COMMON_GRAMMAR_TRIGGER_TYPE_WORD:
            return "word";
        case COMMON_GRAMMAR_TRIGGER_TYPE_PATTERN:
            return "pattern";
        case COMMON_GRAMMAR_TRIGGER_TYPE_PATTERN_FULL:
            return "pattern_full";
        default:
            return "token";
    }
}

common_json rendered_chat(const common_chat_params & params, bool has_tools) {
    common_json triggers = common_json::array();
    for (const auto & trigger : params.grammar_triggers) {
        common_json one = common_json::object();
        one["type"]     = trigger_name(trigger.type);
        one["value"]    = trigger.value;
        one["token"]    = trigger.token;
        triggers.push_back(one);
    }
    common_json answer          = common_json::object();
    answer["prompt"]            = params.prompt;
    answer["generation_prompt"] = params.generation_prompt;
    answer["additional_stops"]  = params.additional_stops;
    answer["preserved_tokens"]  = params.preserved_tokens;
    answer["thinking_start"]    = params.thinking_start_tag;
    answer["thinking_ends"]     = params.thinking_end_tags;
    answer["grammar"]           = params.grammar;
    answer["grammar_lazy"]      = params.grammar_lazy;
    answer["grammar_triggers"]  = triggers;
    answer["format"]            = static_cast<int>(params.format);
    answer["parser"]            = params.parser;
    answer["is_plain"]          = !has_tools && !params.supports_thinking && params.preserved_tokens.empty();
    return answer;
}

} // namespace

void lw_string_free(char * text) {
    std::free(text);
}

void lw_set_common_log(bool enabled) {
    common_log_set_verbosity_thold(enabled ? LOG_DEFAULT_DEBUG : -1);
}

bool lw_load_backend(const char * path, char ** error) {
    return guarded(error, false, [&] { return ggml_backend_load(path) != nullptr; }, true, true);
}

void lw_load_backends(const char * folder, char ** error) {
    guarded_void(error, [&] { ggml_backend_load_all_from_path(folder); }, true);
}

void lw_device(size_t index, ggml_backend_dev_props * props, const char ** backend, char ** error) {
    const auto look = [&] {
        const ggml_backend_dev_t device = ggml_backend_dev_get(index);
        ggml_backend_dev_get_props(device, props);
        *backend = ggml_backend_reg_name(ggml_backend_dev_backend_reg(device));
    };
    guarded_void(error, look, true);
}

ggml_threadpool * lw_threadpool_new(
        ggml_threadpool * (*make)(ggml_threadpool_params *), ggml_threadpool_params * params, char ** error) {
    return guarded(error, static_cast<ggml_threadpool *>(nullptr), [&] { return make(params); });
}

llama_model * lw_model_load(const char * path, llama_model_params params, char ** error) {
    return guarded(error, static_cast<llama_model *>(nullptr), [&] { return llama_model_load_from_file(path, params); });
}

uint32_t lw_model_quantize(const char * from, const char * to, const llama_model_quantize_params * params, char ** error) {
    return guarded(error, uint32_t(1), [&] { return llama_model_quantize(from, to, params); });
}

llama_context * lw_context_new(llama_model * model, llama_context_params params, char ** error) {
    return guarded(error, static_cast<llama_context *>(nullptr), [&] { return llama_init_from_model(model, params); });
}

void lw_context_free(llama_context * context, char ** error) {
    // A destructor lets no exception out, but ends the process.
    guarded_void(error, [&] {
        llama_synchronize(context);
        llama_free(context);
    });
}

int32_t lw_decode(llama_context * context, llama_batch batch, char ** error) {
    const bool computes_alone = std::max(llama_n_threads(context), llama_n_threads_batch(context)) <= 1;
    return guarded(error, int32_t(LW_THREW), [&] { return llama_decode(context, batch); }, computes_alone);
}

float * lw_logits(llama_context * context, int32_t index, char ** error) {
    return guarded(error, static_cast<float *>(nullptr), [&] { return llama_get_logits_ith(context, index); });
}

void lw_sample(llama_sampler * sampler, llama_token_data_array * candidates, char ** error) {
    guarded_void(error, [&] { llama_sampler_apply(sampler, candidates); });
}

bool lw_memory_cut(llama_context * context, llama_seq_id sequence, llama_pos from, char ** error) {
    return guarded(error, false, [&] { return llama_memory_seq_rm(llama_get_memory(context), sequence, from, -1); });
}

void lw_memory_clear(llama_context * context, char ** error) {
    guarded_void(error, [&] { llama_memory_clear(llama_get_memory(context), /* data */ false); });
}

void lw_memory_share(llama_context * context, llama_seq_id from, llama_seq_id to, llama_pos end, char ** error) {
    guarded_void(error, [&] { llama_memory_seq_cp(llama_get_memory(context), from, to, -1, end); });
}

llama_pos lw_memory_last(llama_context * context, llama_seq_id sequence, char ** error) {
    return guarded(error, llama_pos(-1), [&] { return llama_memory_seq_pos_max(llama_get_memory(context), sequence); });
}

llama_pos lw_memory_first(llama_context * context, llama_seq_id sequence, char ** error) {
    return guarded(error, llama_pos(-1), [&] { return llama_memory_seq_pos_min(llama_get_memory(context), sequence); });
}

size_t lw_state_size(llama_context * context, llama_seq_id sequence, char ** error) {
    return guarded_state(error, [&] { return llama_state_seq_get_size(context, sequence); });
}

size_t lw_state_save(llama_context * context, llama_seq_id sequence, uint8_t * bytes, size_t n_bytes, char ** error) {
    return guarded_state(error, [&] { return llama_state_seq_get_data(context, bytes, n_bytes, sequence); });
}

size_t lw_state_restore(llama_context * context, llama_seq_id sequence, const uint8_t * bytes, size_t n_bytes, char ** error) {
    return guarded_state(error, [&] { return llama_state_seq_set_data(context, bytes, n_bytes, sequence); });
}

int32_t lw_tokenize(
        const llama_vocab * vocab, const char * text, int32_t text_len,
        llama_token * tokens, int32_t n_tokens_max, bool parse_special, char ** error) {
    return guarded(error, int32_t(LW_THREW), [&] {
        return llama_tokenize(vocab, text, text_len, tokens, n_tokens_max, /* add_special */ false, parse_special);
    });
}

lw_templates * lw_templates_new(const llama_model * model, const char * source, char ** error) {
    return guarded(error, static_cast<lw_templates *>(nullptr), [&] {
        common_chat_templates_ptr templates = watched_templates(model, source == nullptr ? "" : source);
        const bool is_known = is_known_to_llama_cpp(templates->template_default.get()) || is_known_to_llama_cpp(templates->template_tool_use.get());
        return new lw_templates{ std::move(templates), !is_known };
    });
}

void lw_templates_free(lw_templates * templates) {
    delete templates;
}

char * lw_templates_abilities(const lw_templates * templates, char ** error) {
    return guarded(error, static_cast<char *>(nullptr), [&] {
        common_json answer     = common_json::object();
        answer["is_tried_out"] = templates->is_tried_out;
        for (const auto & [name, has] : common_chat_templates_get_caps(templates->templates.get())) {
            answer[name] = has;
        }
        return copy_text(answer.dump());
    });
}

char * lw_templates_render(const lw_templates * templates, const char * request_text, char ** error) {
    return guarded(error, static_cast<char *>(nullptr), [&] {
        begin_template();
        const common_chat_templates_inputs inputs = templates_inputs(common_json::parse(request_text));
        const common_chat_params           params = common_chat_templates_apply(templates->templates.get(), inputs);
        end_template();
        return copy_text(rendered_chat(params, !inputs.tools.empty()).dump());
    });
}

char * lw_templates_write(const lw_templates * templates, const char * request_text, char ** error) {
    return guarded(error, static_cast<char *>(nullptr), [&] {
        begin_template();
        common_chat_templates_inputs inputs = templates_inputs(common_json::parse(request_text));
        // Leaves out the search for what an answer looks like, and nothing else.
        inputs.force_pure_content       = true;
        const common_chat_params params = common_chat_templates_apply(templates->templates.get(), inputs);
        end_template();
        common_json answer          = common_json::object();
        answer["prompt"]            = params.prompt;
        answer["generation_prompt"] = params.generation_prompt;
        return copy_text(answer.dump());
    });
}

lw_parser * lw_parser_new(const char * description_text, char ** error) {
    return guarded(error, static_cast<lw_parser *>(nullptr), [&] {
        const common_json description = common_json::parse(description_text);
        auto              parser      = std::make_unique<lw_parser>();

        parser->params.format            = static_cast<common_chat_format>(description.at("format").get<int>());
        parser->params.reasoning_format  = COMMON_REASONING_FORMAT_DEEPSEEK;
        parser->params.generation_prompt = description.at("generation_prompt").get<std::string>();
        const std::string arena          = description.at("parser").get<std::string>();
        if (!arena.empty()) {
            parser->params.parser.load(arena);
        }
        return parser.release();
    });
}

void lw_parser_free(lw_parser * parser) {
    delete parser;
}

char * lw_parser_parse(const lw_parser * parser, const char * text, size_t text_len, bool is_partial, char ** error) {
    return guarded(error, static_cast<char *>(nullptr), [&] {
        const common_chat_msg message = common_chat_parse(std::string(text, text_len), is_partial, parser->params);

        common_json calls = common_json::array();
        for (const auto & call : message.tool_calls) {
            common_json one  = common_json::object();
            one["name"]      = call.name;
            one["arguments"] = call.arguments;
            one["id"]        = call.id;
            calls.push_back(one);
        }
        common_json answer   = common_json::object();
        answer["content"]    = message.content;
        answer["reasoning"]  = message.reasoning_content;
        answer["tool_calls"] = calls;
        return copy_text(answer.dump());
    });
}
