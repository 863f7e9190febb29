//! What comes out of an answer besides text: thoughts, tool calls, tokens; and what the caller sets about it.

use crate::support::{Events, Worker};
use llama_worker_engine::chat::{ChatOptions, Message, Role, Tool, ToolCall, ToolChoice};
use llama_worker_engine::sampling::Constraint;
use llama_worker_engine::worker::{Event, GenerationOptions, GenerationResult, Input, Job, SessionId, StopReason};

fn prompt(text: &str) -> Input {
    Input::Prompt(text.into())
}

fn tool(name: &str, description: &str, parameter: &str) -> Tool {
    Tool {
        name: name.into(),
        description: description.into(),
        parameters: format!(r#"{{"type":"object","properties":{{"{parameter}":{{"type":"string"}}}},"required":["{parameter}"]}}"#),
    }
}

fn weather() -> GenerationOptions {
    GenerationOptions {
        chat: ChatOptions {
            tools: vec![tool("get_weather", "Get the weather in a city.", "city")],
            ..Default::default()
        },
        ..Default::default()
    }
}

/// The thought and the tool calls' arguments as they came, with the result.
#[derive(Default)]
struct Heard {
    text: String,
    reasoning: String,
    arguments: Vec<String>,
    n_done: usize,
    tokens: Vec<i32>,
}

fn hear(events: &Events<GenerationResult>) -> (Heard, GenerationResult) {
    let mut heard = Heard::default();
    loop {
        match events.next() {
            Event::Text(text) => heard.text.push_str(&text),
            Event::Reasoning(text) => heard.reasoning.push_str(&text),
            Event::Tokens(tokens) => heard.tokens.extend(tokens),
            Event::ToolCall(part) => {
                heard.arguments.resize(heard.arguments.len().max(part.index + 1), String::new());
                heard.arguments[part.index].push_str(&part.arguments);
                heard.n_done += usize::from(part.is_done);
            }
            Event::Started | Event::Progress(_) => {}
            Event::Ended(result) => return (heard, result.unwrap()),
        }
    }
}

fn city_of(call: &ToolCall) -> String {
    let arguments: serde_json::Value = serde_json::from_str(&call.arguments).unwrap();
    arguments["city"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_tool_is_called_and_its_result_answered() {
    let worker = Worker::ready();
    let (heard, result) = hear(&worker.start(prompt("What is the weather in Paris?"), weather()).0);
    assert_eq!((&*result.text, result.stop_reason), ("", StopReason::ToolCalls), "{result:?}");
    let [call] = &result.tool_calls[..] else { panic!("{result:?}") };
    assert_eq!((&*call.name, &*city_of(call)), ("get_weather", "Paris"));
    assert_eq!(
        (heard.arguments, heard.n_done),
        (vec![call.arguments.clone()], 1),
        "the pieces are the arguments"
    );

    let answer = Message::new(Role::Tool, r#"{"temperature": 21, "condition": "sunny"}"#);
    let (_, result) = hear(&worker.start(Input::Messages(vec![answer]), weather()).0);
    assert_eq!(result.stop_reason, StopReason::EogToken, "{result:?}");
    assert!(result.text.contains("sunny") && result.text.contains("Paris"), "{}", result.text);
    let roles: Vec<Role> = worker
        .history(SessionId::DEFAULT)
        .unwrap()
        .iter()
        .map(|message| message.role)
        .collect();
    assert_eq!(roles, [Role::User, Role::Assistant, Role::Tool, Role::Assistant]);
}

#[test]
fn a_turn_that_waits_for_results_can_be_taken_back() {
    let worker = Worker::ready();
    worker.prompt("My name is Ana.");
    let before = worker.history(SessionId::DEFAULT).unwrap();
    worker.start(prompt("What is the weather in Paris?"), weather()).0.end().1.unwrap();
    worker.job(SessionId::DEFAULT, Job::AbandonToolCalls).unwrap();
    assert_eq!(worker.history(SessionId::DEFAULT).unwrap(), before);
}

#[test]
fn tools_are_not_called_when_they_must_not_be() {
    let worker = Worker::ready();
    let mut options = weather();
    options.chat.tool_choice = ToolChoice::None;
    let (_, result) = hear(&worker.start(prompt("What is the weather in Paris?"), options).0);
    assert!(
        result.tool_calls.is_empty() && result.stop_reason == StopReason::EogToken,
        "{result:?}"
    );
}

#[test]
fn tools_are_called_when_they_must_be() {
    let worker = Worker::ready();
    for choice in [ToolChoice::Required, ToolChoice::Named("get_time".into())] {
        let mut options = weather();
        options.chat.tools.push(tool("get_time", "Get the time in a city.", "city"));
        options.chat.tool_choice = choice.clone();
        options.max_tokens = Some(100);
        let (_, result) = hear(&worker.start(prompt("Hello!"), options).0);
        assert!(!result.tool_calls.is_empty(), "{choice:?}: {result:?}");
        if choice != ToolChoice::Required {
            assert!(result.tool_calls.iter().all(|call| call.name == "get_time"), "{result:?}");
        }
    }
}

#[test]
fn no_more_tools_are_called_than_allowed() {
    let worker = Worker::ready();
    let two = "What is the weather in Paris and in Rome?";
    let (heard, result) = hear(&worker.start(prompt(two), weather()).0);
    assert_eq!((result.tool_calls.len(), heard.n_done), (2, 2), "{result:?}");
    worker.job(SessionId::DEFAULT, Job::AbandonToolCalls).unwrap();
    let mut options = weather();
    options.max_tool_calls = Some(1);
    let (heard, result) = hear(&worker.start(prompt(two), options).0);
    assert_eq!((result.tool_calls.len(), heard.n_done), (1, 1), "{result:?}");
    assert_eq!(result.stop_reason, StopReason::ToolCalls);
}

#[test]
fn thoughts_are_kept_apart_from_the_answer() {
    let worker = Worker::ready();
    let question = "What is the capital of France? Think before you answer.";
    let (heard, result) = hear(&worker.start(prompt(question), GenerationOptions::default()).0);
    assert!(!result.reasoning.is_empty(), "{result:?}");
    assert!(result.text.contains("Paris") && !result.text.contains("think"), "{}", result.text);
    assert_eq!((heard.text, heard.reasoning), (result.text.clone(), result.reasoning.clone()));
    assert!(result.usage.reasoning_tokens > 2 && result.usage.reasoning_tokens < result.usage.completion_tokens);
    let history = worker.history(SessionId::DEFAULT).unwrap();
    assert_eq!((&history[1].content, &history[1].reasoning), (&result.text, &result.reasoning));
}

#[test]
fn a_thought_ends_where_its_budget_does() {
    let worker = Worker::ready();
    let think = |thought_tokens: Option<u32>| {
        let options = GenerationOptions {
            thought_tokens,
            max_tokens: Some(200),
            ..Default::default()
        };
        worker.job(SessionId::DEFAULT, Job::Reset).unwrap();
        let question = "What is the capital of France? Think before you answer.";
        hear(&worker.start(prompt(question), options).0).1
    };
    let free = think(None);
    assert!(!free.reasoning.is_empty());
    for budget in 0..4 {
        let short = think(Some(budget));
        assert!(short.reasoning.len() < free.reasoning.len(), "{budget}: {short:?}");
        assert!(free.reasoning.starts_with(short.reasoning.trim()), "{budget}: {short:?}");
        assert!(!short.text.is_empty(), "{budget}: {short:?}");
    }
    assert_eq!(think(Some(1000)).reasoning, free.reasoning);
}

/// A thought that the prompt has opened is free, one that its budget ends does not break the answer's form.
#[test]
fn thoughts_are_free_and_the_answer_keeps_to_its_form() {
    let worker = Worker::ready();
    for (opens, budget) in [(true, None), (true, Some(3)), (false, None), (false, Some(1)), (false, Some(4))] {
        let mut options = GenerationOptions {
            constraint: Some(Constraint::Grammar("root ::= \"yes\" | \"no\"".into())),
            thought_tokens: budget,
            ..Default::default()
        };
        if opens {
            options.chat.variables = vec![("thinking".into(), "true".into())];
        }
        worker.job(SessionId::DEFAULT, Job::Reset).unwrap();
        let question = "What is the capital of France? Think before you answer.";
        let (_, result) = hear(&worker.start(prompt(question), options).0);
        assert!(["yes", "no"].contains(&&*result.text), "{opens} {budget:?}: {result:?}");
        assert!(
            result.is_complete && result.usage.reasoning_tokens > 0,
            "{opens} {budget:?}: {result:?}"
        );
        assert!(budget == Some(1) || result.reasoning.len() > 2, "{opens} {budget:?}: {result:?}");
    }
}

#[test]
fn stop_strings_do_not_end_an_answer_in_its_thought() {
    let worker = Worker::ready();
    let options = GenerationOptions {
        stop_strings: vec!["\n".into(), "capital".into()],
        ..Default::default()
    };
    let question = "What is the capital of France? Think before you answer.";
    let (_, result) = hear(&worker.start(prompt(question), options).0);
    assert_eq!(
        (&*result.text, result.stop_string.as_deref()),
        ("The ", Some("capital")),
        "{result:?}"
    );
    assert!(result.reasoning.contains('a'));
}

/// A stop string that begins an answer was missed behind a thought, when white space belongs to it.
#[test]
fn stop_strings_are_found_right_behind_a_thought() {
    let worker = Worker::ready();
    let options = GenerationOptions {
        constraint: Some(Constraint::Grammar("root ::= \"##\" \"\\n\" \"end\"".into())),
        stop_strings: vec!["##\n".into()],
        ..Default::default()
    };
    let question = "What is the capital of France? Think before you answer.";
    let (_, result) = hear(&worker.start(prompt(question), options).0);
    assert_eq!(
        (&*result.text, result.stop_reason),
        ("", StopReason::CustomStopTrigger),
        "{result:?}"
    );
    assert!(!result.reasoning.is_empty());
}

#[test]
fn calls_of_an_answer_that_was_cut_off_are_not_left_open() {
    let worker = Worker::ready();
    let two = "What is the weather in Paris and in Rome?";
    let (_, whole) = hear(&worker.start(prompt(two), weather()).0);
    worker.job(SessionId::DEFAULT, Job::AbandonToolCalls).unwrap();
    let cut = GenerationOptions {
        max_tokens: Some(u32::try_from(whole.usage.completion_tokens - 4).unwrap()),
        ..weather()
    };
    let (heard, result) = hear(&worker.start(prompt(two), cut).0);
    assert_eq!((result.stop_reason, heard.n_done), (StopReason::MaxTokens, 1), "{result:?}");
    assert!(result.tool_calls.is_empty());
    let history = worker.history(SessionId::DEFAULT).unwrap();
    assert!(history.iter().all(|message| message.tool_calls.is_empty()), "{history:?}");
}

#[test]
fn a_response_prefix_is_kept_once_whatever_follows() {
    let worker = Worker::ready();
    let options = GenerationOptions {
        response_prefix: Some("Sure: ".into()),
        trims_end: true,
        max_tokens: Some(1),
        stop_strings: vec!["T".into(), "a".into(), "e".into(), "i".into(), "o".into()],
        ..Default::default()
    };
    let (_, result) = hear(&worker.start(prompt("What is the capital of France?"), options).0);
    assert!(result.text.starts_with("Sure: "));
    assert_eq!(worker.history(SessionId::DEFAULT).unwrap()[1].content, result.text);
}

#[test]
fn a_response_prefix_begins_the_answer() {
    let worker = Worker::ready();
    let options = GenerationOptions {
        response_prefix: Some("The capital of France".into()),
        ..Default::default()
    };
    let (heard, result) = hear(&worker.start(prompt("What is the capital of France?"), options).0);
    assert_eq!(result.text, "The capital of France is Paris.");
    assert_eq!(heard.text, result.text);
    assert_eq!(worker.history(SessionId::DEFAULT).unwrap()[1].content, result.text);
}

#[test]
fn white_space_at_the_end_can_be_dropped() {
    let worker = Worker::ready();
    let with = |trims_end| GenerationOptions {
        trims_end,
        stop_strings: vec!["is".into()],
        ..Default::default()
    };
    let question = "What is the capital of France?";
    assert_eq!(worker.generate(prompt(question), with(false)).text, "The capital of France ");
    worker.job(SessionId::DEFAULT, Job::Reset).unwrap();
    let trimmed = worker.generate(prompt(question), with(true));
    assert_eq!(
        (&*trimmed.text, trimmed.stop_string.as_deref()),
        ("The capital of France", Some("is"))
    );
}

#[test]
fn tokens_are_handed_out_to_who_asks() {
    let worker = Worker::ready();
    let options = GenerationOptions {
        streams_tokens: true,
        ..Default::default()
    };
    let (heard, result) = hear(&worker.start(prompt("What is the capital of France?"), options).0);
    assert_eq!(
        heard.tokens.len() + 1,
        result.usage.completion_tokens,
        "all but the one that ends the answer"
    );
}
