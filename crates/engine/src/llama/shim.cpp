// Calls llama.cpp's C++ chat code and the C functions that may throw, and turns every exception into an error text.
//
// Holds no state and takes no decisions: what to render and what to do with it is the engine's.

#include "shim.h"

#include "chat.h"
#include "json.h"
#include "log.h"

#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>

namespace {

char * copy_text(const std::string & text) {
    char * copy = static_cast<char *>(std::malloc(text.size() + 1));
    if (copy != nullptr) {
        std::memcpy(copy, text.c_str(), text.size() + 1);
    }
    return copy;
}

// Runs `call`; an exception becomes `*error` and the value `failed`.
template <typename Call, typename Result>
Result guarded(char ** error, Result failed, Call call) {
    try {
        return call();
    } catch (const std::exception & exception) {
        *error = copy_text(exception.what());
    } catch (...) {
        *error = copy_text("an unknown C++ exception");
    }
    return failed;
}

} // namespace

struct lw_templates {
    common_chat_templates_ptr templates;
};

void lw_string_free(char * text) {
    std::free(text);
}

void lw_set_common_log(bool enabled) {
    common_log_set_verbosity_thold(enabled ? LOG_DEFAULT_DEBUG : -1);
}

gguf_context * lw_gguf_open(const char * path, char ** error) {
    return guarded(error, static_cast<gguf_context *>(nullptr), [&] { return gguf_init_from_file(path, { /* no_alloc */ true, /* ctx */ nullptr }); });
}

llama_context * lw_context_new(llama_model * model, llama_context_params params, char ** error) {
    return guarded(error, static_cast<llama_context *>(nullptr), [&] { return llama_init_from_model(model, params); });
}

int32_t lw_decode(llama_context * context, llama_batch batch, char ** error) {
    return guarded(error, int32_t(LW_THREW), [&] { return llama_decode(context, batch); });
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
        return new lw_templates{ common_chat_templates_init(model, source == nullptr ? "" : source) };
    });
}

void lw_templates_free(lw_templates * templates) {
    delete templates;
}

char * lw_templates_render(const lw_templates * templates, const char * request_text, char ** error) {
    return guarded(error, static_cast<char *>(nullptr), [&] {
        const common_json request = common_json::parse(request_text);

        common_chat_templates_inputs inputs;
        inputs.messages = common_chat_msgs_parse_oaicompat(request.at("messages"));
        if (request.at("continue_final_message").get<bool>()) {
            inputs.continue_final_message = COMMON_CHAT_CONTINUATION_CONTENT;
            inputs.add_generation_prompt  = false;
        }
        const common_chat_params params = common_chat_templates_apply(templates->templates.get(), inputs);

        common_json answer = common_json::object();
        answer["prompt"]           = params.prompt;
        answer["additional_stops"] = params.additional_stops;
        return copy_text(answer.dump());
    });
}
