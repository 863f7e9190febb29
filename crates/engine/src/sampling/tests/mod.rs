//! Options and constraints with the built-in model's real tokenizer.

mod schemas;

use std::sync::OnceLock;

use super::*;
use crate::llama::native::NativeGrammar;
use crate::llama::testing::built_in_model;

/// The built-in model, loaded once for all tests.
pub(super) fn model() -> &'static Model {
    static MODEL: OnceLock<Model> = OnceLock::new();
    MODEL.get_or_init(built_in_model)
}

/// Logits that are random but the same for the same seed.
pub(super) struct Noise(u64);

impl Noise {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// From 0 to 8.
    pub(super) fn logits(&mut self) -> Vec<f32> {
        (0..model().info().vocabulary_size).map(|_| self.number() * 8.0).collect()
    }

    /// From 0 to 1, by xorshift.
    fn number(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        f32::from((self.0 >> 48) as u16) / f32::from(u16::MAX)
    }
}

fn new_sampler(options: &SamplingOptions, constraint: Option<&Constraint>) -> Result<Sampler> {
    Sampler::new(options, constraint, model(), &AbortFlag::default())
}

fn new_constrained(constraint: &Constraint) -> Constrained {
    Constrained::new(constraint, model(), &AbortFlag::default()).unwrap().unwrap()
}

fn greedy() -> SamplingOptions {
    SamplingOptions::default()
}

fn random() -> SamplingOptions {
    SamplingOptions {
        temperature: 1.0,
        top_k: 0,
        top_p: 1.0,
        seed: Some(1),
        ..greedy()
    }
}

fn end() -> Token {
    model().vocabulary().end_of_generation()[0]
}

/// A token by its text.
fn token(piece: &str) -> Token {
    let vocabulary = model().vocabulary();
    vocabulary
        .tokens()
        .find(|token| vocabulary.piece(*token) == piece.as_bytes())
        .unwrap()
}

/// Logits of zero, but for these tokens.
fn logits(wanted: &[(Token, f32)]) -> Vec<f32> {
    let mut logits = vec![0.0; model().vocabulary().len()];
    for (token, logit) in wanted {
        logits[usize::try_from(token.0).unwrap()] = *logit;
    }
    logits
}

/// The text that a sampler makes of noise, and whether it ended by itself.
fn walk(options: &SamplingOptions, constraint: &Constraint, seed: u64, max_tokens: usize) -> (String, bool) {
    let mut sampler = new_sampler(options, Some(constraint)).unwrap();
    let mut noise = Noise::new(seed);
    let mut bytes = Vec::new();
    for _ in 0..max_tokens {
        let token = sampler.sample(&noise.logits()).unwrap();
        if model().is_end_of_generation(token) {
            assert!(sampler.is_complete());
            return (String::from_utf8(bytes).unwrap(), true);
        }
        sampler.accept(token).unwrap();
        bytes.extend_from_slice(model().vocabulary().piece(token));
    }
    (String::from_utf8_lossy(&bytes).into_owned(), false)
}

#[test]
fn temperature_zero_is_greedy() {
    for (temperature, is_greedy) in [(0.0, true), (1e-38, true), (9e-4, true), (1e-3, false)] {
        let choice = Choice::new(&SamplingOptions { temperature, ..greedy() }, 10);
        assert_eq!(matches!(choice, Choice::Greedy), is_greedy, "{temperature}");
    }
}

#[test]
fn only_stages_that_do_something_are_built_in_their_order() {
    use SamplerStage::{Distribution, MinP, MirostatV1, MirostatV2, Temperature, TopK, TopNSigma, TopP, TypicalP};
    let xtc = Xtc {
        probability: 0.5,
        threshold: 0.1,
    };
    let all = SamplingOptions {
        temperature: 0.7,
        top_k: 40,
        top_p: 0.9,
        min_p: 0.1,
        typical_p: 0.8,
        top_n_sigma: 2.0,
        xtc: Some(xtc),
        ..greedy()
    };
    let mirostat = |version| SamplingOptions {
        mirostat: Some(Mirostat {
            version,
            ..Mirostat::default()
        }),
        ..all.clone()
    };
    let xtc_stage = SamplerStage::Xtc {
        probability: 0.5,
        threshold: 0.1,
        seed: 0x9E37_79B8,
    };
    let (warm, draw) = (Temperature(0.7), Distribution { seed: 1 });
    let off = SamplingOptions {
        temperature: 0.7,
        xtc: Some(Xtc { probability: 0.0, ..xtc }),
        ..random()
    };
    let (tau, eta, seed) = (5.0, 0.1, 1);
    let cases: [(&SamplingOptions, &[SamplerStage]); 4] = [
        (
            &all,
            &[TopNSigma(2.0), TopK(40), TypicalP(0.8), TopP(0.9), MinP(0.1), xtc_stage, warm, draw],
        ),
        (&off, &[warm, draw]),
        (
            &mirostat(MirostatVersion::V1),
            &[
                warm,
                MirostatV1 {
                    n_vocab: 9,
                    tau,
                    eta,
                    seed,
                },
            ],
        ),
        (&mirostat(MirostatVersion::V2), &[warm, MirostatV2 { tau, eta, seed }]),
    ];
    for (options, expected) in cases {
        assert_eq!(stages(options, 1, 9), expected, "{options:?}");
    }
}

#[test]
fn nothing_is_adjusted_when_nothing_is_asked_for() {
    let neutral = SamplingOptions {
        repeat_penalty: Some(RepeatPenalty {
            penalty: 1.0,
            ..Default::default()
        }),
        dry_repeat_penalty: Some(DryRepeatPenalty {
            strength: 0.0,
            ..Default::default()
        }),
        ..greedy()
    };
    for options in [greedy(), random(), neutral] {
        assert!(new_sampler(&options, None).unwrap().adjustments.is_none(), "{options:?}");
    }
}

#[test]
fn biases_move_tokens_by_number_and_by_text() {
    let (likely, other) = (token("a"), token("b"));
    let logits = logits(&[(likely, 3.0), (other, 2.0)]);
    let bias = |target: BiasTarget, bias: f32| vec![TokenBias { target, bias }];
    let never = f32::NEG_INFINITY;
    let text = |text: &str| BiasTarget::Text(text.into());
    let text_token = model().tokenize("a", false).unwrap();
    assert_eq!(text_token, [likely], "the built-in model has a token for each letter");
    let cases = [
        (vec![], likely),
        (bias(BiasTarget::Token(likely.0), -2.0), other),
        (bias(BiasTarget::Token(likely.0), never), other),
        (bias(text("a"), never), other),
        (bias(text("b"), 1.5), other),
        (bias(text(""), never), likely),
        ([bias(text("b"), 0.75), bias(text("b"), 0.75)].concat(), other),
        (bias(BiasTarget::Token(7), f32::INFINITY), Token::new(7)),
    ];
    for (token_bias, expected) in cases {
        for base in [greedy(), SamplingOptions { top_k: 1, ..random() }] {
            let options = SamplingOptions {
                token_bias: token_bias.clone(),
                ..base
            };
            let mut sampler = new_sampler(&options, None).unwrap();
            assert_eq!(sampler.sample(&logits).unwrap(), expected, "{options:?}");
        }
    }
}

#[test]
fn a_bias_for_what_does_not_exist_is_refused() {
    let n_vocab = i32::try_from(model().vocabulary().len()).unwrap();
    let cases = [
        (BiasTarget::Token(-1), 1.0),
        (BiasTarget::Token(n_vocab), 1.0),
        (BiasTarget::Token(1), f32::NAN),
    ];
    for (target, bias) in cases {
        let options = SamplingOptions {
            token_bias: vec![TokenBias { target, bias }],
            ..greedy()
        };
        let error = new_sampler(&options, None).unwrap_err();
        assert!(
            matches!(&error, Error::InvalidOption { name, .. } if name == "tokenBias"),
            "{error}"
        );
    }
}

#[test]
fn tokens_that_end_the_answer_can_be_ignored() {
    let logits = logits(&[(end(), 9.0), (token("a"), 1.0)]);
    for (ignore_eos, expected) in [(false, end()), (true, token("a"))] {
        for base in [greedy(), SamplingOptions { top_k: 1, ..random() }] {
            let options = SamplingOptions { ignore_eos, ..base };
            let mut sampler = new_sampler(&options, None).unwrap();
            assert_eq!(sampler.sample(&logits).unwrap(), expected, "{options:?}");
        }
    }
}

#[test]
fn penalties_count_the_tokens_of_the_answer_even_when_greedy() {
    let (a, b) = (token("a"), token("b"));
    let options = SamplingOptions {
        repeat_penalty: Some(RepeatPenalty {
            penalty: 2.0,
            ..Default::default()
        }),
        ..greedy()
    };
    let mut sampler = new_sampler(&options, None).unwrap();
    let logits = logits(&[(a, 3.0), (b, 2.0)]);
    assert_eq!(sampler.sample(&logits).unwrap(), a);
    assert_eq!(sampler.sample(&logits).unwrap(), a, "only what is accepted counts");
    sampler.accept(a).unwrap();
    assert_eq!(sampler.sample(&logits).unwrap(), b);
}

#[test]
fn repetitions_are_broken_even_when_greedy() {
    let options = SamplingOptions {
        dry_repeat_penalty: Some(DryRepeatPenalty {
            strength: 10.0,
            ..Default::default()
        }),
        ..greedy()
    };
    let mut sampler = new_sampler(&options, None).unwrap();
    let (a, b, c) = (token("a"), token("b"), token("c"));
    for token in [a, b, c, a, b] {
        sampler.accept(token).unwrap();
    }
    assert_eq!(sampler.sample(&logits(&[(c, 3.0), (a, 2.0)])).unwrap(), a);
}

#[test]
fn one_seed_gives_one_text() {
    let variants = [
        random(),
        SamplingOptions {
            xtc: Some(Xtc {
                probability: 0.5,
                threshold: 0.05,
            }),
            repeat_penalty: Some(RepeatPenalty::default()),
            ..random()
        },
        SamplingOptions {
            mirostat: Some(Mirostat::default()),
            ..random()
        },
    ];
    let texts = |options: &SamplingOptions, seed| {
        let options = SamplingOptions {
            seed: Some(seed),
            ..options.clone()
        };
        let mut sampler = new_sampler(&options, None).unwrap();
        let mut noise = Noise::new(5);
        let mut next = || {
            let token = sampler.sample(&noise.logits()).unwrap();
            sampler.accept(token).unwrap();
            token
        };
        (0..40).map(|_| next()).collect::<Vec<_>>()
    };
    for options in variants {
        assert_eq!(texts(&options, 1), texts(&options, 1), "{options:?}");
        assert_ne!(texts(&options, 1), texts(&options, 2), "{options:?}");
    }
}

#[test]
fn logits_that_are_no_numbers_are_an_error() {
    let grammar = Constraint::Grammar("root ::= [a-z]+".into());
    let mirostat = SamplingOptions {
        mirostat: Some(Mirostat::default()),
        ..random()
    };
    for options in [greedy(), random(), mirostat] {
        for constraint in [None, Some(&grammar)] {
            let mut sampler = new_sampler(&options, constraint).unwrap();
            let error = sampler.sample(&vec![f32::NAN; model().vocabulary().len()]).unwrap_err();
            assert_eq!(error.code(), "DECODE_FAILED", "{options:?}");
        }
    }
}

#[test]
fn answers_match_their_grammar_and_end_with_it() {
    // Each with a check of what may come out.
    type Check = fn(&str) -> bool;
    let cases: [(&str, Check); 6] = [
        ("root ::= \"yes\" | \"no\"", |text| ["yes", "no"].contains(&text)),
        ("root ::= [0-9]{3} \"-\" [0-9]{2}", |text| {
            text.len() == 6
                && text
                    .bytes()
                    .enumerate()
                    .all(|(i, b)| if i == 3 { b == b'-' } else { b.is_ascii_digit() })
        }),
        ("root ::= \"(\" root \")\" | \"\"", |text| {
            let half = text.len() / 2;
            text == "(".repeat(half) + &")".repeat(half)
        }),
        ("root ::= [äöü]{2} \"€\"", |text| {
            text.chars().count() == 3 && text.ends_with('€')
        }),
        (
            "root ::= item (\", \" item){1,2}\nitem ::= [a-z]{1,4} ws\nws ::= [ ]{0,2}",
            |text| text.contains(", "),
        ),
        ("root ::= .{4}", |text| text.chars().count() == 4),
    ];
    for (grammar, check) in cases {
        for options in [
            greedy(),
            random(),
            SamplingOptions {
                ignore_eos: true,
                ..random()
            },
        ] {
            for seed in 0..5 {
                let (text, has_ended) = walk(&options, &Constraint::Grammar(grammar.into()), seed, 400);
                assert!(!has_ended || check(&text), "{grammar} gave {text:?}");
                assert!(has_ended || grammar.contains("root \")\""), "{grammar} did not end: {text:?}");
            }
        }
    }
}

#[test]
fn what_a_grammar_leaves_open_is_chosen_as_without_it() {
    let grammar = Constraint::Grammar("root ::= [a-z]*".into());
    let (a, x, digit) = (token("a"), token("x"), token("7"));
    let mut sampler = new_sampler(&greedy(), Some(&grammar)).unwrap();
    assert_eq!(sampler.sample(&logits(&[(digit, 3.0), (x, 2.0), (a, 1.0)])).unwrap(), x);
    assert_eq!(sampler.sample(&logits(&[(end(), 3.0), (a, 1.0)])).unwrap(), end(), "it may end");
    assert!(sampler.is_complete());
    let error = sampler.accept(digit).unwrap_err();
    assert_eq!(error.code(), "CONSTRAINT_FAILED", "{error}");
    sampler.accept(a).unwrap();
    assert!(sampler.is_complete());
}

#[test]
fn an_answer_ends_only_where_its_grammar_ends() {
    let grammar = Constraint::Grammar("root ::= \"ab\"".into());
    let wishes_to_end = logits(&[(end(), 9.0)]);
    for options in [greedy(), random()] {
        let mut sampler = new_sampler(&options, Some(&grammar)).unwrap();
        let mut text = Vec::new();
        loop {
            let is_complete = text == b"ab";
            assert_eq!(sampler.is_complete(), is_complete);
            let token = sampler.sample(&wishes_to_end).unwrap();
            assert_eq!(model().is_end_of_generation(token), is_complete);
            if is_complete {
                break;
            }
            sampler.accept(token).unwrap();
            text.extend_from_slice(model().vocabulary().piece(token));
        }
        // Nothing fits behind the end, and nothing ends the process.
        assert_eq!(sampler.accept(token("a")).unwrap_err().code(), "CONSTRAINT_FAILED");
        assert!(model().is_end_of_generation(sampler.sample(&wishes_to_end).unwrap()));
    }
}

#[test]
fn nothing_that_fits_is_an_error() {
    let bans_all = SamplingOptions {
        token_bias: model()
            .vocabulary()
            .tokens()
            .filter(|token| model().vocabulary().piece(*token).starts_with(b"a"))
            .map(|token| TokenBias {
                target: BiasTarget::Token(token.0),
                bias: f32::NEG_INFINITY,
            })
            .collect(),
        ..greedy()
    };
    let grammar = Constraint::Grammar("root ::= \"a\"".into());
    let mut sampler = new_sampler(&bans_all, Some(&grammar)).unwrap();
    assert_eq!(sampler.sample(&logits(&[])).unwrap_err().code(), "CONSTRAINT_FAILED");
}

#[test]
fn grammars_that_cannot_be_held_are_refused() {
    for grammar in [
        "",
        "root ::=",
        "root ::= root",
        "root ::= x",
        "root ::= \"a\"{9,1}",
        "root ::= \"\\x00\"",
        "\0",
    ] {
        let made = new_sampler(&greedy(), Some(&Constraint::Grammar(grammar.into())));
        match made {
            Err(error) => assert_eq!(error.code(), "INVALID_GRAMMAR", "{grammar}"),
            // An empty rule matches the empty answer; a zero byte is in no token.
            Ok(mut sampler) => {
                let expected = if grammar == "root ::=" {
                    Ok(true)
                } else {
                    Err("CONSTRAINT_FAILED")
                };
                let ends = sampler.sample(&logits(&[])).map(|token| model().is_end_of_generation(token));
                assert_eq!(ends.map_err(|error| error.code()), expected, "{grammar}");
            }
        }
    }
}

/// What is chosen takes a mask, whose work is looked after; so is that of the beginning.
#[test]
fn an_abort_ends_the_work_of_a_grammar() {
    let grammar = Constraint::Grammar("root ::= ((\"a\"?){0,3000}){0,20} \"!\"".into());
    let abort = AbortFlag::default();
    let sampler = || Sampler::new(&greedy(), Some(&grammar), model(), &abort);
    let mut begun = sampler().unwrap();
    let likes_digits = logits(&[(token("7"), 1.0)]);
    begun.sample(&likes_digits).unwrap();
    abort.set();
    assert_eq!(begun.sample(&likes_digits).unwrap_err().code(), "ABORTED");
    assert_eq!(sampler().unwrap_err().code(), "ABORTED");
}

#[test]
fn what_is_any_but_one_or_any_but_another_is_any() {
    let grammar = Constraint::Grammar("root ::= !<[40]> \"!\" | !<[41]> \"!\"".into());
    let mut one = new_constrained(&Constraint::Grammar("root ::= !<[40]>".into()));
    let mut both = new_constrained(&grammar);
    let allowed = |constrained: &mut Constrained| [40, 41, 42].map(|id| constrained.mask().unwrap().is_allowed(id));
    assert_eq!(allowed(&mut one), [false, true, true]);
    assert_eq!(allowed(&mut both), [true, true, true]);
}

/// Each repetition once had a copy of its own, gigabytes of them.
#[test]
fn a_repetition_of_many_characters_is_written_out_once() {
    let letters: String = (0x4E00..0x9E00_u32).step_by(2).filter_map(char::from_u32).collect();
    let constraint = Constraint::Grammar(format!("root ::= [{letters}]{{10000}}"));
    let mut constrained = new_constrained(&constraint);
    assert!(!constrained.allows(token("a")).unwrap());
}

fn tool_calls(is_lazy: bool, triggers: Vec<GrammarTrigger>, prefill: &str) -> Constraint {
    Constraint::ToolCalls(ToolGrammar {
        grammar: "root ::= \"<tool>\" [a-z]+ \"</tool>\"".into(),
        is_lazy,
        triggers,
        prefill: prefill.into(),
    })
}

/// Feeds the tokens of a text; the number of the first that is refused.
fn feed(sampler: &mut Sampler, text: &str) -> Option<usize> {
    let tokens = model().tokenize(text, true).unwrap();
    tokens.into_iter().position(|token| sampler.accept(token).is_err())
}

#[test]
fn a_lazy_grammar_waits_for_its_trigger() {
    let triggers = [
        GrammarTrigger::Word("<tool>".into()),
        GrammarTrigger::Pattern("(?:hm )?(<tool>)".into()),
        GrammarTrigger::PatternFull("[^<]*(<tool>)".into()),
    ];
    for trigger in triggers {
        let constraint = tool_calls(true, vec![trigger.clone()], "ignored when lazy");
        let mut sampler = new_sampler(&greedy(), Some(&constraint)).unwrap();
        assert_eq!(feed(&mut sampler, "any text at all, "), None);
        assert!(sampler.is_complete(), "no tool call is fine");
        assert_eq!(sampler.sample(&logits(&[(end(), 1.0)])).unwrap(), end());
        assert_eq!(feed(&mut sampler, "<tool>"), None, "{trigger:?}");
        assert!(!sampler.is_complete());
        assert_ne!(sampler.sample(&logits(&[(end(), 1.0)])).unwrap(), end());
        assert_eq!(feed(&mut sampler, "9"), Some(0), "{trigger:?}");
        assert_eq!(feed(&mut sampler, "ab</tool>"), None, "{trigger:?}");
        assert!(sampler.is_complete());
    }
}

#[test]
fn a_prefilled_grammar_begins_behind_the_prompt() {
    let mut sampler = new_sampler(&greedy(), Some(&tool_calls(false, vec![], "<tool>a"))).unwrap();
    assert_eq!(feed(&mut sampler, "b</tool>"), None);
    assert!(sampler.is_complete());
    let error = new_sampler(&greedy(), Some(&tool_calls(false, vec![], "hello"))).unwrap_err();
    assert_eq!(error.code(), "INVALID_GRAMMAR", "{error}");
    let broken = tool_calls(true, vec![GrammarTrigger::Pattern("(".into())], "");
    assert_eq!(new_sampler(&greedy(), Some(&broken)).unwrap_err().code(), "INVALID_GRAMMAR");
}

#[test]
fn tools_without_a_grammar_allow_everything() {
    let constraint = Constraint::ToolCalls(ToolGrammar::default());
    let mut sampler = new_sampler(&greedy(), Some(&constraint)).unwrap();
    assert_eq!(feed(&mut sampler, "anything"), None);
    assert!(sampler.is_complete());
}

/// Long rows once ended the process.
#[test]
fn texts_of_any_length_are_tokenized() {
    let text = "a1".repeat(2_000_000);
    let tokens = model().tokenize_text(&text, false).unwrap();
    let ids: Vec<i32> = tokens.iter().map(|token| token.0).collect();
    assert!(model().detokenize(&ids, false).unwrap() == text.as_bytes());
    let mut options = greedy();
    options.token_bias = vec![TokenBias {
        target: BiasTarget::Text("-".repeat(1_000_000)),
        bias: 1.0,
    }];
    new_sampler(&options, None).unwrap();
    let short = "An ordinary text, with <|im_end|> and all.";
    for parse_special in [true, false] {
        assert_eq!(
            model().tokenize_text(short, parse_special).unwrap(),
            model().tokenize(short, parse_special).unwrap()
        );
    }
}

#[test]
fn a_bias_against_every_token_is_an_error_of_its_own() {
    let mut options = greedy();
    let all = model().vocabulary().tokens();
    options.token_bias = all
        .map(|token| TokenBias {
            target: BiasTarget::Token(token.0),
            bias: f32::NEG_INFINITY,
        })
        .collect();
    let mut sampler = new_sampler(&options, None).unwrap();
    let error = sampler.sample(&logits(&[])).unwrap_err();
    assert_eq!(error.code(), "CONSTRAINT_FAILED");
    assert!(error.to_string().contains("tokenBias"), "{error}");
}

/// llama.cpp's example grammar for JSON, and shapes that are easily got wrong.
const GRAMMARS: [&str; 9] = [
    r#"root ::= object
value ::= object | array | string | number | ("true" | "false" | "null") ws
object ::= "{" ws ( string ":" ws value ("," ws string ":" ws value)* )? "}" ws
array ::= "[" ws ( value ("," ws value)* )? "]" ws
string ::= "\"" ( [^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}) )* "\"" ws
number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,15})? ws
ws ::= | " " | "\n" [ \t]{0,20}"#,
    "root ::= (\"a\" | \"an\" | \"and\") \" \"? root2\nroot2 ::= [a-z]{2,9} (\"s\" | \"\")",
    "root ::= ws* [0-9]+ ws* \"!\"\nws ::= [ \\n]*",
    "root ::= [^a-m]* [é-ü€]? .",
    "root ::= \"<|im_start|>\" [^<]* | <|im_start|> !<|im_start|> [a-z]*",
    "root ::= \"(\" root \")\" | \"(\" root \"]\" | [a-z]",
    "root ::= ((\"a\" | \"b\" [c-f]*){2,4} | \"the \" [^t]+){1,} \".\"",
    "root ::= item+\nitem ::= \"- \" [^\\n]+ \"\\n\"",
    "root ::= \"ä\" | \"ö\" \"😀\" root?",
];

#[test]
fn what_is_allowed_is_what_llama_cpp_allows() {
    let vocabulary = model().vocabulary();
    // llama.cpp lets half characters begin that cannot be finished.
    let is_comparable = |token: &Token| std::str::from_utf8(vocabulary.piece(*token)).is_ok();
    for (seed, grammar) in (0..).zip(GRAMMARS) {
        let mut native = NativeGrammar::new(model(), grammar).unwrap();
        let mut ours = new_constrained(&Constraint::Grammar(grammar.into()));
        let mut noise = Noise::new(seed);
        let mut text = String::new();
        for _ in 0..40 {
            let (mask, theirs) = (ours.mask().unwrap(), native.allowed());
            for token in vocabulary.tokens().filter(is_comparable) {
                let (id, index) = (token.0.unsigned_abs(), usize::try_from(token.0).unwrap());
                let piece = String::from_utf8_lossy(vocabulary.piece(token));
                assert_eq!(
                    mask.is_allowed(id),
                    theirs[index],
                    "token {token} {piece:?} after {text:?} of {grammar}"
                );
                assert_eq!(
                    ours.allows(token).unwrap(),
                    theirs[index],
                    "token {token} {piece:?} after {text:?} of {grammar}"
                );
            }
            let mut logits = noise.logits();
            for token in vocabulary.tokens() {
                let index = usize::try_from(token.0).unwrap();
                if !theirs[index] || !is_comparable(&token) || vocabulary.is_end_of_generation(token) {
                    logits[index] = f32::NEG_INFINITY;
                }
            }
            let Some(token) = argmax(&logits) else { break };
            native.accept(token);
            ours.accept(token).unwrap();
            text.push_str(&String::from_utf8_lossy(vocabulary.piece(token)));
        }
    }
}
