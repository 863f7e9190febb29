//! What the values in a model file have to be, so that llama.cpp's assertions hold and its arithmetic stays inside its arrays.
//!
//! Each rule stands for a place at which llama.cpp would end the process, or read where nothing is. What it refuses by itself, with a reason,
//! is left to it.

use std::borrow::Cow;
use std::collections::HashSet;

use super::reader::{Header, Items, Number, Result, Tensor, Value, ValueKind, shown_text};
use super::types;

/// llama.cpp's `LLAMA_MAX_LAYERS` and `LLAMA_MAX_EXPERTS`.
const MOST_LAYERS: i128 = 512;
const MOST_EXPERTS: i128 = 1024;
/// Far above any model; below, products of these stay inside 64 bits.
const WIDEST_EMBEDDING: i128 = 1 << 20;
const WIDEST_HEAD: i128 = 1 << 16;
const MOST_TOKENS: i128 = i32::MAX as i128;

const TOKENS: &str = "tokenizer.ggml.tokens";

/// Checks a file of `length` bytes.
pub(super) fn check(header: &Header, length: u64) -> Result<()> {
    check_split(header)?;
    check_extents(header, length)?;
    check_vocabulary(header)?;
    header.tensors.iter().try_for_each(check_format)?;
    if part_of_split(header).0 > 0 {
        // Only the first part says what the model is.
        return Ok(());
    }
    let model = Model::of(header)?;
    model.check_sizes()?;
    model.check_attention()?;
    model.check_experts()?;
    model.check_numbers()?;
    check_embedding(&model)
}

/// The bytes of all tensors.
pub(super) fn weight_bytes(header: &Header) -> u64 {
    header.tensors.iter().fold(0, |sum, tensor| sum.saturating_add(tensor.bytes))
}

/// Which part of a split model this is, counted from 0, and how many there are; 1 for a whole one.
pub(super) fn part_of_split(header: &Header) -> (i128, i128) {
    let number = |key| match header.value(key) {
        Some(Value::Number(Number::Whole(number))) => Some(*number),
        _ => None,
    };
    (number("split.no").unwrap_or(0), number("split.count").unwrap_or(0).max(1))
}

/// Only such a part may have no weights itself.
fn check_split(header: &Header) -> Result<()> {
    let (_, parts) = part_of_split(header);
    if header.tensors.is_empty() && parts <= 1 {
        return Err("it holds a vocabulary only, no weights".into());
    }
    Ok(())
}

fn check_extents(header: &Header, length: u64) -> Result<()> {
    for tensor in &header.tensors {
        let end = tensor
            .offset
            .checked_add(tensor.bytes)
            .and_then(|end| end.checked_add(header.data_offset));
        if end.is_none_or(|end| end > length) {
            return Err(format!("it ends inside its weights, after {length} bytes"));
        }
    }
    Ok(())
}

/// llama.cpp asserts that no two tokens have the same text, as it sees it: up to a zero, and with a name for an empty one.
fn check_vocabulary(header: &Header) -> Result<()> {
    let texts = match header.value(TOKENS) {
        None => return Ok(()),
        Some(Value::List {
            items: Items::Texts(texts),
            ..
        }) => texts,
        Some(_) => return Err("its vocabulary is no list of texts".into()),
    };
    let mut seen = HashSet::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
        let text = match text {
            [] => Cow::Owned(format!("[EMPTY_{index}]").into_bytes()),
            text => Cow::Borrowed(text),
        };
        if let Some(twice) = seen.replace(text) {
            return Err(format!("its vocabulary has the token `{}` twice", shown_text(&twice)));
        }
    }
    check_beside_tokens(header, texts.len() as u64)
}

/// What is said about each token must be said about all.
fn check_beside_tokens(header: &Header, n_tokens: u64) -> Result<()> {
    let kinds: [(&str, &[ValueKind]); 2] = [
        ("tokenizer.ggml.scores", &[ValueKind::F32, ValueKind::I32]),
        ("tokenizer.ggml.token_type", &[ValueKind::I32]),
    ];
    for (key, wanted) in kinds {
        match header.value(key) {
            None => {}
            Some(Value::List { kind, length, .. }) if wanted.contains(kind) && *length >= n_tokens => {}
            Some(other) => {
                let shown = other.shown();
                return Err(format!(
                    "its `{key}` is {shown}, expected a list of {n_tokens} numbers, one a token"
                ));
            }
        }
    }
    Ok(())
}

/// The token embedding is the one tensor that every model has.
fn check_embedding(model: &Model<'_>) -> Result<()> {
    const NAME: &str = "token_embd.weight";
    let Some(tensor) = model.header.tensors.iter().find(|tensor| tensor.name == NAME) else {
        return Ok(());
    };
    let Some(Value::List { length, .. }) = model.header.value(TOKENS) else {
        return Ok(());
    };
    if tensor.dimensions[1] != *length || tensor.dimensions[2] != 1 || tensor.dimensions[3] != 1 {
        let [width, rows, ..] = tensor.dimensions;
        return Err(format!("its `{NAME}` is {width} × {rows}, but its vocabulary has {length} tokens"));
    }
    Ok(())
}

/// ggml's processor backend multiplies matrices by the formats that it has code for, and computes everything else with 32-bit numbers only: it asserts
/// that, in the middle of an evaluation, or reads whatever is there as such numbers.
fn check_format(tensor: &Tensor) -> Result<()> {
    let name = &tensor.name;
    // Numbers of tokens, experts or rows, which are looked up.
    if TABLES.iter().any(|table| name.contains(table)) {
        return Ok(());
    }
    if !tensor.format.multiplies {
        return Err(format!(
            "its tensor `{name}` has the number format {}, with which nothing can be computed",
            tensor.format_number
        ));
    }
    if tensor.format_number != types::F32 && is_no_matrix(tensor) {
        return Err(format!(
            "its tensor `{name}` has the number format {}, expected 32-bit numbers",
            tensor.format_number
        ));
    }
    Ok(())
}

const TABLES: [&str; 3] = ["tid2eid", "d2t", "masked_embd_ordering"];

/// Matrices of one row, by which a text gets a single number.
const SCORES: [&str; 3] = ["cls", "cls.output", "decision.scorer_out"];

/// Whether a tensor takes part in something else than the product of a matrix. Converters write those as 32-bit numbers, and quantization leaves them so.
fn is_no_matrix(tensor: &Tensor) -> bool {
    let (role, last) = tensor.name.rsplit_once('.').unwrap_or(("", &tensor.name));
    let (role, is_bias) = match last {
        "weight" => (role, false),
        "bias" => (role, true),
        _ => (tensor.name.as_str(), false),
    };
    let (is_norm, is_score) = (role.ends_with("norm"), SCORES.contains(&role));
    let role = role.rsplit_once('.').map_or(role, |(_, role)| role);
    // However many dimensions the file states: llama.cpp adds ones to them. The row by which a mixture weighs its shared expert is a matrix too.
    let is_row = tensor.dimensions[1..] == [1; 3] && !is_score && !role.starts_with("ffn_gate_inp");
    let is_of_state = ["ssm_a", "ssm_d"].contains(&role) || role.starts_with("ssm_conv1d") || tensor.name.contains("shortconv.conv.");
    let is_mixed_in = ["time_mix_lerp", "channel_mix_lerp", "time_mix_first"]
        .iter()
        .any(|part| role.starts_with(part));
    is_row || is_bias || is_norm || is_of_state || is_mixed_in
}

/// The metadata of an architecture.
struct Model<'header> {
    header: &'header Header,
    architecture: String,
    layers: i128,
}

impl<'header> Model<'header> {
    fn of(header: &'header Header) -> Result<Self> {
        const KEY: &str = "general.architecture";
        let architecture = match header.value(KEY) {
            Some(Value::Text(text)) if !text.is_empty() && !text.contains(&0) => String::from_utf8_lossy(text).into_owned(),
            Some(other) => return Err(format!("its `{KEY}` is {}, expected a name", other.shown())),
            None => return Err(format!("its metadata has no `{KEY}`")),
        };
        let mut model = Self {
            header,
            architecture,
            layers: 0,
        };
        model.layers = model.required("block_count", 1..=MOST_LAYERS)?;
        Ok(model)
    }

    fn check_sizes(&self) -> Result<()> {
        self.required("context_length", 1..=MOST_TOKENS)?;
        self.required("embedding_length", 1..=WIDEST_EMBEDDING)?;
        for key in ["attention.key_length", "attention.value_length"] {
            self.optional(key, 1..=WIDEST_HEAD)?;
        }
        self.optional("nextn_predict_layers", 0..=self.layers)?;
        Ok(())
    }

    /// Heads are numbered by 32 bits without a sign; keys and values are shared by whole groups of them.
    fn check_attention(&self) -> Result<()> {
        let heads = self.each_layer("attention.head_count", 0..=WIDEST_EMBEDDING)?;
        let shared = self.each_layer("attention.head_count_kv", 0..=WIDEST_EMBEDDING)?;
        let pairs = (0..heads.len().max(shared.len())).map(|layer| (at(&heads, layer), at(&shared, layer)));
        for (heads, shared) in pairs {
            if shared > 0 && heads > 0 && heads % shared != 0 {
                return Err(format!("it has {heads} attention heads over {shared} keys, expected a multiple"));
            }
        }
        Ok(())
    }

    fn check_experts(&self) -> Result<()> {
        let experts = self.optional("expert_count", 0..=MOST_EXPERTS)?.unwrap_or(0);
        if experts <= 1 && ["hunyuan-dense", "hunyuan_vl"].contains(&self.architecture.as_str()) {
            // llama.cpp forgets that single expert, and how many of it are used, but not its groups.
            self.optional("expert_group_count", 0..=0)?;
            return Ok(());
        }
        let used = self.each_layer("expert_used_count", 0..=experts)?;
        if experts > 0 && used.iter().all(|used| *used == 0) {
            return Err(format!("it has {experts} experts and uses none of them"));
        }
        let groups = self.optional("expert_group_count", 0..=experts)?.unwrap_or(0);
        let used_groups = self.optional("expert_group_used_count", 0..=experts)?.unwrap_or(0);
        let are_even = groups <= 1 || (experts % groups == 0 && (1..groups).contains(&used_groups));
        if (experts > 0 && groups >= experts) || !are_even {
            return Err(format!(
                "it has {experts} experts in {groups} groups, of which it uses {used_groups}"
            ));
        }
        Ok(())
    }

    fn check_numbers(&self) -> Result<()> {
        for key in ["layer_norm_epsilon", "layer_norm_rms_epsilon", "group_norm_epsilon"] {
            let key = self.key(&format!("attention.{key}"));
            match self.header.value(&key) {
                None => {}
                Some(Value::Number(Number::Fraction(number))) if number.is_finite() && *number >= 0.0 => {}
                Some(other) => return Err(format!("its `{key}` is {}, expected a number from 0", other.shown())),
            }
        }
        let key = self.key("rope.scaling.type");
        match self.header.value(&key) {
            None => Ok(()),
            Some(Value::Text(text)) if [&b"none"[..], b"linear", b"yarn", b"longrope"].contains(&text.as_slice()) => Ok(()),
            Some(other) => Err(format!("its `{key}` is {}, expected none, linear, yarn or longrope", other.shown())),
        }
    }

    fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.architecture)
    }

    fn required(&self, name: &str, range: std::ops::RangeInclusive<i128>) -> Result<i128> {
        let found = self.optional(name, range)?;
        found.ok_or_else(|| format!("its metadata has no `{}`", self.key(name)))
    }

    fn optional(&self, name: &str, range: std::ops::RangeInclusive<i128>) -> Result<Option<i128>> {
        let key = self.key(name);
        match self.header.value(&key) {
            None => Ok(None),
            Some(Value::Number(Number::Whole(number))) if range.contains(number) => Ok(Some(*number)),
            Some(other) => Err(out_of_range(&key, &other.shown(), &range)),
        }
    }

    /// One number for all layers, or a list with one for each.
    fn each_layer(&self, name: &str, range: std::ops::RangeInclusive<i128>) -> Result<Vec<i128>> {
        let key = self.key(name);
        let Some(Value::List { items, length, .. }) = self.header.value(&key) else {
            return Ok(self.optional(name, range)?.into_iter().collect());
        };
        let Items::Numbers(numbers) = items else {
            return Err(format!("its `{key}` is a list of {length}, expected one number a layer"));
        };
        let number = |number: &Number| match number {
            Number::Whole(number) if range.contains(number) => Ok(*number),
            other => Err(out_of_range(&key, &Value::Number(*other).shown(), &range)),
        };
        if numbers.len() as i128 != self.layers {
            return Err(format!("its `{key}` is a list of {length}, but it has {} layers", self.layers));
        }
        numbers.iter().map(number).collect()
    }
}

/// The number of a layer; a single one counts for all, none as 0.
fn at(numbers: &[i128], layer: usize) -> i128 {
    numbers.get(layer).or(numbers.first()).copied().unwrap_or(0)
}

fn out_of_range(key: &str, shown: &str, range: &std::ops::RangeInclusive<i128>) -> String {
    format!(
        "its `{key}` is {shown}, expected a whole number from {} to {}",
        range.start(),
        range.end()
    )
}

#[cfg(test)]
mod tests {
    use crate::llama::gguf::check_bytes;
    use crate::llama::gguf::sample::{entry, file, numbers, tensor, text, texts};

    const U32: u32 = 4;
    const F32: u32 = 6;
    const TEXT: u32 = 8;
    const LIST: u32 = 9;

    /// A model of two layers and three tokens, with `changes` in place of entries of the same key; an empty one removes it.
    fn reason(changes: &[(&str, u32, &[u8])], tensors: &[Vec<u8>], weights: usize) -> String {
        let (two, one) = (2_u32.to_le_bytes(), 1_u32.to_le_bytes());
        let (name, tokens) = (text("a"), texts(&["x", "y", "z"]));
        let mut entries: Vec<(&str, u32, &[u8])> = vec![
            ("general.architecture", TEXT, &name),
            ("a.block_count", U32, &two),
            ("a.context_length", U32, &two),
            ("a.embedding_length", U32, &two),
            ("a.attention.head_count", U32, &one),
            ("tokenizer.ggml.tokens", LIST, &tokens),
        ];
        entries.retain(|(key, ..)| !changes.iter().any(|(changed, ..)| changed == key));
        entries.extend(changes.iter().filter(|(_, _, value)| !value.is_empty()));
        let entries: Vec<_> = entries.iter().map(|(key, kind, value)| entry(key, *kind, value)).collect();
        let tensors: Vec<_> = tensors.iter().map(Vec::as_slice).collect();
        let mut bytes = file(&entries.iter().map(Vec::as_slice).collect::<Vec<_>>(), &tensors);
        bytes.resize(bytes.len().next_multiple_of(32) + weights, 0);
        check_bytes(&bytes).err().unwrap_or_default()
    }

    /// Token embeddings of two numbers each.
    fn embedding() -> Vec<Vec<u8>> {
        vec![tensor("token_embd.weight", &[2, 3], 0, 0)]
    }

    #[test]
    fn a_model_passes() {
        assert_eq!(reason(&[], &embedding(), 24), "");
        assert_eq!(
            reason(&[("a.attention.head_count", LIST, &numbers(U32, &[1, 1]))], &embedding(), 24),
            ""
        );
        assert_eq!(reason(&[("tokenizer.ggml.tokens", 0, &[])], &embedding(), 24), "");
    }

    fn check_tensors(cases: Vec<(Vec<Vec<u8>>, usize, &str)>) {
        for (tensors, weights, expected) in cases {
            let reason = reason(&[], &tensors, weights);
            assert!(
                reason.contains(expected) && reason.is_empty() == expected.is_empty(),
                "{reason:?}: {expected:?}"
            );
        }
    }

    #[test]
    fn tensors_are_what_the_metadata_says() {
        check_tensors(vec![
            (vec![], 0, "vocabulary only"),
            (embedding(), 23, "ends inside its weights"),
            (
                vec![tensor("token_embd.weight", &[2, 4], 0, 0)],
                32,
                "2 × 4, but its vocabulary has 3 tokens",
            ),
            (
                vec![tensor("token_embd.weight", &[2, 3, 2], 0, 0)],
                64,
                "its vocabulary has 3 tokens",
            ),
            (
                vec![tensor("blk.0.attn_q.weight", &[2, 2], 26, 0)],
                32,
                "format 26, with which nothing",
            ),
            (vec![tensor("blk.0.ffn_gate_tid2eid", &[2, 2], 26, 0)], 32, ""),
            (vec![tensor("d2t", &[4], 27, 0)], 32, ""),
        ]);
    }

    #[test]
    fn what_is_no_matrix_has_32_bit_numbers() {
        let wrong: [(&str, &[u64], u32); 11] = [
            ("blk.0.attn_norm.weight", &[2], 1),
            ("blk.0.attn_sinks.weight", &[2], 1),
            ("blk.0.ffn_up_exps.bias", &[2, 2], 1),
            ("blk.0.attn_q_norm.weight", &[2, 2], 30),
            ("blk.0.ssm_a", &[2, 2], 1),
            ("blk.0.ssm_conv1d_q.weight", &[2, 2], 1),
            ("blk.0.shortconv.conv.weight", &[2, 2], 1),
            ("blk.0.time_mix_lerp_fused.weight", &[2, 2], 1),
            // Rows, whatever the number of dimensions.
            ("blk.0.time_mix_w0.weight", &[2, 1], 1),
            ("blk.0.time_mix_w0.weight", &[2, 1, 1, 1], 1),
            ("cls.norm.weight", &[2], 1),
        ];
        for (name, shape, format) in wrong {
            let expected = format!("format {format}, expected 32-bit");
            check_tensors(vec![(vec![tensor(name, shape, format, 0)], 32, &expected)]);
        }
        check_tensors(vec![(
            vec![tensor("blk.0.attn_q.bias", &[32], 8, 0)],
            64,
            "format 8, expected 32-bit",
        )]);
    }

    #[test]
    fn matrices_have_any_format() {
        let right: [(&str, &[u64]); 9] = [
            ("blk.0.shortconv.in_proj.weight", &[2, 2]),
            ("blk.0.ssm_alpha.weight", &[2, 2]),
            ("blk.0.time_mix_w1.weight", &[2, 2]),
            ("blk.0.ffn_gate_inp_shexp.weight", &[2]),
            ("blk.0.ffn_gate_inp_shexp.weight", &[2, 1]),
            ("cls.weight", &[2]),
            ("cls.output.weight", &[2]),
            ("cls.output.weight", &[2, 1]),
            ("decision.scorer_out.weight", &[2]),
        ];
        check_tensors(
            right
                .iter()
                .map(|(name, shape)| (vec![tensor(name, shape, 1, 0)], 32, ""))
                .collect(),
        );
    }

    type Case = (&'static str, u32, Vec<u8>, &'static str);

    fn check_cases(cases: Vec<Case>) {
        for (key, kind, value, expected) in cases {
            let reason = reason(&[(key, kind, &value)], &embedding(), 24);
            assert!(reason.contains(expected), "`{key}`: {reason:?} does not say {expected:?}");
        }
    }

    #[test]
    fn metadata_is_what_llama_cpp_asserts() {
        let u32 = |number: u32| number.to_le_bytes().to_vec();
        let f32 = |number: f32| number.to_le_bytes().to_vec();
        check_cases(vec![
            ("general.architecture", TEXT, vec![], "has no `general.architecture`"),
            ("general.architecture", TEXT, text(""), "expected a name"),
            ("general.architecture", U32, u32(1), "`1`, expected a name"),
            ("a.block_count", U32, vec![], "has no `a.block_count`"),
            (
                "a.block_count",
                U32,
                u32(0),
                "`a.block_count` is `0`, expected a whole number from 1 to 512",
            ),
            ("a.block_count", U32, u32(513), "from 1 to 512"),
            ("a.block_count", F32, f32(2.0), "from 1 to 512"),
            ("a.context_length", U32, u32(0), "`a.context_length` is `0`"),
            ("a.embedding_length", U32, u32(u32::MAX), "`a.embedding_length` is `4294967295`"),
            ("a.attention.key_length", U32, u32(0), "`a.attention.key_length` is `0`"),
            ("a.nextn_predict_layers", U32, u32(3), "from 0 to 2"),
            (
                "a.attention.head_count",
                LIST,
                numbers(U32, &[1]),
                "a list of 1, but it has 2 layers",
            ),
            ("a.attention.head_count", LIST, texts(&["x", "y"]), "expected one number a layer"),
            ("a.attention.head_count_kv", U32, u32(2), "1 attention heads over 2 keys"),
            ("a.expert_count", U32, u32(1025), "from 0 to 1024"),
            ("a.expert_count", U32, u32(4), "uses none of them"),
            (
                "a.expert_used_count",
                U32,
                u32(1),
                "`a.expert_used_count` is `1`, expected a whole number from 0 to 0",
            ),
            ("a.expert_group_count", U32, u32(1), "`a.expert_group_count` is `1`"),
            (
                "a.attention.layer_norm_rms_epsilon",
                F32,
                f32(-1.0),
                "`-1`, expected a number from 0",
            ),
            ("a.attention.layer_norm_epsilon", F32, f32(f32::NAN), "expected a number from 0"),
            (
                "a.rope.scaling.type",
                TEXT,
                text("bent"),
                "`bent`, expected none, linear, yarn or longrope",
            ),
        ]);
    }

    #[test]
    fn vocabularies_are_what_llama_cpp_asserts() {
        let u32 = |number: u32| number.to_le_bytes().to_vec();
        check_cases(vec![
            ("tokenizer.ggml.tokens", LIST, texts(&["x", "y", "x"]), "the token `x` twice"),
            ("tokenizer.ggml.tokens", LIST, texts(&["x", "y", "x\0more"]), "the token `x` twice"),
            ("tokenizer.ggml.tokens", LIST, texts(&["", "y", "[EMPTY_0]"]), "`[EMPTY_0]` twice"),
            ("tokenizer.ggml.tokens", LIST, numbers(U32, &[1, 2, 3]), "no list of texts"),
            ("tokenizer.ggml.tokens", TEXT, text("x"), "no list of texts"),
            (
                "tokenizer.ggml.scores",
                LIST,
                numbers(F32, &[0, 0]),
                "a list of 2, expected a list of 3",
            ),
            (
                "tokenizer.ggml.token_type",
                LIST,
                numbers(F32, &[0, 0, 0]),
                "expected a list of 3 numbers",
            ),
            ("tokenizer.ggml.token_type", U32, u32(1), "expected a list of 3 numbers"),
        ]);
    }

    #[test]
    fn a_single_expert_of_a_dense_hunyuan_is_none() {
        let one = 1_u32.to_le_bytes();
        let name = text("hunyuan-dense");
        let of_hunyuan = |more: &[&str]| {
            let keys = ["block_count", "context_length", "embedding_length", "expert_count"];
            let keys: Vec<String> = keys.iter().chain(more).map(|key| format!("hunyuan-dense.{key}")).collect();
            let mut entries: Vec<(&str, u32, &[u8])> = vec![("general.architecture", TEXT, &name)];
            entries.extend(keys.iter().map(|key| (key.as_str(), U32, &one[..])));
            reason(&entries, &embedding(), 24)
        };
        assert_eq!(of_hunyuan(&[]), "");
        assert_eq!(of_hunyuan(&["expert_used_count"]), "");
        let of_groups = of_hunyuan(&["expert_group_count"]);
        assert!(of_groups.contains("`hunyuan-dense.expert_group_count` is `1`"), "{of_groups}");
        let of_others = reason(&[("a.expert_count", U32, &one)], &embedding(), 24);
        assert!(of_others.contains("uses none of them"), "{of_others}");
    }

    #[test]
    fn experts_are_in_even_groups() {
        let experts = |groups: u32, used_groups: u32| {
            let number = |number: u32| number.to_le_bytes().to_vec();
            let entries = [
                ("a.expert_count", number(8)),
                ("a.expert_used_count", number(2)),
                ("a.expert_group_count", number(groups)),
                ("a.expert_group_used_count", number(used_groups)),
            ];
            let entries: Vec<_> = entries.iter().map(|(key, value)| (*key, U32, value.as_slice())).collect();
            reason(&entries, &embedding(), 24)
        };
        for (groups, used_groups, is_ok) in [
            (0, 0, true),
            (1, 1, true),
            (4, 2, true),
            (3, 2, false),
            (4, 4, false),
            (4, 0, false),
            (8, 1, false),
        ] {
            assert_eq!(experts(groups, used_groups).is_empty(), is_ok, "{used_groups} of {groups} groups");
        }
    }
}
