//! How tokens are chosen: the sampling options of a generation.

use llama_worker_engine::sampling::{
    BiasTarget, DryRepeatPenalty, Mirostat, MirostatVersion, RepeatPenalty, SamplingOptions, TokenBias, Xtc,
};

use super::fields::{Any, Fields, elements, invalid, is_list, plain_entries, strings, whole};
use crate::error::{Refusal, Result};

const FROM_0: &str = "a number from 0";
const FROM_0_TO_1: &str = "a number from 0 to 1";
const ABOVE_0: &str = "a number above 0";
const ANY_NUMBER: &str = "a finite number";
const TOKENS_FROM_0: &str = "a whole number of tokens from 0";

/// The smallest number that is still above 0.
const LEAST: f32 = f32::MIN_POSITIVE;

pub(crate) fn sampling(fields: &Fields<'_>) -> Result<SamplingOptions> {
    let defaults = SamplingOptions::default();
    let top_k = fields.integer("topK", i64::from(i32::MIN)..=i64::from(i32::MAX), "a whole number, 0 for no limit")?;
    let number = |name, range, expected, default| Ok::<_, Refusal>(fields.number(name, range, expected)?.unwrap_or(default));
    Ok(SamplingOptions {
        temperature: number("temperature", 0.0..=f32::MAX, FROM_0, defaults.temperature)?,
        top_k: top_k.and_then(|top_k| i32::try_from(top_k).ok()).unwrap_or(defaults.top_k),
        top_p: number("topP", 0.0..=1.0, FROM_0_TO_1, defaults.top_p)?,
        min_p: number("minP", 0.0..=1.0, FROM_0_TO_1, defaults.min_p)?,
        typical_p: number("typicalP", 0.0..=1.0, FROM_0_TO_1, defaults.typical_p)?,
        top_n_sigma: number("topNSigma", f32::MIN..=f32::MAX, ANY_NUMBER, defaults.top_n_sigma)?,
        xtc: xtc(fields)?,
        repeat_penalty: repeat_penalty(fields)?,
        dry_repeat_penalty: dry_repeat_penalty(fields)?,
        mirostat: mirostat(fields)?,
        token_bias: token_bias(fields)?,
        ignore_eos: fields.boolean("ignoreEos")?.unwrap_or(defaults.ignore_eos),
        seed: seed(fields)?,
    })
}

/// A seed, below the value by which llama.cpp means "random".
pub(crate) fn seed(fields: &Fields<'_>) -> Result<Option<u32>> {
    let seed = fields.integer("seed", 0..=i64::from(u32::MAX) - 1, "a whole number from 0 to 4294967294")?;
    Ok(seed.and_then(|seed| u32::try_from(seed).ok()))
}

fn xtc(fields: &Fields<'_>) -> Result<Option<Xtc>> {
    let Some(xtc) = group(fields, "xtc", "{ probability, threshold }")? else {
        return Ok(None);
    };
    let part = |name| required(&xtc, name, 0.0..=1.0, FROM_0_TO_1);
    Ok(Some(Xtc {
        probability: part("probability")?,
        threshold: part("threshold")?,
    }))
}

fn repeat_penalty(fields: &Fields<'_>) -> Result<Option<RepeatPenalty>> {
    let Some(penalty) = group(fields, "repeatPenalty", "false or an object")? else {
        return Ok(None);
    };
    let number = |name| Ok::<_, Refusal>(penalty.number(name, f32::MIN..=f32::MAX, ANY_NUMBER)?.unwrap_or(0.0));
    Ok(Some(RepeatPenalty {
        penalty: penalty.number("penalty", LEAST..=f32::MAX, ABOVE_0)?.unwrap_or(1.1),
        last_tokens: penalty.natural("lastTokens", 0, TOKENS_FROM_0)?.unwrap_or(64),
        frequency_penalty: number("frequencyPenalty")?,
        presence_penalty: number("presencePenalty")?,
        penalize_new_line: penalty.boolean("penalizeNewLine")?.unwrap_or(false),
    }))
}

fn dry_repeat_penalty(fields: &Fields<'_>) -> Result<Option<DryRepeatPenalty>> {
    let Some(dry) = group(fields, "dryRepeatPenalty", "false or an object")? else {
        return Ok(None);
    };
    let breakers = match dry.get("sequenceBreakers")? {
        Some(list) => strings(&list, |place, bad| {
            dry.refused(&format!("sequenceBreakers{place}"), bad, "an array of strings")
        })?,
        None => ["\n", ":", "\"", "*"].map(str::to_owned).to_vec(),
    };
    Ok(Some(DryRepeatPenalty {
        strength: required(&dry, "strength", LEAST..=f32::MAX, ABOVE_0)?,
        base: dry.number("base", 1.0..=f32::MAX, "a number from 1")?.unwrap_or(1.75),
        allowed_length: dry.natural("allowedLength", 0, TOKENS_FROM_0)?.unwrap_or(2),
        last_tokens: dry.natural("lastTokens", 0, "a whole number of tokens from 0, or null for all")?,
        sequence_breakers: breakers,
    }))
}

fn mirostat(fields: &Fields<'_>) -> Result<Option<Mirostat>> {
    const EXPECTED: &str = "false, 1, 2 or { version, tau, eta }";
    let (version, options) = match fields.get("mirostat")? {
        None | Some(Any::A(false)) => return Ok(None),
        Some(object @ Any::F(_)) if !is_list(&object)? => {
            let options = Fields::inside("mirostat", object)?;
            (options.get("version")?, options)
        }
        Some(other) => (Some(other), Fields::of("mirostat", Any::E(()))?),
    };
    let version = match &version {
        None => MirostatVersion::V2,
        Some(version) if whole(version) == Some(1) => MirostatVersion::V1,
        Some(version) if whole(version) == Some(2) => MirostatVersion::V2,
        Some(version) if options.is_given() => return Err(options.refused("version", version, "1 or 2")),
        Some(other) => return Err(fields.refused("mirostat", other, EXPECTED)),
    };
    Ok(Some(Mirostat {
        version,
        tau: options.number("tau", LEAST..=f32::MAX, ABOVE_0)?.unwrap_or(5.0),
        eta: options.number("eta", LEAST..=f32::MAX, ABOVE_0)?.unwrap_or(0.1),
    }))
}

/// Pairs of a token and its bias, or an object keyed by token.
fn token_bias(fields: &Fields<'_>) -> Result<Vec<TokenBias>> {
    const EXPECTED: &str = "an array of [token or text, bias] or an object of biases by token";
    let Some(value) = fields.get("tokenBias")? else {
        return Ok(Vec::new());
    };
    if let Some(list) = elements(&value)? {
        return list.enumerate().map(|(index, pair)| bias_pair(index, &pair?)).collect();
    }
    let by_token = match value {
        Any::F(object) => plain_entries(object)?,
        _ => None,
    };
    let by_token = by_token.ok_or_else(|| fields.refused("tokenBias", &value, EXPECTED))?;
    by_token
        .map(|entry| entry.and_then(|(token, bias)| named_bias(&token, &bias)))
        .collect()
}

fn bias_pair(index: usize, pair: &Any<'_>) -> Result<TokenBias> {
    let name = format!("tokenBias[{index}]");
    let refuse = || invalid(&name, pair, "[token or text, bias]");
    let mut parts = elements(pair)?.ok_or_else(refuse)?;
    let (Some(target), Some(bias), None) = (parts.next(), parts.next(), parts.next()) else {
        return Err(refuse());
    };
    let target = match target? {
        Any::C(text) if !text.is_empty() => BiasTarget::Text(text),
        other => token(&other)
            .map(BiasTarget::Token)
            .ok_or_else(|| invalid(&format!("{name}[0]"), &other, "a token or a text"))?,
    };
    let bias = bias_of(&format!("{name}[1]"), &bias?)?;
    Ok(TokenBias { target, bias })
}

fn named_bias(name: &str, bias: &Any<'_>) -> Result<TokenBias> {
    let token = name.parse::<u32>().ok().and_then(|token| i32::try_from(token).ok());
    let refuse = || invalid("tokenBias", &Any::C(name.to_owned()), "token numbers as keys");
    Ok(TokenBias {
        target: BiasTarget::Token(token.ok_or_else(refuse)?),
        bias: bias_of(&format!("tokenBias.{name}"), bias)?,
    })
}

fn bias_of(name: &str, value: &Any<'_>) -> Result<f32> {
    match value {
        Any::A(false) => Ok(f32::NEG_INFINITY),
        Any::C(word) if word == "never" => Ok(f32::NEG_INFINITY),
        #[expect(clippy::cast_possible_truncation, reason = "llama.cpp's logits are f32")]
        Any::B(number) if (*number as f32).is_finite() => Ok(*number as f32),
        other => Err(invalid(name, other, "a finite number, \"never\" or false")),
    }
}

/// A token's number.
pub(crate) fn token(value: &Any<'_>) -> Option<i32> {
    whole(value).and_then(|token| i32::try_from(token).ok()).filter(|token| *token >= 0)
}

/// An option that is `false` or an object of options.
fn group<'env>(fields: &Fields<'env>, name: &str, expected: &str) -> Result<Option<Fields<'env>>> {
    match fields.get(name)? {
        None | Some(Any::A(false)) => Ok(None),
        Some(object @ Any::F(_)) if !is_list(&object)? => Fields::inside(name, object).map(Some),
        Some(other) => Err(fields.refused(name, &other, expected)),
    }
}

fn required(fields: &Fields<'_>, name: &str, range: std::ops::RangeInclusive<f32>, expected: &str) -> Result<f32> {
    let given = fields.number(name, range, expected)?;
    given.ok_or_else(|| fields.refused(name, &Any::E(()), expected))
}
