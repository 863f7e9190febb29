// Calls llama.cpp's C++ chat code and the C functions that may throw, and turns every exception into an error text.
//
// Holds no state and takes no decisions: what to render and what to do with it is the engine's.

#include "shim.h"

#include "chat.h"
#include "jinja/caps.h"
#include "jinja/lexer.h"
#include "jinja/parser.h"
#include "jinja/runtime.h"
#include "json.h"
#include "log.h"

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

// As chat.cpp of the pinned llama.cpp defines it: there is no other way to the parsed template.
struct common_chat_templates {
    bool                                  add_bos;
    bool                                  add_eos;
    bool                                  has_explicit_template;
    std::unique_ptr<common_chat_template> template_default;
    std::unique_ptr<common_chat_template> template_tool_use;
};

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

// Where the stack was when a template began to run. A macro that calls itself without end would use it up and end the process.
thread_local const char * stack_start    = nullptr;
thread_local bool         was_too_deep   = false;
constexpr std::ptrdiff_t  MOST_STACK     = 8 << 20;

void begin_template() {
    static_assert(sizeof(char) == 1, "distances are bytes");
    const char here = 0;
    stack_start     = &here;
    was_too_deep    = false;
}

// A macro's body that looks how deep it is before it runs.
struct watched_body : public jinja::statement {
    jinja::statements body;

    watched_body(jinja::statements && statements, size_t position) : body(std::move(statements)) { pos = position; }

    std::string type() const override { return "Body"; }

    jinja::value execute_impl(jinja::context & context) const override {
        const char here = 0;
        if (std::abs(stack_start - &here) > MOST_STACK) {
            was_too_deep = true;
            throw std::runtime_error("a macro calls itself without end");
        }
        auto values = jinja::mk_val<jinja::value_array>();
        for (const auto & statement : body) {
            values->push_back(statement->execute(context));
        }
        return values;
    }

    void visit(jinja::context & context) const override { context.visitor(false, this, { { "body", jinja::stmts_to_ptr(body) } }); }
};

// Puts the watch into every macro of a template.
void watch_macros(const jinja::statements & statements) {
    jinja::context walk;
    walk.visitor = [&walk](bool, const jinja::statement * node, std::vector<jinja::visitor_pair> children) {
        for (const auto & [name, list] : children) {
            for (const auto * child : list) {
                if (child != nullptr) {
                    child->visit(walk);
                }
            }
        }
        // The visitor shows what belongs to a template of ours.
        if (auto * macro = const_cast<jinja::macro_statement *>(dynamic_cast<const jinja::macro_statement *>(node))) {
            auto body = std::make_unique<watched_body>(std::move(macro->body), macro->pos);
            macro->body.clear();
            macro->body.push_back(std::move(body));
        }
    };
    for (const auto & statement : statements) {
        statement->visit(walk);
    }
}

// llama.cpp tries a template out before anybody can put the watch in, so this is done here first.
void try_template(const std::string & source) {
    jinja::lexer   lexer;
    jinja::program program = jinja::parse_from_tokens(lexer.tokenize(source));
    watch_macros(program.body);
    begin_template();
    jinja::caps_get(program);
    if (was_too_deep) {
        throw std::runtime_error("a macro calls itself without end");
    }
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
            watch_macros(one->prog.body);
        }
    }
    return templates;
}

} // namespace

struct lw_templates {
    common_chat_templates_ptr templates;
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
        return new lw_templates{ watched_templates(model, source == nullptr ? "" : source) };
    });
}

void lw_templates_free(lw_templates * templates) {
    delete templates;
}

char * lw_templates_abilities(const lw_templates * templates, char ** error) {
    return guarded(error, static_cast<char *>(nullptr), [&] {
        common_json answer = common_json::object();
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
        return copy_text(rendered_chat(params, !inputs.tools.empty()).dump());
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
