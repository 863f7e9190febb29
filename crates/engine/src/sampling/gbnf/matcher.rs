//! Matches text against a [`Grammar`], a byte at a time and with a way back.
//!
//! All ways to read the text are followed at once, and ways that meet share what comes after: a graph of return places instead of a stack
//! for each way (as in [GLL parsing](https://doi.org/10.1016/j.entcs.2010.08.041)). llama.cpp keeps the stacks apart, and a grammar such as
//! `r ::= "(" r ")" | "(" r "]" | "x"` doubles them with every parenthesis until the memory is full.
//!
//! Knows characters and token numbers, not what a token's bytes are.

use std::sync::Arc;

use super::grammar::{CharSet, Element, Grammar, Position};
use super::seen::Seen;
use crate::llama::{AbortFlag, Token};

/// What one token, or one mask, may cost before the grammar counts as too ambiguous: a second or two. A mask looks at each token of the vocabulary:
/// with a quarter million of them a grammar for JSON takes about a fifth of it.
const MAX_WORK: u64 = 400_000_000;
/// What it costs to follow a way, to come upon one again, and to look whether one goes on by a character. All are counted: a grammar can be made
/// that does nothing but any one of them.
const NEW_WAY: u64 = 16;
const KNOWN_WAY: u64 = 4;
const LOOK: u64 = 2;
/// The most ways after one byte, and the most places, edges and ways in memory, those yet to be followed counted: some 50 and 200 MB, and up to twice
/// that in lists that have just grown.
const MAX_WAYS: usize = 3_000_000;
const MAX_HELD: usize = 16_000_000;
/// Work between two looks at the abort flag: a millisecond or so.
const UNWATCHED: u64 = 200_000;
/// Below this many places, old ones are not looked for.
const MIN_COLLECTED: usize = 4096;

/// The index of a place to return to.
pub(super) type NodeId = u32;
/// The place below the grammar's root: returning there is the end.
const BOTTOM: NodeId = 0;
/// The end of a list of edges.
const NO_EDGE: u32 = u32::MAX;

/// How far a text has come in a grammar.
#[derive(Debug)]
pub(super) struct Matcher {
    grammar: Arc<Grammar>,
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    threads: Vec<Thread>,
    /// One for each byte that can be taken back, above the one that cannot.
    steps: Vec<Step>,
    scratch: Scratch,
    work_left: u64,
    /// What is left when the abort flag is looked at next.
    watched_at: u64,
    abort: AbortFlag,
    collect_at: usize,
}

/// Where a way goes on when its rule is done.
#[derive(Clone, Copy, Debug)]
struct Node {
    position: Position,
    /// The first of the nodes below it.
    first_edge: u32,
    /// Whether its rule was done at once; a caller that comes later must hear of it.
    is_done: bool,
}

#[derive(Clone, Copy, Debug)]
struct Edge {
    node: NodeId,
    next: u32,
}

/// One way to read the text: what it expects, and what comes after that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Thread {
    pub(super) position: Position,
    pub(super) node: NodeId,
}

/// The state after a byte. What was added for it lies at the end of each list, so that going back is cutting off.
#[derive(Clone, Debug)]
struct Step {
    first_thread: usize,
    n_threads: usize,
    n_nodes: usize,
    n_edges: usize,
    is_complete: bool,
    partial: Partial,
}

/// The beginning of a UTF-8 character.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Partial {
    value: u32,
    /// Bytes that are missing; 0 = between two characters.
    missing: u32,
    /// The lowest code point that needs this many bytes.
    least: u32,
}

#[derive(Debug, Default)]
struct Scratch {
    todo: Vec<Thread>,
    seen: Seen,
    /// By the place they return to, the nodes made last; those of earlier steps do not count.
    calls: Vec<NodeId>,
}

impl Matcher {
    /// At the beginning of a text. Work ends early when `abort` is set, as if it had been too much.
    pub(super) fn new(grammar: Arc<Grammar>, abort: AbortFlag) -> Self {
        let root = Node {
            position: 0,
            first_edge: NO_EDGE,
            is_done: false,
        };
        let starts = grammar.rules[grammar.root as usize].clone();
        let mut matcher = Self {
            grammar,
            nodes: vec![root],
            edges: Vec::new(),
            threads: Vec::new(),
            steps: Vec::new(),
            scratch: Scratch::default(),
            work_left: MAX_WORK,
            watched_at: MAX_WORK - UNWATCHED,
            abort,
            collect_at: MIN_COLLECTED,
        };
        matcher
            .scratch
            .todo
            .extend(starts.into_iter().map(|position| Thread { position, node: BOTTOM }));
        let start = matcher.follow();
        matcher.steps.push(start);
        matcher
    }

    /// Whether the text so far is all that the grammar asks for.
    pub(super) fn is_complete(&self) -> bool {
        let step = self.top();
        step.is_complete && step.partial.missing == 0
    }

    /// Whether it was too much work since [`Self::begin`]; what was refused might be allowed.
    pub(super) fn is_exhausted(&self) -> bool {
        self.work_left == 0
    }

    /// Begins a token or a mask: from here on work is counted.
    pub(super) fn begin(&mut self) {
        self.work_left = MAX_WORK;
        self.watched_at = MAX_WORK - UNWATCHED;
    }

    pub(super) fn is_aborted(&self) -> bool {
        self.abort.is_set()
    }

    fn spend(&mut self, work: u64) {
        self.work_left = self.work_left.saturating_sub(work);
        if self.work_left < self.watched_at {
            self.watched_at = self.work_left.saturating_sub(UNWATCHED);
            if self.is_aborted() {
                self.work_left = 0;
            }
        }
    }

    /// Takes notice that all ways of a step are looked at; false when that is too much.
    fn may_look(&mut self, n_threads: usize) -> bool {
        self.spend(LOOK.saturating_mul(n_threads as u64));
        !self.is_exhausted()
    }

    /// Whether nothing was pushed since the last [`Self::accept`].
    pub(super) fn is_at_base(&self) -> bool {
        self.steps.len() == 1
    }

    /// Goes on by a byte of text. False, and nothing changes, when the grammar does not allow it.
    pub(super) fn push_byte(&mut self, byte: u8) -> bool {
        let partial = self.top().partial;
        let Some(next) = partial.push(byte) else { return false };
        if next.missing > 0 {
            return self.push_partial(next);
        }
        self.push_character(next.value)
    }

    /// Goes on by nothing: a step to take back like the others.
    pub(super) fn push_nothing(&mut self) {
        let step = self.top().clone();
        self.steps.push(step);
    }

    /// The tokens that the grammar names at this place; true stands for all but that one.
    pub(super) fn named_tokens(&self) -> impl Iterator<Item = (Token, bool)> {
        let is_between = self.top().partial.missing == 0;
        let threads = self.top_threads().iter().filter(move |_| is_between);
        threads.filter_map(|thread| match self.element(thread.position) {
            Element::Token(token) => Some((*token, false)),
            Element::NotToken(token) => Some((*token, true)),
            _ => None,
        })
    }

    /// Takes the last `count` bytes back.
    pub(super) fn pop(&mut self, count: usize) {
        let kept = self.steps.len().saturating_sub(count).max(1);
        self.steps.truncate(kept);
        let step = self.top();
        let (n_threads, n_nodes, n_edges) = (step.first_thread + step.n_threads, step.n_nodes, step.n_edges);
        self.threads.truncate(n_threads);
        self.nodes.truncate(n_nodes);
        self.edges.truncate(n_edges);
    }

    /// Takes back everything since the last [`Self::accept`].
    pub(super) fn rollback(&mut self) {
        self.pop(self.steps.len());
    }

    /// Goes on by a whole token for good. False, and nothing changes, when the grammar does not allow it.
    pub(super) fn accept(&mut self, token: Token, bytes: &[u8]) -> bool {
        let is_text = self.push_text(bytes);
        let (mut threads, mut is_complete, mut partial) = (Vec::new(), false, Partial::default());
        if is_text {
            (threads, is_complete, partial) = (self.top_threads().to_vec(), self.top().is_complete, self.top().partial);
        }
        let is_named = self.push_token(token);
        if is_named {
            // Half a character would belong to one of the ways only.
            let (theirs, was_complete) = (self.top_threads().to_vec(), self.top().is_complete);
            if partial.missing > 0 {
                (threads, is_complete, partial) = (Vec::new(), false, Partial::default());
            }
            threads.extend(theirs);
            is_complete |= was_complete;
        }
        if is_text || is_named {
            self.rebase(threads, is_complete, partial);
        }
        is_text || is_named
    }

    /// Whether the grammar allows a whole token.
    pub(super) fn allows(&mut self, token: Token, bytes: &[u8]) -> bool {
        let is_allowed = self.push_text(bytes) || self.push_token(token);
        self.rollback();
        is_allowed
    }

    fn push_text(&mut self, bytes: &[u8]) -> bool {
        let is_text = !bytes.is_empty() && bytes.iter().all(|byte| self.push_byte(*byte));
        if !is_text {
            self.rollback();
        }
        is_text
    }

    fn rebase(&mut self, threads: Vec<Thread>, is_complete: bool, partial: Partial) {
        self.threads = threads;
        self.steps.clear();
        self.steps.push(Step {
            first_thread: 0,
            n_threads: self.threads.len(),
            n_nodes: self.nodes.len(),
            n_edges: self.edges.len(),
            is_complete,
            partial,
        });
        if self.nodes.len() >= self.collect_at {
            self.collect();
        }
    }

    fn push_partial(&mut self, partial: Partial) -> bool {
        if !self.may_look(self.top().n_threads) {
            return false;
        }
        let (low, high) = partial.range();
        let may_match = |thread: &Thread| matches!(self.element(thread.position), Element::Char(set) if set.meets(low, high));
        if !self.top_threads().iter().any(may_match) {
            return false;
        }
        let step = Step {
            partial,
            ..self.top().clone()
        };
        self.steps.push(step);
        true
    }

    /// Goes on by `token` where the grammar names tokens at the base. False, and nothing changes, when it names another or none.
    fn push_token(&mut self, token: Token) -> bool {
        let is_between = self.steps[0].partial.missing == 0;
        is_between
            && self.push_where(0, |element| match element {
                Element::Token(wanted) => *wanted == token,
                Element::NotToken(unwanted) => *unwanted != token,
                _ => false,
            })
    }

    fn push_character(&mut self, character: u32) -> bool {
        self.push_where(
            self.steps.len() - 1,
            |element| matches!(element, Element::Char(set) if is_in(set, character)),
        )
    }

    /// Goes on with the ways of a step whose expected element is `wanted`.
    fn push_where(&mut self, step: usize, wanted: impl Fn(&Element) -> bool) -> bool {
        let Step {
            first_thread, n_threads, ..
        } = self.steps[step];
        if !self.may_look(n_threads) {
            return false;
        }
        for thread in &self.threads[first_thread..first_thread + n_threads] {
            if wanted(&self.grammar.code[thread.position as usize]) {
                self.scratch.todo.push(Thread {
                    position: thread.position + 1,
                    node: thread.node,
                });
            }
        }
        if self.scratch.todo.is_empty() {
            return false;
        }
        let step = self.follow();
        self.steps.push(step);
        if self.is_exhausted() {
            self.pop(1);
            return false;
        }
        true
    }

    /// Follows all ways in `todo` to what they expect next.
    fn follow(&mut self) -> Step {
        let (first_thread, first_node) = (self.threads.len(), self.nodes.len());
        let mut is_complete = false;
        self.scratch.seen.clear();
        self.scratch.calls.resize(self.grammar.code.len(), BOTTOM);
        let grammar = Arc::clone(&self.grammar);
        while let Some(thread) = self.scratch.todo.pop() {
            if !self.scratch.seen.insert(thread) {
                self.spend(KNOWN_WAY);
                continue;
            }
            self.spend(NEW_WAY);
            if self.scratch.seen.len() > MAX_WAYS || self.n_held() > MAX_HELD {
                self.work_left = 0;
            }
            if self.is_exhausted() {
                self.scratch.todo.clear();
                break;
            }
            match &grammar.code[thread.position as usize] {
                Element::End if thread.node == BOTTOM => is_complete = true,
                Element::End => self.return_from(thread.node, first_node),
                Element::Rule(rule) => self.call(&grammar, *rule, thread, first_node),
                Element::Char(_) | Element::Token(_) | Element::NotToken(_) => self.threads.push(thread),
            }
        }
        Step {
            first_thread,
            n_threads: self.threads.len() - first_thread,
            n_nodes: self.nodes.len(),
            n_edges: self.edges.len(),
            is_complete,
            partial: Partial::default(),
        }
    }

    fn n_held(&self) -> usize {
        self.threads.len() + self.nodes.len() + self.edges.len() + self.scratch.todo.len()
    }

    fn return_from(&mut self, node: NodeId, first_node: usize) {
        let Node {
            position, mut first_edge, ..
        } = self.nodes[node as usize];
        if node as usize >= first_node {
            self.nodes[node as usize].is_done = true;
        }
        while first_edge != NO_EDGE {
            let edge = self.edges[first_edge as usize];
            self.scratch.todo.push(Thread { position, node: edge.node });
            first_edge = edge.next;
        }
    }

    fn call(&mut self, grammar: &Grammar, rule: u32, caller: Thread, first_node: usize) {
        let after = caller.position + 1;
        let is_last = grammar.code[after as usize] == Element::End;
        // What is last in its rule returns to where that rule returns to: repetitions do not pile up.
        let node = if is_last {
            caller.node
        } else {
            self.node_for(after, caller.node, first_node)
        };
        let starts = &grammar.rules[rule as usize];
        self.scratch.todo.extend(starts.iter().map(|&position| Thread { position, node }));
    }

    /// The node of this step, whose nodes begin at `first_node`, that returns to `position`, with `below` under it.
    fn node_for(&mut self, position: Position, below: NodeId, first_node: usize) -> NodeId {
        let mut node = self.scratch.calls[position as usize];
        let is_known = |known: &Node| known.position == position;
        if (node as usize) < first_node || !self.nodes.get(node as usize).is_some_and(is_known) {
            node = id(self.nodes.len());
            self.scratch.calls[position as usize] = node;
            self.nodes.push(Node {
                position,
                first_edge: NO_EDGE,
                is_done: false,
            });
        }
        let Node { first_edge, is_done, .. } = self.nodes[node as usize];
        self.edges.push(Edge {
            node: below,
            next: first_edge,
        });
        self.nodes[node as usize].first_edge = id(self.edges.len() - 1);
        if is_done {
            self.scratch.todo.push(Thread { position, node: below });
        }
        node
    }

    /// Forgets the nodes that no way returns to any more.
    fn collect(&mut self) {
        let mut new_ids = vec![None; self.nodes.len()];
        new_ids[BOTTOM as usize] = Some(BOTTOM);
        let mut kept = vec![BOTTOM];
        let mut todo: Vec<NodeId> = self.threads.iter().map(|thread| thread.node).collect();
        while let Some(node) = todo.pop() {
            if new_ids[node as usize].is_none() {
                new_ids[node as usize] = Some(id(kept.len()));
                kept.push(node);
                todo.extend(self.nodes_below(node));
            }
        }
        let new_id = |node: NodeId| new_ids[node as usize].unwrap_or(BOTTOM);
        let (mut nodes, mut edges) = (Vec::with_capacity(kept.len()), Vec::new());
        for &node in &kept {
            let mut first_edge = NO_EDGE;
            for below in self.nodes_below(node) {
                edges.push(Edge {
                    node: new_id(below),
                    next: first_edge,
                });
                first_edge = id(edges.len() - 1);
            }
            nodes.push(Node {
                first_edge,
                ..self.nodes[node as usize]
            });
        }
        for thread in &mut self.threads {
            thread.node = new_id(thread.node);
        }
        (self.nodes, self.edges) = (nodes, edges);
        self.steps[0].n_nodes = self.nodes.len();
        self.steps[0].n_edges = self.edges.len();
        self.collect_at = (self.nodes.len() * 2).max(MIN_COLLECTED);
    }

    fn nodes_below(&self, node: NodeId) -> impl Iterator<Item = NodeId> {
        let mut next = self.nodes[node as usize].first_edge;
        std::iter::from_fn(move || {
            let edge = *self.edges.get(next as usize)?;
            next = edge.next;
            Some(edge.node)
        })
    }

    fn top(&self) -> &Step {
        // `steps` is never empty: `pop` leaves one and `rebase` puts one.
        &self.steps[self.steps.len() - 1]
    }

    fn top_threads(&self) -> &[Thread] {
        let step = self.top();
        &self.threads[step.first_thread..step.first_thread + step.n_threads]
    }

    fn element(&self, position: Position) -> &Element {
        &self.grammar.code[position as usize]
    }
}

impl Partial {
    /// With one byte more; `None` when that is no UTF-8. A zero byte is no text, as in llama.cpp.
    fn push(self, byte: u8) -> Option<Self> {
        let begin = |value: u8, missing, least| {
            Some(Self {
                value: u32::from(value),
                missing,
                least,
            })
        };
        if self.missing == 0 {
            return match byte {
                1..=0x7F => begin(byte, 0, 0),
                0xC2..=0xDF => begin(byte & 0x1F, 1, 0x80),
                0xE0..=0xEF => begin(byte & 0x0F, 2, 0x800),
                0xF0..=0xF4 => begin(byte & 0x07, 3, 0x1_0000),
                _ => None,
            };
        }
        let next = Self {
            value: (self.value << 6) | u32::from(byte & 0x3F),
            missing: self.missing - 1,
            least: self.least,
        };
        let (low, high) = next.range();
        // Surrogates are no characters: a text that begins one could not go on.
        let is_surrogate = (0xD800..=0xDFFF).contains(&low) && (0xD800..=0xDFFF).contains(&high);
        (byte & 0xC0 == 0x80 && low <= high && !is_surrogate).then_some(next)
    }

    /// The characters it can become; from high to low when there are none.
    fn range(self) -> (u32, u32) {
        let shift = self.missing * 6;
        let low = self.value << shift;
        let high = low | ((1 << shift) - 1);
        (low.max(self.least), high.min(u32::from(char::MAX)))
    }
}

fn is_in(set: &CharSet, character: u32) -> bool {
    set.meets(character, character)
}

fn id(index: usize) -> u32 {
    // `MAX_HELD` keeps the number far below.
    u32::try_from(index).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llama::Vocabulary;
    use crate::sampling::gbnf::parse::{LongRepetition, parse};

    fn matcher(grammar: &str) -> Matcher {
        matcher_until(grammar, AbortFlag::default())
    }

    fn matcher_until(grammar: &str, abort: AbortFlag) -> Matcher {
        let vocabulary = Vocabulary::new([(b"<x>".to_vec(), true), (b"y".to_vec(), false)], vec![]);
        Matcher::new(Arc::new(parse(grammar, &vocabulary, LongRepetition::Refuse).unwrap()), abort)
    }

    /// How many bytes of `text` are allowed, and whether that is all.
    fn read(matcher: &mut Matcher, text: &str) -> (usize, bool) {
        let length = text.bytes().take_while(|byte| matcher.push_byte(*byte)).count();
        (length, matcher.is_complete())
    }

    #[test]
    fn texts_are_allowed_as_far_as_they_fit() {
        let cases = [
            ("root ::= \"ab\"", "ab", (2, true)),
            ("root ::= \"ab\"", "ac", (1, false)),
            ("root ::= \"ab\"", "abc", (2, true)),
            ("root ::= \"\"", "a", (0, true)),
            ("root ::= [a-c]* \"d\"", "abcabcd", (7, true)),
            ("root ::= [^a-c]+", "xyza", (3, true)),
            ("root ::= \"a\"{2,3}", "aaaa", (3, true)),
            ("root ::= \"a\"{2,3}", "a", (1, false)),
            ("root ::= \"a\"{0} \"b\"{2,}", "bbbb", (4, true)),
            ("root ::= (\"a\" | \"ab\") (\"c\" | \"bd\")", "abd", (3, true)),
            ("root ::= (\"a\" | \"ab\") (\"c\" | \"bd\")", "abbd", (4, true)),
            // What may be empty, over and over and one after the other.
            ("root ::= (\"a\"?)* ws* \"b\"\nws ::= [ ]*", "a  b", (4, true)),
            ("root ::= a b a \"c\"\na ::= b b | \"x\"\nb ::= \"y\"?", "yyyyyc", (6, true)),
            ("root ::= a b a \"c\"\na ::= b b | \"x\"\nb ::= \"y\"?", "yyyyyyc", (5, false)),
            ("root ::= a b a \"c\"\na ::= b b | \"x\"\nb ::= \"y\"?", "xyxc", (4, true)),
            // Nesting.
            ("root ::= \"(\" root \")\" | \"x\"", "((x))", (5, true)),
            ("root ::= \"(\" root \")\" | \"x\"", "((x)))", (5, true)),
            // Characters of several bytes, cut where they cannot be allowed any more.
            ("root ::= [ä-ü] \"€\" [^€] .", "ö€😀a", (10, true)),
            ("root ::= \"ä\"", "ö", (1, false)),
            ("root ::= \"€\"", "ä", (0, false)),
            ("root ::= [^ä]", "ö", (2, true)),
            ("root ::= [^ä]", "ä", (1, false)),
        ];
        for (grammar, text, expected) in cases {
            assert_eq!(read(&mut matcher(grammar), text), expected, "{grammar} over {text}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_not_allowed() {
        for bytes in [
            &[0x80][..],
            &[0xC0],
            &[0xFF],
            &[0],
            &[0xE0, 0x80],
            &[0xED, 0xA0],
            &[0xF4, 0x90],
            &[0xC3, 0x28],
        ] {
            let mut matcher = matcher("root ::= .*");
            assert!(!bytes.iter().all(|byte| matcher.push_byte(*byte)), "{bytes:?}");
        }
    }

    #[test]
    fn going_back_leads_to_the_same_place() {
        let mut matcher = matcher("root ::= \"a\" root \"b\" | \"a\" root \"c\" | \"d\"");
        assert!(matcher.allows(Token::new(1), b"aad"));
        for _ in 0..3 {
            assert_eq!(read(&mut matcher, "aadb"), (4, false));
            matcher.pop(2);
            assert_eq!(read(&mut matcher, "adcbc"), (5, true));
            matcher.rollback();
        }
        assert!(matcher.accept(Token::new(1), b"aad"));
        assert!(!matcher.accept(Token::new(1), b"bx"));
        assert!(matcher.accept(Token::new(1), b"b") && matcher.accept(Token::new(1), b"c"));
        assert!(matcher.is_complete());
    }

    #[test]
    fn ways_that_would_double_with_every_character_stay_few() {
        let mut matcher = matcher("root ::= \"(\" root \")\" | \"(\" root \"]\" | \"x\"");
        let text = format!("{}x{}", "(".repeat(5000), ")]".repeat(2500));
        for chunk in text.as_bytes().chunks(7) {
            matcher.begin();
            assert!(matcher.accept(Token::new(1), chunk));
        }
        assert!(matcher.is_complete());
    }

    #[test]
    fn long_texts_leave_nothing_behind() {
        let mut matcher = matcher("root ::= (item \",\")*\nitem ::= letter letter\nletter ::= [a-z]");
        for _ in 0..50_000 {
            assert!(matcher.accept(Token::new(1), b"ab,"));
        }
        assert!(matcher.nodes.len() < 3 * MIN_COLLECTED, "{} nodes", matcher.nodes.len());
    }

    /// Each makes much of another kind of work.
    #[test]
    fn too_much_work_is_noticed() {
        let many = |unit: &str, n| vec![unit; n].join(" | ");
        let known = many("\"\"", 30_000);
        let hostile: [(&str, String, u8); 5] = [
            ("new ways", "root ::= ((\"a\"?){0,10000}){0,40}".into(), b'a'),
            (
                "known ways",
                format!("root ::= a a a a a a a a \"x\"\na ::= b+\nb ::= {known} | \"y\""),
                b'y',
            ),
            (
                "ways yet to be followed",
                format!("root ::= \"a\" x{{10000}} \"z\"\nx ::= {}", many("", 20_000)),
                b'a',
            ),
            ("looks", format!("root ::= {}", many("\"b\" \"c\"", 60_000)), b'a'),
            (
                "looks for half characters",
                format!("root ::= {}", many("\"ä\" \"c\"", 60_000)),
                0xE2,
            ),
        ];
        for (name, grammar, byte) in hostile {
            let mut matcher = matcher(&grammar);
            assert!(!matcher.is_exhausted(), "{name}: it can begin");
            matcher.begin();
            let mut n_pushed = 0;
            while !matcher.is_exhausted() {
                n_pushed += 1;
                assert!(n_pushed < 100_000, "{name}: {} left", matcher.work_left);
                matcher.push_byte(byte);
                if matcher.steps.len() > 40 {
                    matcher.rollback();
                }
            }
            assert!(!matcher.push_byte(byte), "{name}");
            let n_held = matcher.threads.capacity() + matcher.nodes.capacity() + matcher.edges.capacity() + matcher.scratch.todo.capacity();
            assert!(n_held < 3 * MAX_HELD, "{name}: {n_held} places");
        }
    }

    /// More than four million ways in one mask were once called too ambiguous. A large vocabulary and JSON are enough.
    #[test]
    fn a_large_vocabulary_is_no_ambiguity() {
        let mut matcher = matcher(
            r#"root ::= "{" ws (pair ("," ws pair)*)? "}" ws
pair ::= string ws ":" ws (string | root) ws
string ::= "\"" ([^"\\] | "\\" [nrt"])* "\""
ws ::= ([ \t\n] ws)?"#,
        );
        assert!(matcher.accept(Token::new(1), br#"{ "a": ""#));
        matcher.begin();
        for number in 0..150_000 {
            let token = format!("{number}\", \"");
            assert_eq!(read(&mut matcher, &token).0, token.len(), "{} left", matcher.work_left);
            matcher.rollback();
        }
        let n_ways = (MAX_WORK - matcher.work_left) / NEW_WAY;
        assert!(n_ways > 5_000_000, "only {n_ways} ways: this proves nothing");
    }

    #[test]
    fn work_ends_when_it_is_aborted() {
        let abort = AbortFlag::default();
        let mut matcher = matcher_until("root ::= (\"a\"? \"a\"?)*", abort.clone());
        assert_eq!(read(&mut matcher, "aaa").0, 3);
        abort.set();
        matcher.begin();
        let n_pushed = (0..MAX_WORK).take_while(|_| matcher.push_byte(b'a')).count() as u64;
        assert!(matcher.is_exhausted() && matcher.is_aborted() && n_pushed < UNWATCHED, "{n_pushed}");
    }

    #[test]
    fn tokens_are_allowed_by_number_and_by_text() {
        let (named, text) = (Token::new(0), Token::new(1));
        let mut matcher = matcher("root ::= <x> !<x> \"<x>\" <[1]>");
        let steps: [(Token, &[u8], bool); 7] = [
            (text, b"y", false),
            (named, b"<x>", true),
            (named, b"<x>", false),
            (text, b"y", true),
            (named, b"<x>", true),
            (named, b"y", false),
            (text, b"", true),
        ];
        for (token, bytes, expected) in steps {
            assert_eq!(matcher.allows(token, bytes), expected, "{token} as {bytes:?}");
            assert_eq!(matcher.accept(token, bytes), expected, "{token} as {bytes:?}");
        }
        assert!(matcher.is_complete());
    }
}
