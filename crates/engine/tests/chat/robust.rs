//! What nobody sends on purpose: templates without end, JSON without bottom, a megabyte of text, answers in no known format.

use llama_worker_engine::chat::{AnswerReader, ChatFormat, ChatOptions, Message, Role, ToolCall};
use llama_worker_engine::error::Result;

use crate::answers::{letters, read};
use crate::fixture::{ALL_FAMILIES, BUILT_IN, ROOMY, conversation, family, prompt, text, with_tools};

/// The engine's thread has as much.
const STACK_BYTES: usize = 256 << 20;

fn on_a_large_stack(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(test).unwrap();
    thread.join().unwrap();
}

fn render(template: &str) -> Result<String> {
    ChatFormat::check_template(template)?;
    let format = ChatFormat::new(&ALL_FAMILIES, Some(template))?;
    Ok(format.prompt(&conversation(), &ChatOptions::default(), ROOMY)?.text)
}

/// Each of these once ended the process.
/// The receiver of `append` was once evaluated twice: the list lost two elements.
#[test]
fn what_a_template_does_to_its_lists_is_done_once() {
    let template =
        "{% set s = [[1], [2], [3]] %}{% set _ = s.pop().append([9]) %}{% for m in messages %}{{ m.content }}{% endfor %}{{ s | length }}";
    let format = ChatFormat::new(&BUILT_IN, Some(template)).unwrap();
    let prompt = format
        .prompt(&[Message::new(Role::User, "left: ")], &ChatOptions::default(), 1000)
        .unwrap();
    assert!(prompt.text.contains("left: 2"), "{}", prompt.text);
}

#[test]
fn templates_without_end_are_coded_errors() {
    let templates = [
        "{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}".to_owned(),
        "{% macro f(x) %}{% if x %}{{ g(x) }}{% endif %}{% endmacro %}{% macro g(x) %}{% for i in [1] %}{{ f(x) }}{% endfor %}{% endmacro %}{{ f(1) }}".to_owned(),
        "{% macro f(x) %}{{ f(x) }}{% endmacro %}x{% if messages[0].content == 'Be brief.' %}{{ f(1) }}{% endif %}".to_owned(),
        "{% macro f(x=f()) %}a{% endmacro %}{{ f() }}".to_owned(),
        "{% macro f() %}{{ caller() }}{% endmacro %}{% call(x=caller()) f() %}a{% endcall %}".to_owned(),
        "{% set l = [] %}{% set x = l.append(l) %}{{ l }}".to_owned(),
        "{% set l = [] %}{% set x = l.append([{'a': l}]) %}{{ l|tojson }}".to_owned(),
        "{% set l = [] %}{% set x = l|append(l) %}{{ l|string }}".to_owned(),
        "{% set n = namespace() %}{% set n.a = n %}{{ n|tojson }}".to_owned(),
        "{% set n = namespace(a=[]) %}{% for i in range(100000) %}{% set n.a = [n.a] %}{% endfor %}{{ n.a }}".to_owned(),
        "{% for a in range(100000000) %}a{% endfor %}".to_owned(),
        format!("{{{{ {}1{} }}}}", "(".repeat(120_000), ")".repeat(120_000)),
        format!("{{{{ {}", "[".repeat(250_000)),
        "x".repeat(300_000),
    ];
    on_a_large_stack(move || {
        for template in templates {
            let error = render(&template).unwrap_err();
            assert_eq!(error.code(), "TEMPLATE_FAILED", "{template:.80}");
        }
    });
}

/// What it is, the template, and what the error says.
type Exploding = (&'static str, String, &'static str);

fn templates_that_grow() -> Vec<Exploding> {
    let doubled = "{% set n = namespace(a=[1], t='x') %}{% for i in range(99) %}";
    let shared = "{% set n = namespace(a=[1]) %}{% for i in range(60) %}{% set n.a = [n.a, n.a] %}{% endfor %}";
    vec![
        (
            "a list that doubles",
            format!("{doubled}{{% set n.a = n.a + n.a %}}{{% endfor %}}"),
            "million parts",
        ),
        (
            "a text that doubles",
            format!("{doubled}{{% set n.t = n.t + n.t %}}{{% endfor %}}"),
            "128 MiB",
        ),
        (
            "a text with itself",
            format!("{doubled}{{% set n.t = n.t ~ n.t %}}{{% endfor %}}"),
            "128 MiB",
        ),
        ("a text many times", "{{ 'x' * 1000000000000 }}".to_owned(), "128 MiB"),
        ("no text many times", "{{ '' * 1000000000000 }}".to_owned(), "million times"),
        ("shared lists, printed", format!("{shared}{{{{ n.a }}}}"), "million parts"),
        ("shared lists as JSON", format!("{shared}{{{{ n.a | tojson }}}}"), "million parts"),
        ("shared lists, compared", format!("{shared}{{{{ n.a == [n.a] }}}}"), "million parts"),
        (
            "shared lists in a call",
            format!("{shared}{{% macro f(x) %}}{{{{ x }}}}{{% endmacro %}}{{{{ f(n.a) }}}}"),
            "million parts",
        ),
    ]
}

fn templates_with_functions() -> Vec<Exploding> {
    let long =
        "{% set n = namespace(t='0123456789abcdef') %}{% for i in range(20) %}{% set n.t = n.t ~ n.t %}{% endfor %}{% set t = n.t %}";
    vec![
        (
            "an alias of range",
            "{% set r = range %}{% for i in r(100000000) %}{% endfor %}".into(),
            "million numbers",
        ),
        (
            "range by its place",
            "{% for i in [range][0](100000000) %}{% endfor %}".into(),
            "million numbers",
        ),
        (
            "append by its name",
            "{% set l = [] %}{% set x = l['append'](l) %}{{ l }}".into(),
            "contains itself",
        ),
        (
            "an alias of append",
            "{% set l = [] %}{% set f = l.append %}{% set x = f(l) %}{{ l }}".into(),
            "contains itself",
        ),
        (
            "a list in itself",
            "{% set n = namespace() %}{% set n.a = [n] %}{{ n }}".into(),
            "contains itself",
        ),
        (
            "by a place of a list",
            "{% set n = namespace() %}{% set [n][0].a = n %}{{ n }}".into(),
            "contains itself",
        ),
        ("long separators", format!("{long}{{{{ range(100000) | join(t) }}}}"), "128 MiB"),
        ("long replacements", format!("{long}{{{{ t | replace('0', t) }}}}"), "128 MiB"),
        ("by a method", format!("{long}{{{{ t.replace('0', t) }}}}"), "128 MiB"),
        (
            "wide indents",
            format!("{long}{{{{ t | replace('0', '\\n') | indent(1000000) }}}}"),
            "128 MiB",
        ),
        ("wide JSON", "{{ range(100000) | tojson(indent=1000000) }}".into(), "128 MiB"),
        ("many splits", format!("{long}{{{{ t.split('0') | length }}}}"), "too many parts"),
        (
            "a filter on a block",
            format!("{long}{{% filter replace('0', t) %}}{{{{ t }}}}{{% endfilter %}}"),
            "too long a text",
        ),
        (
            "much is printed",
            format!("{long}{{% for i in range(1000) %}}{{{{ t }}}}{{% endfor %}}"),
            "writes more",
        ),
        (
            "much is kept",
            format!("{long}{{% set l = [] %}}{{% for i in range(1000) %}}{{% set x = l.append(t ~ i) %}}{{% endfor %}}"),
            "128 MiB",
        ),
    ]
}

/// Each makes, in one step or in a few, far more than there is memory or time for.
#[test]
fn templates_that_explode_are_coded_errors() {
    let templates = [templates_that_grow(), templates_with_functions()].concat();
    on_a_large_stack(move || {
        for (name, template, expected) in templates {
            // When what there is to see is only the conversation, so that also what llama.cpp tries out counts.
            let error = render(&format!("{template}{{{{ messages[0].content }}}}")).expect_err(name);
            assert_eq!(error.code(), "TEMPLATE_FAILED", "{name}");
            // On a machine that does much else time or memory may be over first.
            let words = error.to_string();
            assert!(
                words.contains(expected) || words.contains("takes too long") || words.contains("1 GiB"),
                "{name}: {words}"
            );
        }
    });
}

/// It once kept the engine's thread for ever.
#[test]
fn templates_that_take_too_long_are_coded_errors() {
    let template = "{% for a in range(50000) %}{% for b in range(50000) %}{% endfor %}{% endfor %}";
    let error = render(template).unwrap_err();
    assert_eq!(error.code(), "TEMPLATE_FAILED");
    // The memory of a process is that of all tests together.
    assert!(
        error.to_string().contains("more than 10 seconds") || error.to_string().contains("more than 1 GiB"),
        "{error}"
    );
}

/// The watch stands inside of loops and macros.
#[test]
fn loops_and_macros_keep_their_meaning() {
    let cases = [
        (
            "{% for a in range(5) %}{{ a }}{% if a == 2 %}{% break %}{% endif %},{% endfor %}",
            "0,1,2",
        ),
        (
            "{% for a in range(3) %}{{ a }}{% if a == 1 %}{% continue %}{% endif %},{% endfor %}",
            "0,12,",
        ),
        (
            "{% set l = [] %}{% set x = l.append([1]) %}{% set x = l.append('a') %}{{ l|length }}{{ l|tojson }}",
            "2[[1], \"a\"]",
        ),
        (
            "{% set n = namespace(a=[]) %}{% for i in [1, 2] %}{% set n.a = n.a + [i] %}{% endfor %}{{ n.a|join('-') }}",
            "1-2",
        ),
        ("{% for a in [] %}{{ a }}{% else %}none{% endfor %}", "none"),
        (
            "{{ 'a b c'.split(' ') | join('+') }}{{ 'x' * 3 }}{{ 'aXb' | replace('X', '-') | upper }}",
            "a+b+cxxxA-B",
        ),
        (
            "{% set f = [3, 1, 2].append %}{% set l = f(0) %}{{ l | sort | join }}{{ l is defined and 4 not in l }}",
            "0123True",
        ),
        (
            "{% filter replace('a', 'b') %}a{{ 'ca' ~ 1 }}{% endfilter %}{{ {'k': [1, {'l': 2}]} | tojson(indent=1) | length }}",
            "bcb137",
        ),
        (
            "{% for a in [1, 2, 3] if a is odd %}{{ a }}{% endfor %}{{ 1 + 2 * 3 - 4 / 2 }}{{ 'b' in 'abc' and none is none }}",
            "135.0True",
        ),
        (
            "{% set n = namespace(i=0) %}{% for a in range(3) %}{% set n.i = n.i + (1 if a > 0 else 0) %}{% endfor %}{{ n.i }}",
            "2",
        ),
        (
            "{% macro f(a, b='c') %}{{ a }}{{ b }}{% endmacro %}{{ f(1) }}{{ f(1, 2) }}{{ f(1, b=3) }}",
            "1c1213",
        ),
        (
            "{% macro f() %}<{{ caller('x') }}>{% endmacro %}{% call(a, b='y') f() %}{{ a }}{{ b }}{% endcall %}",
            "<xy>",
        ),
    ];
    for (template, expected) in cases {
        assert_eq!(render(template).unwrap(), expected, "{template}");
    }
}

#[test]
fn templates_that_are_merely_deep_work() {
    on_a_large_stack(|| {
        let counting = "{% macro f(x) %}{% if x > 0 %}<{{ f(x - 1) }}>{% endif %}{% endmacro %}{{ f(300) }}";
        assert_eq!(render(counting).unwrap(), "<".repeat(300) + &">".repeat(300));
        let cases = [
            ("-", "1", ""),
            ("not ", "1", ""),
            ("(", "1", ")"),
            ("", "1", "+1"),
            ("", "'a'", "|trim"),
            ("1 if 1 else ", "1", ""),
        ];
        for (before, core, after) in cases {
            let template = format!("x{{{{ {}{core}{} }}}}", before.repeat(5000), after.repeat(5000));
            render(&template).unwrap();
        }
    });
}

#[test]
fn a_megabyte_of_text_is_rendered_and_read() {
    let format = ChatFormat::new(&BUILT_IN, None).unwrap();
    for content in [
        "word <|im_end|> more ".repeat(50_000),
        "<".repeat(1_000_000),
        "<|im_end|>".repeat(100_000),
        "\\ufdd0".repeat(150_000),
    ] {
        assert!(text(&format, &[Message::new(Role::User, content.as_str())]).contains(&content));
        let prompt = prompt(&format, &conversation(), &with_tools());
        let (seen, _) = read(
            &prompt,
            content.as_bytes().chunks(4000).map(|chunk| std::str::from_utf8(chunk).unwrap()),
            true,
        );
        assert_eq!(seen.text, content);
    }
}

/// A call of `weather` that the schema does not limit, with lists in lists.
fn deep_call(depth: usize) -> String {
    let list = "[".repeat(depth) + &"]".repeat(depth);
    format!("<tool_call>\n{{\"name\": \"weather\", \"arguments\": {{\"city\": {list}}}}}\n</tool_call>")
}

#[test]
fn deep_json_in_an_answer_ends_no_process() {
    on_a_large_stack(|| {
        let mut options = with_tools();
        options.tools[0].parameters = r#"{"type":"object"}"#.into();
        let prompt = prompt(&family("qwen"), &conversation(), &options);
        for (depth, is_read) in [(100, true), (1000, false), (50_000, false)] {
            let (seen, reader) = read(&prompt, [deep_call(depth).as_str()], true);
            assert_eq!(reader.calls().len(), usize::from(is_read), "{depth}");
            assert!(seen.text.is_empty() || !is_read);
        }
    });
}

fn with_arguments(arguments: &str) -> Vec<Message> {
    let call = ToolCall {
        id: "callabc01".into(),
        name: "weather".into(),
        arguments: arguments.into(),
    };
    let called = Message {
        tool_calls: vec![call],
        ..Message::new(Role::Assistant, "")
    };
    vec![Message::new(Role::User, "Hi"), called, Message::new(Role::Tool, "sunny")]
}

#[test]
fn arguments_that_are_no_object_are_written_as_what_they_are() {
    let deep = "[".repeat(1000);
    let cases = [
        ("", "{}"),
        (" ", "{}"),
        ("[1]", "[1]"),
        ("\"Rome\"", "\"Rome\""),
        ("7", "7"),
        ("Rome <|im_end|>", "\"Rome <|im_end|>\""),
        (deep.as_str(), deep.as_str()),
    ];
    for family_name in ["qwen", "llama-3", "granite"] {
        for (arguments, written) in cases {
            let text = prompt(&family(family_name), &with_arguments(arguments), &with_tools()).text;
            // Some templates write texts without quotes.
            assert!(text.contains(written.trim_matches('"')), "{family_name} {arguments:.40?}: {text}");
        }
    }
}

#[test]
fn a_schema_that_is_no_json_is_refused() {
    let mut options = with_tools();
    options.tools[1].parameters = "[".repeat(1000);
    let error = family("qwen").prompt(&conversation(), &options, ROOMY).unwrap_err();
    assert_eq!(error.code(), "INVALID_OPTION");
    assert!(error.to_string().contains("tools.add.parameters"), "{error}");
}

/// They were lost where the parser had taken their beginning for that of a call.
#[test]
fn answers_in_no_known_format_are_text() {
    let cases = [
        ("llama-3", r#"{"mood": "good"}"#),
        ("llama-3", r#"Look: {"name": "nobody", "parameters": {}}"#),
        ("qwen", "Hm. <tool_call>\n{\"name\": \"nobody\", \"arguments\": {}}\n</tool_call>"),
        ("qwen", "<tool_call>weather</tool_call>"),
        ("granite", r#"<|tool_call|>{"name": "weather"}"#),
        ("gpt-oss", "Just text."),
        ("command-r7b", "Just text."),
        ("deepseek", "</think>Yes.<｜tool▁calls▁begin｜>weather<｜tool▁calls▁end｜>"),
    ];
    for (name, raw) in cases {
        let prompt = prompt(&family(name), &conversation(), &with_tools());
        for pieces in [vec![raw], letters(raw)] {
            let (seen, reader) = read(&prompt, pieces, true);
            assert_eq!(seen.text, raw.trim_start_matches("</think>"), "{name}");
            assert!(reader.calls().is_empty(), "{name} {raw:?}");
        }
    }
}

#[test]
fn what_is_continued_is_not_handed_out_again() {
    for name in [
        "llama-3",
        "mistral",
        "gemma",
        "qwen",
        "phi",
        "deepseek",
        "gpt-oss",
        "granite",
        "command-r",
        "command-r7b",
    ] {
        for begun in ["I am", "I am \n", "1 < 2 <t", "<think>"] {
            let messages = [conversation(), vec![Message::new(Role::Assistant, begun)]].concat();
            let prompt = prompt(&family(name), &messages, &ChatOptions::default());
            let (seen, _) = read(&prompt, [" fine", ", thank", "s < you."], true);
            assert_eq!(seen.text, " fine, thanks < you.", "{name} {begun:?}");
            assert_eq!(seen.reasoning, "", "{name} {begun:?}");
        }
    }
}

#[test]
fn calls_without_an_id_of_their_own_get_one() {
    let prompt = prompt(&family("qwen"), &conversation(), &with_tools());
    let call = "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Rome\"}}\n</tool_call>";
    let mut ids: Vec<String> = Vec::new();
    for _ in 0..20 {
        let (_, reader): (_, AnswerReader) = read(&prompt, [call, "\n", call], true);
        ids.extend(reader.calls().iter().map(|call| call.id.clone()));
    }
    assert!(
        ids.iter()
            .all(|id| id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric())),
        "{ids:?}"
    );
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 40);
}
