//! Schemas: what comes out satisfies them, what cannot be held is refused, and the table in `docs/` says which is which.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::*;

/// Schemas that random choices satisfy in the end.
const SCHEMAS: &[&str] = &[
    "{}",
    "true",
    r#"{"type":"null"}"#,
    r#"{"type":"boolean"}"#,
    r#"{"type":"integer"}"#,
    r#"{"type":"number","minimum":-1.5,"maximum":20}"#,
    r#"{"type":"integer","exclusiveMinimum":0,"exclusiveMaximum":100,"multipleOf":5}"#,
    r#"{"type":"string"}"#,
    r#"{"type":"string","minLength":3,"maxLength":8}"#,
    r#"{"type":"string","pattern":"^[a-c]{2,4}-[0-9]+$"}"#,
    r#"{"type":"string","format":"date"}"#,
    r#"{"type":"string","format":"uuid"}"#,
    r#"{"enum":["red","green",3,null,{"a":1}]}"#,
    r#"{"const":{"b":[1,2],"a":"ä\n"}}"#,
    r#"{"type":["string","null","integer"]}"#,
    r#"{"type":"array","items":{"type":"integer"},"minItems":2,"maxItems":4}"#,
    r#"{"type":"array","prefixItems":[{"type":"boolean"},{"type":"string"}],"items":false,"minItems":2}"#,
    r#"{"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer","minimum":0}},"required":["name"]}"#,
    r#"{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"boolean"}},"required":["a","b"],"additionalProperties":false}"#,
    r#"{"type":"object","properties":{"b":{"type":"boolean"},"a":{"type":"null"}},"additionalProperties":{"type":"integer"}}"#,
    r#"{"type":"object","patternProperties":{"^x_":{"type":"integer"}},"additionalProperties":false}"#,
    r#"{"type":"object","properties":{"a\"b":{"type":"null"},"c":{"type":"null"}},"additionalProperties":false,"minProperties":1}"#,
    r#"{"type":"object","properties":{"a\"b\u0001":{"type":"null"}},"additionalProperties":{"type":"boolean"},"maxProperties":1,"required":["a\"b\u0001"]}"#,
    r#"{"type":"object","properties":{"enum":{"type":"object","minProperties":0,"additionalProperties":false}},"additionalProperties":false}"#,
    r#"{"anyOf":[{"type":"integer"},{"type":"array","items":{"type":"boolean"}}]}"#,
    r#"{"oneOf":[{"type":"object","properties":{"t":{"const":"a"}},"required":["t"]},{"type":"string"}]}"#,
    r#"{"allOf":[{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]},{"properties":{"b":{"type":"string"}},"required":["b"]}]}"#,
    r##"{"$defs":{"node":{"type":"object","properties":{"v":{"type":"integer"},"next":{"anyOf":[{"$ref":"#/$defs/node"},{"type":"null"}]}},"required":["v","next"],"additionalProperties":false}},"$ref":"#/$defs/node"}"##,
    r##"{"definitions":{"s":{"type":"string","maxLength":3}},"type":"array","items":{"$ref":"#/definitions/s"}}"##,
    r#"{"$schema":"https://json-schema.org/draft/2020-12/schema","title":"T","description":"D","type":"object","properties":{"list":{"type":"array","items":{"type":"object","properties":{"id":{"type":"integer"}},"required":["id"]}}},"required":["list"]}"#,
];

/// What a sampler makes of noise in which ends are likely, and whether it ended by itself.
fn walk(schema: &str, options: &SamplingOptions, seed: u64) -> (String, bool) {
    let constraint = Constraint::JsonSchema(schema.into());
    let mut sampler = new_sampler(options, Some(&constraint)).unwrap();
    let vocabulary = model().vocabulary();
    let closes = |token: &Token| {
        vocabulary.is_end_of_generation(*token) || vocabulary.piece(*token).first().is_some_and(|byte| b"\"]},:".contains(byte))
    };
    let closing: Vec<usize> = vocabulary
        .tokens()
        .filter(closes)
        .map(|token| usize::try_from(token.0).unwrap())
        .collect();
    let mut noise = Noise::new(seed);
    let mut bytes = Vec::new();
    for _ in 0..2000 {
        let mut logits = noise.logits();
        for index in &closing {
            logits[*index] += 2.5;
        }
        let token = sampler.sample(&logits).unwrap();
        if model().is_end_of_generation(token) {
            assert!(sampler.is_complete());
            return (String::from_utf8(bytes).unwrap(), true);
        }
        sampler.accept(token).unwrap();
        bytes.extend_from_slice(vocabulary.piece(token));
    }
    (String::from_utf8_lossy(&bytes).into_owned(), false)
}

#[test]
fn answers_that_end_satisfy_their_schema() {
    for schema in SCHEMAS {
        let validator = jsonschema::validator_for(&serde_json::from_str(schema).unwrap()).unwrap();
        let mut n_ended = 0;
        for options in [greedy(), random()] {
            for seed in 0..10 {
                let (text, has_ended) = walk(schema, &options, seed);
                if !has_ended {
                    continue;
                }
                n_ended += 1;
                let value: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{schema} gave {text}: {error}"));
                assert!(validator.is_valid(&value), "{schema} gave {text}");
            }
        }
        assert!(n_ended >= 10, "{schema} ended {n_ended} times of 20");
    }
}

#[test]
fn white_space_cannot_go_on_for_ever() {
    let vocabulary = model().vocabulary();
    let is_space = |token: &Token| vocabulary.piece(*token).first().is_some_and(u8::is_ascii_whitespace);
    let spaces: Vec<(Token, f32)> = vocabulary.tokens().filter(is_space).map(|token| (token, 9.0)).collect();
    let logits = logits(&spaces);
    let schema = r#"{"type":"object","properties":{"a":{"type":"boolean"},"b":{"type":"array","items":{"type":"null"},"minItems":1,"maxItems":1}},"required":["a","b"],"additionalProperties":false}"#;
    let mut sampler = new_sampler(&greedy(), Some(&Constraint::JsonSchema(schema.into()))).unwrap();
    let mut bytes = Vec::new();
    for _ in 0..2000 {
        let token = sampler.sample(&logits).unwrap();
        if model().is_end_of_generation(token) {
            let value: Value = serde_json::from_slice(&bytes).unwrap();
            assert!(value.is_object());
            return;
        }
        sampler.accept(token).unwrap();
        bytes.extend_from_slice(vocabulary.piece(token));
    }
    panic!("no end after {:?}", String::from_utf8_lossy(&bytes));
}

#[test]
fn schemas_that_cannot_be_held_are_refused() {
    let deep = format!("{}{{}}{}", r#"{"items":"#.repeat(500), "}".repeat(500));
    let large = format!(r#"{{"title":"{}"}}"#, "x".repeat(2 << 20));
    let cases = [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[]", "expected an object"),
        ("false", "nothing satisfies"),
        (r#"{"type":"dog"}"#, "dog"),
        (r#"{"type":3}"#, "type"),
        (r#"{"type":"object","required":"a"}"#, "required"),
        (r##"{"$ref":"#/$defs/none"}"##, "none"),
        (r#"{"$ref":"https://example.com/x.json"}"#, "example.com"),
        (r#"{"type":"string","pattern":"("}"#, ""),
        (r#"{"type":"string","pattern":"(?=a)b"}"#, ""),
        (r#"{"type":"string","format":"nonsense"}"#, "nonsense"),
        (r#"{"type":"string","minLength":5,"maxLength":2}"#, ""),
        (r#"{"x-guidance":{"whitespace_pattern":" *"}}"#, "x-guidance"),
        (r#"{"items":{"type":"object","minProperties":1}}"#, "minProperties"),
        (&deep, "recursion limit"),
        (&large, "bytes"),
    ];
    for (schema, expected) in cases {
        let shown = &schema[..schema.len().min(80)];
        match new_sampler(&greedy(), Some(&Constraint::JsonSchema(schema.to_owned()))) {
            Ok(_) => panic!("{shown} was taken"),
            Err(error) => {
                assert_eq!(error.code(), "UNSUPPORTED_SCHEMA", "{shown}: {error}");
                assert!(error.to_string().contains(expected), "{shown}: {error}");
            }
        }
    }
}

/// Schemas whose automaton, or whose grammar, would be too large. Each is refused, or works within its limits.
#[test]
fn schemas_that_explode_end_soon() {
    let alternatives = |n: usize, key: &str| {
        let all: Vec<String> = (0..n)
            .map(|i| format!(r#"{{"properties":{{"{key}{i}":{{"type":"integer"}}}},"required":["{key}{i}"]}}"#))
            .collect();
        all.join(",")
    };
    let product = (0..12)
        .map(|i| format!(r#"{{"anyOf":[{}]}}"#, alternatives(6, &format!("k{i}_"))))
        .collect::<Vec<_>>()
        .join(",");
    let optional = (0..3000)
        .map(|i| format!(r#""p{i}":{{"type":"string"}}"#))
        .collect::<Vec<_>>()
        .join(",");
    let cases = [
        format!(r#"{{"allOf":[{product}]}}"#),
        format!(r#"{{"type":"object","properties":{{{optional}}}}}"#),
        r#"{"type":"string","pattern":"^(.*a.{40}){20}$"}"#.to_owned(),
        r#"{"type":"string","minLength":100000000,"maxLength":100000001}"#.to_owned(),
        r#"{"type":"array","minItems":100000000,"items":{"type":"array","minItems":100000000}}"#.to_owned(),
        r#"{"type":"string","pattern":"^((a{1000}){1000}){1000}$"}"#.to_owned(),
        format!(
            r#"{{"enum":[{}]}}"#,
            (0..50_000).map(|i| format!("\"v{i}\"")).collect::<Vec<_>>().join(",")
        ),
    ];
    for schema in cases {
        let started = Instant::now();
        let shown = &schema[..schema.len().min(60)];
        let made = new_sampler(&greedy(), Some(&Constraint::JsonSchema(schema.clone())));
        let outcome = made.and_then(|mut sampler| {
            let mut noise = Noise::new(3);
            for _ in 0..50 {
                let token = sampler.sample(&noise.logits())?;
                if model().is_end_of_generation(token) {
                    break;
                }
                sampler.accept(token)?;
            }
            Ok(())
        });
        let took = started.elapsed();
        assert!(took < Duration::from_secs(20), "{shown} took {took:?}");
        if let Err(error) = outcome {
            assert!(
                ["UNSUPPORTED_SCHEMA", "CONSTRAINT_FAILED"].contains(&error.code()),
                "{shown}: {error}"
            );
        }
    }
}

#[test]
fn the_documented_table_is_true() {
    let document = include_str!("../../../../../docs/structured-output.md");
    let (_, table) = document.split_once("## Supported keywords").unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| `") || line.starts_with("| other"));
    let mut n_rows = 0;
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [keyword, support, example] = cells[..] else { panic!("{row}") };
        let constraint = Constraint::JsonSchema(example.trim_matches('`').into());
        let made = new_sampler(&greedy(), Some(&constraint));
        let outcome = made.as_ref().map(|_| ()).map_err(|error| (error.code(), error.to_string()));
        match outcome {
            Ok(()) => assert_ne!(support, "no", "{keyword} is supported"),
            Err((code, reason)) => assert_eq!((code, support), ("UNSUPPORTED_SCHEMA", "no"), "{keyword}: {reason}"),
        }
        n_rows += 1;
    }
    assert!(n_rows > 30, "{n_rows} rows");
}

#[test]
fn a_refusal_names_the_keyword() {
    for keyword in [
        "not",
        "if",
        "uniqueItems",
        "contains",
        "propertyNames",
        "dependentRequired",
        "minProperties",
    ] {
        let value = if keyword == "minProperties" { "2" } else { "{}" };
        let schema = format!(r#"{{"type":"object","{keyword}":{value}}}"#);
        let error = new_sampler(&greedy(), Some(&Constraint::JsonSchema(schema))).unwrap_err();
        assert!(error.to_string().contains(keyword), "{keyword}: {error}");
    }
}
