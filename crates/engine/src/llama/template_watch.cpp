// Looks at every step of a template before it is taken.
//
// Whatever makes a value gets its operands through nodes of ours, which evaluate each of them once, measure it, and stop the template when the
// step would make too much of it: too many parts, too deep, or too long a text. So no single step uses up the memory or the stack, and between
// two steps time, stack and memory are looked at. Functions are watched where they are called, under whatever name they were reached.

#include "template_watch.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

namespace {

// Until the backend is started nobody says how to tell it; a template can be tried before that.
uint64_t unknown_memory() {
    return 0;
}

uint64_t (*own_memory)(void) = unknown_memory;

using jinja::cast_stmt;
using jinja::cast_val;
using jinja::is_stmt;
using jinja::is_val;
using jinja::statement;
using jinja::statement_ptr;
using jinja::statements;
using jinja::value;

// What a running template may use up.
constexpr std::uintptr_t       MOST_STACK = 32 << 20;
constexpr std::chrono::seconds MOST_TIME{ 10 };
// Of one value, counting what it holds in several places each time: so much is written when it is printed.
constexpr std::int64_t MOST_PARTS = 1'000'000;
constexpr std::int64_t MOST_TEXT  = 128 << 20;
constexpr int          DEEPEST    = 1000;
// Of all that is printed.
constexpr std::int64_t MOST_OUTPUT = 128 << 20;
// Of all that is kept.
constexpr std::int64_t MOST_MEMORY = 1 << 30;
// llama.cpp takes texts apart by moving the rest to the front each time.
constexpr std::int64_t MOST_MOVED = std::int64_t(2) << 30;
// Bytes of a value, apart from its text.
constexpr std::int64_t VALUE_BYTES = 256;

struct usage {
    std::uintptr_t                        stack_start = 0;
    std::chrono::steady_clock::time_point deadline;
    const char *                          used_up = nullptr;
    std::int64_t                          made    = 0;
    std::int64_t                          output  = 0;
    std::int64_t                          unseen  = 0;
    std::uint64_t                         memory  = 0;
    // Operands that were evaluated before their turn, the next one last.
    std::vector<value> held;
};

thread_local usage used;

std::uintptr_t stack_position() {
    const char here = 0;
    return reinterpret_cast<std::uintptr_t>(&here);
}

[[noreturn]] void stop_template(const char * reason) {
    used.used_up = reason;
    throw std::runtime_error(reason);
}

void look_at_limits() {
    if (used.used_up != nullptr) {
        // llama.cpp goes on to try something else, which counts no more.
        throw std::runtime_error(used.used_up);
    }
    const std::uintptr_t here = stack_position();
    if (std::max(here, used.stack_start) - std::min(here, used.stack_start) > MOST_STACK) {
        stop_template("a macro calls itself without end");
    }
    if (std::chrono::steady_clock::now() > used.deadline) {
        stop_template("it takes too long: more than 10 seconds");
    }
}

// Notes what a step makes. What was made in all may be much more than what is kept, so the process is asked.
void note_made(std::int64_t bytes) {
    constexpr std::int64_t STEP = 64 << 20;
    used.made += bytes;
    used.unseen += bytes;
    if (used.made < MOST_MEMORY || used.unseen < STEP) {
        return;
    }
    used.unseen                = 0;
    const std::uint64_t memory = own_memory();
    const bool          grew   = memory > used.memory && memory - used.memory > std::uint64_t(MOST_MEMORY);
    if (grew || (memory == 0 && used.made > 16 * MOST_MEMORY)) {
        stop_template("it uses too much memory: more than 1 GiB");
    }
}

// How much a value is when it is written.
struct extent {
    std::int64_t parts = 0;
    std::int64_t text  = 0;
};

extent measure(const value & whole) {
    extent                                           found;
    std::vector<std::pair<const jinja::value_t *, int>> open;
    const auto take = [&](const value & one, int depth) {
        if (one != nullptr) {
            open.emplace_back(one.get(), depth);
        }
    };
    take(whole, 0);
    while (!open.empty()) {
        const auto [one, depth] = open.back();
        open.pop_back();
        found.parts += 1;
        for (const auto & part : one->val_str.parts) {
            found.text += std::int64_t(part.val.size());
        }
        if (depth > DEEPEST) {
            stop_template("a value is nested deeper than 1000 levels");
        }
        if (found.parts + std::int64_t(open.size() + one->val_arr.size() + one->val_obj.size()) > 2 * MOST_PARTS) {
            stop_template("a value has more than a million parts");
        }
        if (found.text > MOST_TEXT) {
            stop_template("a text is longer than 128 MiB");
        }
        for (const auto & item : one->val_arr) {
            take(item, depth + 1);
        }
        for (const auto & [key, item] : one->val_obj) {
            take(key, depth + 1);
            take(item, depth + 1);
        }
        if (const auto * named = dynamic_cast<const jinja::value_kwarg_t *>(one)) {
            take(named->val, depth + 1);
        }
    }
    return found;
}

// Looks for `target` in what `whole` holds: it would hold itself, and never be freed.
void look_for_cycle(const value & whole, const value & target) {
    std::vector<const jinja::value_t *>        open{ whole.get() };
    std::unordered_set<const jinja::value_t *> seen;
    while (!open.empty()) {
        const jinja::value_t * one = open.back();
        open.pop_back();
        if (one == nullptr || !seen.insert(one).second) {
            continue;
        }
        if (one == target.get()) {
            stop_template("a value contains itself");
        }
        for (const auto & item : one->val_arr) {
            open.push_back(item.get());
        }
        for (const auto & pair : one->val_obj) {
            open.push_back(pair.second.get());
        }
    }
}

// The argument of this name or, when there is none, at this place; null when there is neither.
value argument(const std::vector<value> & values, const char * name, size_t place) {
    for (const auto & one : values) {
        const auto * named = dynamic_cast<const jinja::value_kwarg_t *>(one.get());
        if (named != nullptr && named->key == name) {
            return named->val;
        }
    }
    return place < values.size() ? values[place] : nullptr;
}

std::int64_t whole_number(const value & one) {
    return one != nullptr && is_val<jinja::value_int>(one) ? std::max<std::int64_t>(one->as_int(), 0) : 0;
}

// How long a thing is that is written in front of others: a number of spaces, or a text.
std::int64_t width_of(const value & one) {
    return one == nullptr ? 0 : std::max(whole_number(one), measure(one).text);
}

std::int64_t product(std::int64_t one, std::int64_t other) {
    const bool is_large = one > 0 && other > std::numeric_limits<std::int64_t>::max() / one;
    return is_large ? std::numeric_limits<std::int64_t>::max() / 4 : one * other;
}

std::int64_t occurrences(const value & text, const value & wanted) {
    const std::string whole = is_val<jinja::value_string>(text) ? text->as_string().str() : std::string();
    const std::string part  = wanted != nullptr && is_val<jinja::value_string>(wanted) ? wanted->as_string().str() : std::string(" ");
    if (part.empty()) {
        return std::int64_t(whole.size()) + 1;
    }
    std::int64_t count = 0;
    for (size_t at = whole.find(part); at != std::string::npos; at = whole.find(part, at + part.size())) {
        count += 1;
    }
    return count;
}

void check_range(const std::vector<value> & values) {
    for (const auto & bound : values) {
        if (bound != nullptr && is_val<jinja::value_int>(bound) && std::abs(bound->as_float()) > double(MOST_PARTS)) {
            stop_template("a range has more than a million numbers");
        }
    }
}

// Stops a filter or a function that would make too much. `values`: what it is applied to, then its arguments.
void check_function(const std::string & name, const std::vector<value> & values) {
    extent all;
    for (const auto & one : values) {
        const extent size = measure(one);
        all.parts += size.parts;
        all.text += size.text;
    }
    const value  input = values.empty() ? nullptr : values.front();
    std::int64_t text = all.text, parts = all.parts, moved = 0;
    if (name == "range") {
        check_range(values);
        parts = 2 * MOST_PARTS;
    } else if (name == "append" && values.size() > 1) {
        look_for_cycle(values[1], input);
        parts = 1;
    } else if (name == "join" && input != nullptr) {
        text += product(std::int64_t(input->val_arr.size()), width_of(argument(values, "d", 1)));
    } else if (name == "replace" && values.size() > 2) {
        const std::int64_t count = occurrences(input, values[1]);
        text += product(count, measure(values[2]).text);
        moved = values[1]->val_str.length() == values[2]->val_str.length() ? 0 : product(count, text);
    } else if ((name == "split" || name == "rsplit") && input != nullptr) {
        const std::int64_t count = occurrences(input, argument(values, "sep", 1));
        parts += count;
        moved = product(count, text);
    } else if (name == "indent" && input != nullptr) {
        static const value line_end = jinja::mk_val<jinja::value_string>(std::string("\n"));
        text += product(occurrences(input, line_end) + 1, width_of(argument(values, "width", 1)));
    } else if (name == "tojson" || name == "string" || name == "safe") {
        // Six characters for one at most, and what stands between the parts.
        text = 6 * text + product(parts, 32 + product(DEEPEST, whole_number(argument(values, "indent", 2))));
        if (const value between = argument(values, "separators", 3)) {
            text += product(parts, measure(between).text);
        }
        parts = 1;
    }
    if (text > MOST_TEXT) {
        stop_template("a text is longer than 128 MiB");
    }
    if (parts > 2 * MOST_PARTS) {
        stop_template("a value has more than a million parts");
    }
    if (moved > MOST_MOVED) {
        stop_template("a text has too many parts");
    }
    note_made(text + product(parts, name == "tojson" ? 1 : VALUE_BYTES));
}

// Stops an operation that would make too much.
void check_operation(const std::string & name, const value & left, const value & right) {
    const extent one = measure(left), other = measure(right);
    std::int64_t text = one.text + other.text;
    if (name == "*") {
        text = product(std::max(one.text, other.text), std::max(whole_number(left), whole_number(right)));
        if (one.text == 0 && other.text == 0) {
            text = 0;
            // An empty text that is repeated is one step each time.
            const bool repeats = is_val<jinja::value_string>(left) || is_val<jinja::value_string>(right);
            if (repeats && std::max(whole_number(left), whole_number(right)) > MOST_PARTS) {
                stop_template("a text is repeated more than a million times");
            }
        }
    } else if (name == "~") {
        text += product(one.parts + other.parts, 32);
    }
    if (text > MOST_TEXT) {
        stop_template("a text is longer than 128 MiB");
    }
    note_made(text + std::int64_t(left->val_arr.size() + right->val_arr.size()) * std::int64_t(sizeof(value)) + VALUE_BYTES);
}

// An operand that was evaluated by a `first_operand`, in its turn.
struct held_operand : public jinja::expression {
    explicit held_operand(size_t position) { pos = position; }

    std::string type() const override { return "Held"; }

    value execute_impl(jinja::context &) const override {
        if (used.held.empty()) {
            throw std::runtime_error("an operand is not there");
        }
        value one = std::move(used.held.back());
        used.held.pop_back();
        return one;
    }
};

// Stands in the place of the first operand of a step; evaluates all of them, each once, and lets `check` look at them together.
template <typename Check>
struct first_operand : public jinja::expression {
    statement_ptr first;
    statements    others;
    Check         check;

    first_operand(statement_ptr && operand, statements && rest, Check && look) :
        first(std::move(operand)), others(std::move(rest)), check(std::move(look)) {
        pos = first->pos;
    }

    std::string type() const override { return first->type(); }

    value execute_impl(jinja::context & context) const override {
        look_at_limits();
        std::vector<value> values{ first->execute(context) };
        for (const auto & other : others) {
            values.push_back(other->execute(context));
        }
        check(values);
        used.held.insert(used.held.end(), values.rbegin(), values.rend() - 1);
        return values.front();
    }

    void visit(jinja::context & context) const override {
        context.visitor(false, this, { { "first", { first.get() } }, { "others", jinja::stmts_to_ptr(others) } });
    }
};

template <typename Check>
void hold_operands(statement_ptr & first, std::vector<statement_ptr *> rest, Check check) {
    statements others;
    for (statement_ptr * one : rest) {
        const size_t position = (*one)->pos;
        others.push_back(std::move(*one));
        *one = std::make_unique<held_operand>(position);
    }
    first = std::make_unique<first_operand<Check>>(std::move(first), std::move(others), std::move(check));
}

// An expression whose value is looked at when it is there.
template <typename Check>
struct watched_expression : public jinja::expression {
    statement_ptr inner;
    Check         check;

    watched_expression(statement_ptr && expression, Check && look) : inner(std::move(expression)), check(std::move(look)) { pos = inner->pos; }

    std::string type() const override { return inner->type(); }

    value execute_impl(jinja::context & context) const override {
        look_at_limits();
        return check(inner->execute(context));
    }

    void visit(jinja::context & context) const override { context.visitor(false, this, { { "inner", { inner.get() } } }); }
};

template <typename Check>
void watch_expression(statement_ptr & expression, Check check) {
    if (expression != nullptr) {
        expression = std::make_unique<watched_expression<Check>>(std::move(expression), std::move(check));
    }
}

value measured(const value & one) {
    measure(one);
    note_made(VALUE_BYTES);
    return one;
}

value printed(const value & one) {
    const extent size = measure(one);
    used.output += size.text + 24 * size.parts;
    if (used.output > MOST_OUTPUT) {
        stop_template("it writes more than 128 MiB");
    }
    note_made(size.text);
    return one;
}

// A function that looks at its arguments first. Aliases of built-in functions keep their names.
value watched_function(const value & function) {
    const auto * known = dynamic_cast<const jinja::value_func_t *>(function.get());
    if (known == nullptr) {
        return function;
    }
    return jinja::mk_val<jinja::value_func>(known->name, [function, known](const jinja::func_args & args) {
        std::vector<value> values = args.get_args();
        if (known->arg0 != nullptr) {
            values.insert(values.begin(), known->arg0);
        }
        check_function(known->name, values);
        return known->invoke(args);
    });
}

void watch_body(statements & body) {
    for (auto & one : body) {
        if (dynamic_cast<const jinja::expression *>(one.get()) != nullptr) {
            watch_expression(one, printed);
        }
    }
}

// Stands in front of a body and looks at the limits each time that the body runs.
struct watch_statement : public statement {
    explicit watch_statement(size_t position) { pos = position; }

    std::string type() const override { return "Watch"; }

    value execute_impl(jinja::context &) const override {
        look_at_limits();
        note_made(16 * VALUE_BYTES);
        return jinja::mk_val<jinja::value_undefined>();
    }
};

void watch_repeated_body(statements & body, size_t position) {
    watch_body(body);
    body.insert(body.begin(), std::make_unique<watch_statement>(position));
}

void watch_values(statements & values) {
    for (auto & one : values) {
        watch_expression(one, measured);
    }
}

void watch_defaults(statements & parameters) {
    for (auto & parameter : parameters) {
        if (auto * named = cast_stmt<jinja::keyword_argument_expression>(parameter)) {
            watch_expression(named->val, measured);
        }
    }
}

// A filter's name, and its arguments when it has any.
std::pair<std::string, statements *> filter_parts(statement_ptr & filter) {
    auto * call = cast_stmt<jinja::call_expression>(filter);
    auto * name = call == nullptr ? cast_stmt<jinja::identifier>(filter) : cast_stmt<jinja::identifier>(call->callee);
    return { name == nullptr ? "" : name->val, call == nullptr ? nullptr : &call->args };
}

std::vector<statement_ptr *> pointers(statements * list) {
    std::vector<statement_ptr *> found;
    for (size_t index = 0; list != nullptr && index < list->size(); index++) {
        found.push_back(&(*list)[index]);
    }
    return found;
}

void watch_filter(jinja::filter_expression & filter) {
    auto [name, args] = filter_parts(filter.filter);
    hold_operands(filter.operand, pointers(args), [name = name](const std::vector<value> & values) { check_function(name, values); });
}

// What it is applied to is known only when it has been written; so its arguments are kept small.
void watch_filter_block(jinja::filter_statement & block) {
    watch_body(block.body);
    constexpr std::int64_t LARGEST = 1000;
    for (statement_ptr * argument : pointers(filter_parts(block.filter).second)) {
        watch_expression(*argument, [](const value & one) {
            if (width_of(one) > LARGEST || product(used.output, LARGEST) > std::int64_t(200) * MOST_TEXT) {
                stop_template("a filter is applied to too long a text");
            }
            return one;
        });
    }
}

void watch_operation(jinja::binary_expression & operation) {
    const std::string name = operation.op.value;
    // These evaluate their second operand only when the first does not decide.
    if (name != "and" && name != "or") {
        hold_operands(operation.left, { &operation.right },
                      [name](const std::vector<value> & values) { check_operation(name, values[0], values[1]); });
    }
}

// What is set in a namespace is held until the namespace has been evaluated, which comes later.
void watch_set(jinja::set_statement & set) {
    watch_body(set.body);
    auto * member = cast_stmt<jinja::member_expression>(set.assignee);
    if (set.val == nullptr) {
        return;
    }
    if (member == nullptr) {
        return watch_expression(set.val, measured);
    }
    watch_expression(set.val, [](const value & one) {
        measured(one);
        used.held.push_back(one);
        return one;
    });
    watch_expression(member->object, [](const value & holder) {
        if (!used.held.empty()) {
            const value one = std::move(used.held.back());
            used.held.pop_back();
            look_for_cycle(one, holder);
        }
        return holder;
    });
}

void watch_test(jinja::test_expression & test) {
    watch_expression(test.operand, measured);
    if (statements * args = filter_parts(test.test).second) {
        watch_values(*args);
    }
}

// Puts the watch into one node of a template.
void watch_node(statement * node) {
    if (auto * macro = dynamic_cast<jinja::macro_statement *>(node)) {
        watch_repeated_body(macro->body, macro->pos);
        watch_defaults(macro->args);
    } else if (auto * block = dynamic_cast<jinja::call_statement *>(node)) {
        watch_repeated_body(block->body, block->pos);
        watch_defaults(block->caller_args);
    } else if (auto * loop = dynamic_cast<jinja::for_statement *>(node)) {
        watch_repeated_body(loop->body, loop->pos);
        watch_body(loop->default_block);
    } else if (auto * choice = dynamic_cast<jinja::if_statement *>(node)) {
        watch_body(choice->body);
        watch_body(choice->alternate);
    } else if (auto * call = dynamic_cast<jinja::call_expression *>(node)) {
        watch_expression(call->callee, watched_function);
    } else if (auto * filter = dynamic_cast<jinja::filter_expression *>(node)) {
        watch_filter(*filter);
    } else if (auto * filtered = dynamic_cast<jinja::filter_statement *>(node)) {
        watch_filter_block(*filtered);
    } else if (auto * operation = dynamic_cast<jinja::binary_expression *>(node)) {
        watch_operation(*operation);
    } else if (auto * test = dynamic_cast<jinja::test_expression *>(node)) {
        watch_test(*test);
    } else if (auto * set = dynamic_cast<jinja::set_statement *>(node)) {
        watch_set(*set);
    } else if (auto * chosen = dynamic_cast<jinja::select_expression *>(node)) {
        watch_expression(chosen->test, measured);
    } else if (auto * list = dynamic_cast<jinja::array_literal *>(node)) {
        watch_values(list->val);
    } else if (auto * object = dynamic_cast<jinja::object_literal *>(node)) {
        for (auto & pair : object->val) {
            watch_expression(pair.second, measured);
        }
    }
}

} // namespace

extern "C" void lw_measure_memory_by(uint64_t (*measure)(void)) {
    own_memory = measure;
}

void begin_template() {
    used             = usage{};
    used.stack_start = stack_position();
    used.deadline    = std::chrono::steady_clock::now() + MOST_TIME;
    used.memory      = own_memory();
}

void end_template() {
    const char * reason = used.used_up;
    used.held.clear();
    if (reason != nullptr) {
        throw std::runtime_error(reason);
    }
}

void watch_template(const statements & program) {
    std::vector<statement *>              nodes;
    std::unordered_set<const statement *> named;
    jinja::context                        walk;
    walk.visitor = [&](bool, const statement * node, std::vector<jinja::visitor_pair> children) {
        for (const auto & [name, list] : children) {
            for (const auto * child : list) {
                if (child != nullptr) {
                    child->visit(walk);
                }
            }
        }
        // The visitor shows what belongs to a template of ours.
        nodes.push_back(const_cast<statement *>(node));
        // Filters and tests with arguments have the form of calls, and are none.
        if (const auto * filter = dynamic_cast<const jinja::filter_expression *>(node)) {
            named.insert(filter->filter.get());
        } else if (const auto * block = dynamic_cast<const jinja::filter_statement *>(node)) {
            named.insert(block->filter.get());
        } else if (const auto * test = dynamic_cast<const jinja::test_expression *>(node)) {
            named.insert(test->test.get());
        }
    };
    for (const auto & one : program) {
        one->visit(walk);
    }
    for (statement * node : nodes) {
        if (named.count(node) == 0) {
            watch_node(node);
        }
    }
    watch_body(const_cast<statements &>(program));
}
