// Calls llama.cpp's C++ chat code and the C functions that may throw, and turns every exception into an error text.
//
// Holds no state and takes no decisions: what to render and what to do with it is the engine's.

#include "shim.h"

#include "fatal.h"

#include "chat-auto-parser.h"
#include "chat.h"
#include "jinja/caps.h"
#include "jinja/lexer.h"
#include "jinja/parser.h"
#include "jinja/runtime.h"
#include "json.h"
#include "log.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <unordered_set>
#include <utility>
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

char * copy_text(const std::string & text) {
    char * copy = static_cast<char *>(std::malloc(text.size() + 1));
    if (copy != nullptr) {
        std::memcpy(copy, text.c_str(), text.size() + 1);
    }
    return copy;
}

// Runs `call`; an exception, or an assertion that fails on this thread, becomes `*error` and the value `failed`.
template <typename Call, typename Result>
Result guarded(char ** error, Result failed, Call call, bool computes_alone = true) {
    const assertion_catcher catcher(computes_alone);
    try {
        return call();
    } catch (const std::exception & exception) {
        *error = copy_text(exception.what());
    } catch (...) {
        *error = copy_text("an unknown C++ exception");
    }
    return failed;
}

// What a running template may use up: a macro that calls itself without end would end the process, a loop without end would never let go.
constexpr std::uintptr_t       MOST_STACK = 8 << 20;
constexpr std::chrono::seconds MOST_TIME{ 10 };
constexpr std::int64_t         MOST_NUMBERS = 1'000'000;

// Where the stack was when the thread's template began to run, when it must have ended, and what it used up.
thread_local std::uintptr_t                        stack_start = 0;
thread_local std::chrono::steady_clock::time_point deadline;
thread_local const char *                          used_up = nullptr;

std::uintptr_t stack_position() {
    const char here = 0;
    return reinterpret_cast<std::uintptr_t>(&here);
}

void begin_template() {
    stack_start = stack_position();
    deadline    = std::chrono::steady_clock::now() + MOST_TIME;
    used_up     = nullptr;
}

[[noreturn]] void stop_template(const char * reason) {
    used_up = reason;
    throw std::runtime_error(reason);
}

// llama.cpp catches what templates throw where it only tries them out.
void end_template() {
    if (used_up != nullptr) {
        throw std::runtime_error(used_up);
    }
}

void look_at_limits() {
    const std::uintptr_t here = stack_position();
    if (std::max(here, stack_start) - std::min(here, stack_start) > MOST_STACK) {
        stop_template("a macro calls itself without end");
    }
    if (std::chrono::steady_clock::now() > deadline) {
        stop_template("it takes too long: more than 10 seconds");
    }
}

// Stands in front of a body and looks at the limits each time that the body runs.
struct watch_statement : public jinja::statement {
    explicit watch_statement(size_t position) { pos = position; }

    std::string type() const override { return "Watch"; }

    jinja::value execute_impl(jinja::context &) const override {
        look_at_limits();
        return jinja::mk_val<jinja::value_undefined>();
    }
};

// The same for the default of a parameter, which may call the macro that it belongs to.
struct watched_default : public jinja::expression {
    jinja::statement_ptr inner;

    explicit watched_default(jinja::statement_ptr && expression) : inner(std::move(expression)) { pos = inner->pos; }

    jinja::value execute_impl(jinja::context & context) const override {
        look_at_limits();
        return inner->execute(context);
    }

    void visit(jinja::context & context) const override { context.visitor(false, this, { { "inner", { inner.get() } } }); }
};

// A bound of `range`, all of whose numbers are made before the first is used.
struct watched_bound : public jinja::expression {
    jinja::statement_ptr inner;

    explicit watched_bound(jinja::statement_ptr && expression) : inner(std::move(expression)) { pos = inner->pos; }

    jinja::value execute_impl(jinja::context & context) const override {
        jinja::value bound = inner->execute(context);
        if (jinja::is_val<jinja::value_int>(bound) && (bound->as_int() > MOST_NUMBERS || bound->as_int() < -MOST_NUMBERS)) {
            stop_template("a range has more than a million numbers");
        }
        return bound;
    }

    void visit(jinja::context & context) const override { context.visitor(false, this, { { "inner", { inner.get() } } }); }
};

// Looks for `target` in what `value` holds. What holds itself, or is too deep, would use up the stack where it is written or freed.
void look_for_cycle(const jinja::value & value, const jinja::value & target) {
    constexpr int                              DEEPEST = 1000;
    std::vector<std::pair<jinja::value, int>>  open{ { value, 0 } };
    std::unordered_set<const jinja::value_t *> seen;
    while (!open.empty()) {
        const auto [one, depth] = open.back();
        open.pop_back();
        const bool is_array = jinja::is_val<jinja::value_array>(one);
        if ((!is_array && !jinja::is_val<jinja::value_object>(one)) || !seen.insert(one.get()).second) {
            continue;
        }
        if (one.get() == target.get()) {
            stop_template("a value contains itself");
        }
        if (depth > DEEPEST) {
            stop_template("a value is nested deeper than 1000 levels");
        }
        if (is_array) {
            for (const auto & item : one->as_array()) {
                open.emplace_back(item, depth + 1);
            }
        } else {
            for (const auto & pair : one->as_ordered_object()) {
                open.emplace_back(pair.second, depth + 1);
            }
        }
    }
}

// What is put into a list or a namespace: `holder`, which lives as long as the template.
struct watched_value : public jinja::expression {
    jinja::statement_ptr     inner;
    const jinja::statement * holder;

    watched_value(jinja::statement_ptr && expression, const jinja::statement * into) : inner(std::move(expression)), holder(into) {
        pos = inner->pos;
    }

    jinja::value execute_impl(jinja::context & context) const override {
        jinja::value value = inner->execute(context);
        if (jinja::is_val<jinja::value_array>(value) || jinja::is_val<jinja::value_object>(value)) {
            look_for_cycle(value, holder->execute(context));
        }
        return value;
    }

    void visit(jinja::context & context) const override { context.visitor(false, this, { { "inner", { inner.get() } } }); }
};

bool is_named(const jinja::statement_ptr & expression, const char * name) {
    const auto * identifier = jinja::cast_stmt<jinja::identifier>(expression);
    return identifier != nullptr && identifier->val == name;
}

// Whether a receiver can be looked at a second time: one that is called, or popped from a list, would be another then.
bool is_lasting(const jinja::statement * receiver) {
    if (dynamic_cast<const jinja::identifier *>(receiver) != nullptr) {
        return true;
    }
    const auto * member = dynamic_cast<const jinja::member_expression *>(receiver);
    return member != nullptr && jinja::is_stmt<jinja::identifier>(member->property) && is_lasting(member->object.get());
}

void watch_values(jinja::statements & values, const jinja::statement * holder) {
    if (!is_lasting(holder)) {
        return;
    }
    for (auto & value : values) {
        value = std::make_unique<watched_value>(std::move(value), holder);
    }
}

void watch_body(jinja::statements & body, size_t position) {
    body.insert(body.begin(), std::make_unique<watch_statement>(position));
}

void watch_defaults(jinja::statements & parameters) {
    for (auto & parameter : parameters) {
        if (auto * named = jinja::cast_stmt<jinja::keyword_argument_expression>(parameter)) {
            named->val = std::make_unique<watched_default>(std::move(named->val));
        }
    }
}

// Puts the watch into one node of a template.
void watch_node(jinja::statement * node) {
    if (auto * macro = dynamic_cast<jinja::macro_statement *>(node)) {
        watch_body(macro->body, macro->pos);
        watch_defaults(macro->args);
    } else if (auto * call = dynamic_cast<jinja::call_statement *>(node)) {
        watch_body(call->body, call->pos);
        watch_defaults(call->caller_args);
    } else if (auto * loop = dynamic_cast<jinja::for_statement *>(node)) {
        watch_body(loop->body, loop->pos);
    } else if (auto * called = dynamic_cast<jinja::call_expression *>(node)) {
        const auto * method = jinja::cast_stmt<jinja::member_expression>(std::as_const(called->callee));
        if (is_named(called->callee, "range")) {
            for (auto & bound : called->args) {
                bound = std::make_unique<watched_bound>(std::move(bound));
            }
        } else if (method != nullptr && is_named(method->property, "append")) {
            watch_values(called->args, method->object.get());
        }
    } else if (auto * filter = dynamic_cast<jinja::filter_expression *>(node)) {
        auto * applied = jinja::cast_stmt<jinja::call_expression>(filter->filter);
        if (applied != nullptr && is_named(applied->callee, "append")) {
            watch_values(applied->args, filter->operand.get());
        }
    } else if (auto * set = dynamic_cast<jinja::set_statement *>(node)) {
        const auto * member = jinja::cast_stmt<jinja::member_expression>(std::as_const(set->assignee));
        if (member != nullptr && set->val != nullptr && is_lasting(member->object.get())) {
            set->val = std::make_unique<watched_value>(std::move(set->val), member->object.get());
        }
    }
}

// Puts the watch into a template.
void watch(const jinja::statements & statements) {
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
        watch_node(const_cast<jinja::statement *>(node));
    };
    for (const auto & statement : statements) {
        statement->visit(walk);
    }
}

// llama.cpp tries a template out before anybody can put the watch in, so this is done here first.
void try_template(const std::string & source) {
    jinja::lexer   lexer;
    jinja::program program = jinja::parse_from_tokens(lexer.tokenize(source));
    watch(program.body);
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
            watch(one->prog.body);
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
    return guarded(error, false, [&] { return ggml_backend_load(path) != nullptr; });
}

llama_context * lw_context_new(llama_model * model, llama_context_params params, char ** error) {
    return guarded(error, static_cast<llama_context *>(nullptr), [&] { return llama_init_from_model(model, params); });
}

int32_t lw_decode(llama_context * context, llama_batch batch, char ** error) {
    const bool computes_alone = std::max(llama_n_threads(context), llama_n_threads_batch(context)) <= 1;
    return guarded(error, int32_t(LW_THREW), [&] { return llama_decode(context, batch); }, computes_alone);
}

size_t lw_state_size(llama_context * context, llama_seq_id sequence, char ** error) {
    return guarded(error, size_t(0), [&] { return llama_state_seq_get_size(context, sequence); });
}

size_t lw_state_save(llama_context * context, llama_seq_id sequence, uint8_t * bytes, size_t n_bytes, char ** error) {
    return guarded(error, size_t(0), [&] { return llama_state_seq_get_data(context, bytes, n_bytes, sequence); });
}

size_t lw_state_restore(llama_context * context, llama_seq_id sequence, const uint8_t * bytes, size_t n_bytes, char ** error) {
    return guarded(error, size_t(0), [&] { return llama_state_seq_set_data(context, bytes, n_bytes, sequence); });
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
