//! Models of every kind of memory and of vocabulary, with random weights that are the same in every run. What they say means nothing, but
//! depends on every token before it; they never end an answer by themselves.

use super::Random;
use super::gguf::Gguf;

const WIDTH: usize = 64;
const LAYERS: usize = 2;
const INNER: usize = 96;
const HEADS: usize = 4;
const KEY_HEADS: usize = 2;
const HEAD_WIDTH: usize = WIDTH / HEADS;
/// Tokens that the sliding window shows.
pub(crate) const WINDOW: u32 = 16;

/// The texts of the control tokens, from number 0 on.
pub(crate) const CONTROL: [&str; 5] = ["<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"];
/// A token of the vocabulary's own that is text all the same, the number behind [`CONTROL`].
pub(crate) const USER_DEFINED: &str = "<tool>";

/// What the models say: none of these joins the other into one token, except for [`MERGED`].
const SAID: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
/// Said as two tokens and read as one: an answer with one of these is not what comes back in the next prompt.
const MERGED: [&str; 2] = ["QX", "ZJ"];
/// Tokens of several characters, each of two that come before it or of a single character.
const PIECES: [&str; 20] = [
    "th", "the", "in", "er", "ou", "you", "ha", "at", "hat", "is", "us", "user", "as", "an", "ant", "my", "me", "na", "st", "ist",
];

const TEMPLATE: &str = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}\
    {% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

/// How texts become tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Vocabulary {
    /// Byte pairs, as GPT-2's.
    BytePairs,
    /// Those of `SentencePiece`. A space is put before every text, as Llama's does, or none, as Gemma's.
    SentencePiece { puts_space: bool },
}

/// What a model remembers of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Everything.
    Attention(Vocabulary),
    /// Half of its layers only the newest [`WINDOW`] tokens.
    SlidingWindow,
    /// A state of fixed size.
    Recurrent,
    /// One layer a state, the other everything.
    Hybrid,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] = [
        Self::Attention(Vocabulary::BytePairs),
        Self::Attention(Vocabulary::SentencePiece { puts_space: true }),
        Self::SlidingWindow,
        Self::Recurrent,
        Self::Hybrid,
    ];

    fn vocabulary(self) -> Vocabulary {
        match self {
            Self::Attention(vocabulary) => vocabulary,
            Self::SlidingWindow => Vocabulary::SentencePiece { puts_space: false },
            Self::Recurrent | Self::Hybrid => Vocabulary::BytePairs,
        }
    }

    fn architecture(self) -> &'static str {
        match self {
            Self::Attention(_) => "llama",
            Self::SlidingWindow => "gemma3",
            Self::Recurrent => "mamba",
            Self::Hybrid => "jamba",
        }
    }

    /// The model as a GGUF file.
    pub(crate) fn file(self) -> Vec<u8> {
        let tokens = match self.vocabulary() {
            Vocabulary::BytePairs => byte_pair_tokens(),
            Vocabulary::SentencePiece { .. } => sentence_pieces(),
        };
        let mut maker = Maker {
            file: Gguf::default(),
            random: Random::new(7),
        };
        maker.file.set("general.architecture", self.architecture());
        describe_vocabulary(&mut maker.file, self.vocabulary(), &tokens);
        maker.describe(self);
        maker.add_ends(self, &tokens);
        for layer in 0..LAYERS {
            maker.add_layer(self, layer);
        }
        maker.file.bytes()
    }
}

fn describe_vocabulary(file: &mut Gguf, vocabulary: Vocabulary, tokens: &[String]) {
    const NORMAL: i32 = 1;
    const UNKNOWN: i32 = 2;
    const CONTROL_TYPE: i32 = 3;
    const USER_DEFINED_TYPE: i32 = 4;
    const BYTE: i32 = 6;
    let is_byte = |token: &str| vocabulary != Vocabulary::BytePairs && token.starts_with("<0x");
    let kinds = tokens.iter().enumerate().map(|(index, token)| match index {
        0 => UNKNOWN,
        _ if index < CONTROL.len() => CONTROL_TYPE,
        _ if index == CONTROL.len() => USER_DEFINED_TYPE,
        _ if is_byte(token) => BYTE,
        _ => NORMAL,
    });
    file.set("tokenizer.ggml.tokens", tokens);
    file.set("tokenizer.ggml.token_type", &*kinds.collect::<Vec<i32>>());
    file.set("tokenizer.ggml.unknown_token_id", 0_u32);
    file.set("tokenizer.ggml.bos_token_id", 1_u32);
    file.set("tokenizer.ggml.eos_token_id", 2_u32);
    file.set("tokenizer.ggml.eot_token_id", 4_u32);
    file.set("tokenizer.chat_template", TEMPLATE);
    match vocabulary {
        Vocabulary::BytePairs => describe_merges(file),
        Vocabulary::SentencePiece { puts_space } => describe_scores(file, tokens, puts_space),
    }
}

fn describe_merges(file: &mut Gguf) {
    let merges: Vec<String> = PIECES.iter().chain(&MERGED).map(|piece| parts(piece)).collect();
    file.set("tokenizer.ggml.model", "gpt2");
    file.set("tokenizer.ggml.pre", "gpt-2");
    file.set("tokenizer.ggml.merges", &*merges);
    file.set("tokenizer.ggml.add_bos_token", false);
}

/// `piece` as the two tokens that it is made of.
fn parts(piece: &str) -> String {
    let is_token = |part: &str| part.len() == 1 || PIECES.contains(&part);
    let cut = (1..piece.len())
        .rev()
        .find(|cut| is_token(&piece[..*cut]) && is_token(&piece[*cut..]));
    let (left, right) = piece.split_at(cut.expect("two tokens"));
    format!("{left} {right}")
}

/// The space before a text is left to llama.cpp's default where it is put.
fn describe_scores(file: &mut Gguf, tokens: &[String], puts_space: bool) {
    let scores = (0_u16..).take(tokens.len()).map(|place| -f32::from(place));
    file.set("tokenizer.ggml.model", "llama");
    file.set("tokenizer.ggml.scores", &*scores.collect::<Vec<f32>>());
    file.set("tokenizer.ggml.add_bos_token", true);
    if !puts_space {
        file.set("tokenizer.ggml.add_space_prefix", false);
    }
}

fn special_tokens() -> impl Iterator<Item = String> {
    CONTROL.into_iter().chain([USER_DEFINED]).map(ToOwned::to_owned)
}

/// Bytes have the characters that GPT-2 gives them.
fn byte_pair_tokens() -> Vec<String> {
    let is_shown = |byte: &u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    let mut hidden = (0x100_u32..).filter_map(char::from_u32);
    let character = |byte: u8| {
        if is_shown(&byte) {
            char::from(byte)
        } else {
            hidden.next().unwrap()
        }
    };
    let bytes = (0..=u8::MAX).map(character).map(String::from);
    let pieces = PIECES.iter().chain(&MERGED).map(|piece| (*piece).to_owned());
    special_tokens().chain(bytes.collect::<Vec<_>>()).chain(pieces).collect()
}

/// Bytes are there for what has no token of its own.
fn sentence_pieces() -> Vec<String> {
    let bytes = (0..=u8::MAX).map(|byte| format!("<0x{byte:02X}>"));
    let spaced = ["▁▁", "▁the", "▁you", "▁is", "▁"].map(ToOwned::to_owned);
    let pieces = PIECES.iter().chain(&MERGED).map(|piece| (*piece).to_owned());
    let characters = SAID.chars().chain('a'..='z').chain("é日🐱.?".chars()).map(String::from);
    special_tokens()
        .chain(bytes)
        .chain(spaced)
        .chain(pieces)
        .chain(characters)
        .collect()
}

/// A file in the making, and where its weights come from.
struct Maker {
    file: Gguf,
    random: Random,
}

impl Maker {
    fn describe(&mut self, kind: Kind) {
        let architecture = kind.architecture();
        let numbers = [
            ("context_length", 4096),
            ("embedding_length", WIDTH),
            ("block_count", LAYERS),
            ("feed_forward_length", if kind == Kind::Recurrent { 0 } else { INNER }),
            ("attention.head_count", if kind == Kind::Recurrent { 0 } else { HEADS }),
        ];
        for (key, number) in numbers {
            self.file.set(&format!("{architecture}.{key}"), u32::try_from(number).unwrap());
        }
        self.file.set(&format!("{architecture}.attention.layer_norm_rms_epsilon"), 1e-5_f32);
        match kind {
            Kind::Attention(_) => self.file.set("llama.attention.head_count_kv", u32::try_from(KEY_HEADS).unwrap()),
            Kind::SlidingWindow => self.describe_window(),
            Kind::Recurrent => self.describe_state(architecture),
            Kind::Hybrid => {
                self.describe_state(architecture);
                // Layers without keys have a state.
                self.file
                    .set("jamba.attention.head_count_kv", &[0, i32::try_from(KEY_HEADS).unwrap()][..]);
            }
        }
    }

    fn describe_window(&mut self) {
        let head_width = u32::try_from(HEAD_WIDTH).unwrap();
        self.file.set("gemma3.attention.head_count_kv", u32::try_from(KEY_HEADS).unwrap());
        self.file.set("gemma3.attention.key_length", head_width);
        self.file.set("gemma3.attention.value_length", head_width);
        self.file.set("gemma3.attention.sliding_window", WINDOW);
        self.file.set("gemma3.attention.sliding_window_pattern", &[true, false][..]);
    }

    fn describe_state(&mut self, architecture: &str) {
        for (key, number) in [
            ("conv_kernel", CONVOLUTION),
            ("inner_size", 2 * WIDTH),
            ("state_size", STATE),
            ("time_step_rank", RANK),
        ] {
            self.file.set(&format!("{architecture}.ssm.{key}"), u32::try_from(number).unwrap());
        }
    }

    /// What is before and behind the layers. Only what may be said has a row in the output.
    fn add_ends(&mut self, kind: Kind, tokens: &[String]) {
        let is_said = |token: &String| token.chars().count() == 1 && SAID.contains(token);
        let mut output = self.numbers(WIDTH * tokens.len(), 1.0);
        for (row, _) in output.chunks_mut(WIDTH).zip(tokens).filter(|(_, token)| !is_said(token)) {
            row.fill(0.0);
        }
        // Gemma makes them longer by itself.
        let length = if kind == Kind::SlidingWindow { 1.0 } else { 8.0 };
        self.add_matrix("token_embd", [WIDTH, tokens.len()], length);
        self.add_norm("output_norm", WIDTH);
        self.file.add("output.weight", &[WIDTH, tokens.len()], output);
    }

    fn add_layer(&mut self, kind: Kind, layer: usize) {
        let name = |part: &str| format!("blk.{layer}.{part}");
        self.add_norm(&name("attn_norm"), WIDTH);
        match kind {
            Kind::Recurrent => return self.add_state(layer, false),
            Kind::Hybrid if layer == 0 => self.add_state(layer, true),
            _ => self.add_attention(layer),
        }
        if kind == Kind::SlidingWindow {
            for (part, width) in [
                ("post_attention_norm", WIDTH),
                ("post_ffw_norm", WIDTH),
                ("attn_q_norm", HEAD_WIDTH),
                ("attn_k_norm", HEAD_WIDTH),
            ] {
                self.add_norm(&name(part), width);
            }
        }
        self.add_norm(&name("ffn_norm"), WIDTH);
        self.add_matrix(&name("ffn_gate"), [WIDTH, INNER], 1.0);
        self.add_matrix(&name("ffn_up"), [WIDTH, INNER], 1.0);
        self.add_matrix(&name("ffn_down"), [INNER, WIDTH], 1.0);
    }

    /// Large numbers, so that attention is about few tokens and matters.
    fn add_attention(&mut self, layer: usize) {
        self.add_matrix(&format!("blk.{layer}.attn_q"), [WIDTH, WIDTH], 1.5);
        self.add_matrix(&format!("blk.{layer}.attn_k"), [WIDTH, KEY_HEADS * HEAD_WIDTH], 1.5);
        self.add_matrix(&format!("blk.{layer}.attn_v"), [WIDTH, KEY_HEADS * HEAD_WIDTH], 2.0);
        self.add_matrix(&format!("blk.{layer}.attn_output"), [WIDTH, WIDTH], 2.0);
    }

    /// The parts of a Mamba layer; Jamba has norms besides.
    fn add_state(&mut self, layer: usize, has_norms: bool) {
        let (name, inner) = (|part: &str| format!("blk.{layer}.{part}"), 2 * WIDTH);
        self.add_matrix(&name("ssm_in"), [WIDTH, 2 * inner], 1.0);
        self.add_matrix(&name("ssm_conv1d"), [CONVOLUTION, inner], 2.0);
        self.add_matrix(&name("ssm_x"), [inner, RANK + 2 * STATE], 1.0);
        self.add_matrix(&name("ssm_dt"), [RANK, inner], 1.0);
        self.add_matrix(&name("ssm_out"), [inner, WIDTH], 2.0);
        for part in ["ssm_conv1d.bias", "ssm_dt.bias", "ssm_d"] {
            let numbers = self.numbers(inner, 0.5);
            self.file.add(&name(part), &[inner], numbers);
        }
        // How fast the state forgets: some of it hardly ever.
        let decay = self.numbers(STATE * inner, 0.2).into_iter().map(|number| -number.abs());
        self.file.add(&name("ssm_a"), &[STATE, inner], decay.collect());
        if has_norms {
            for (part, width) in [("ssm_dt_norm", RANK), ("ssm_b_norm", STATE), ("ssm_c_norm", STATE)] {
                self.add_norm(&name(part), width);
            }
        }
    }

    fn add_norm(&mut self, name: &str, width: usize) {
        self.file.add(&format!("{name}.weight"), &[width], vec![1.0; width]);
    }

    /// A matrix that makes vectors `gain` times as long, about.
    fn add_matrix(&mut self, name: &str, [from, to]: [usize; 2], gain: f32) {
        let numbers = self.numbers(from * to, gain / f32::from(u16::try_from(from).unwrap()).sqrt());
        self.file.add(&format!("{name}.weight"), &[from, to], numbers);
    }

    /// Random numbers around 0, `deviation` from it in the mean.
    fn numbers(&mut self, n: usize, deviation: f32) -> Vec<f32> {
        (0..n).map(|_| self.number() * deviation).collect()
    }

    /// The sum of three throws is nearly normal.
    fn number(&mut self) -> f32 {
        let mut throw = || f32::from(u16::try_from(self.random.below(1 << 16)).unwrap()) / 32768.0 - 1.0;
        throw() + throw() + throw()
    }
}

const CONVOLUTION: usize = 4;
const STATE: usize = 8;
const RANK: usize = 4;
