//! GBNF text → [`Grammar`], or the reason why not.
//!
//! The language is that of llama.cpp's `grammars/README.md`. llama.cpp's own parser is not used: it prints a faulty grammar to stderr,
//! overlooks some left recursion, and takes unbounded memory for `"a"{5,2}` or for deep nesting.

use std::cell::OnceCell;
use std::collections::HashMap;

use super::grammar::{CharSet, Element, Grammar};
use super::recursion;
use crate::llama::{Token, Vocabulary};

/// How deep parentheses may nest; the parser recurses.
const MAX_DEPTH: usize = 200;
/// The highest number in a repetition.
const MAX_REPETITION: u64 = 10_000;
/// What a grammar may grow to when repetitions are written out.
const MAX_ELEMENTS: usize = 500_000;

/// What to do with a repetition that has too high an upper limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LongRepetition {
    /// Refuse it.
    Refuse,
    /// Take it as unlimited, as llama.cpp does.
    Unlimited,
}

/// Reads a grammar.
pub(super) fn parse(text: &str, vocabulary: &Vocabulary, long: LongRepetition) -> Result<Grammar, String> {
    let mut parser = Parser {
        text,
        position: 0,
        depth: 0,
        vocabulary,
        long,
        ids: HashMap::new(),
        rules: Vec::new(),
        n_elements: 0,
        names: OnceCell::new(),
    };
    parser.file()?;
    let rules = parser.defined_rules()?;
    let root = *parser.ids.get("root").ok_or("the grammar has no rule `root`")?;
    recursion::check(&rules)?;
    Ok(flatten(rules, root))
}

/// A rule with its alternatives.
pub(super) struct Rule {
    /// The name in the text; for a part in parentheses that of the rule around it.
    pub(super) name: String,
    /// `None` until it is defined.
    pub(super) alternatives: Option<Vec<Vec<Element>>>,
    /// Whether it is a written-out repetition: that it follows itself is harmless, also where what it repeats may be empty.
    pub(super) is_loop: bool,
}

struct Parser<'a> {
    text: &'a str,
    position: usize,
    depth: usize,
    vocabulary: &'a Vocabulary,
    long: LongRepetition,
    ids: HashMap<String, u32>,
    rules: Vec<Rule>,
    n_elements: usize,
    /// Tokens by their text; made when the first is named.
    names: OnceCell<HashMap<&'a [u8], Token>>,
}

impl Parser<'_> {
    fn file(&mut self) -> Result<(), String> {
        self.skip_space(true);
        if self.peek().is_none() {
            return Err("the grammar is empty".into());
        }
        while self.peek().is_some() {
            self.rule()?;
        }
        Ok(())
    }

    fn rule(&mut self) -> Result<(), String> {
        let name = self.name()?;
        self.skip_space(false);
        if !self.take("::=") {
            return Err(self.expected("`::=`"));
        }
        self.skip_space(true);
        let id = self.id_of(&name)?;
        let alternatives = self.alternatives(&name, false)?;
        self.rules[id as usize].alternatives = Some(alternatives);
        if !matches!(self.peek(), None | Some('\r' | '\n')) {
            return Err(self.expected("the end of the line"));
        }
        self.skip_space(true);
        Ok(())
    }

    fn alternatives(&mut self, name: &str, is_nested: bool) -> Result<Vec<Vec<Element>>, String> {
        let mut alternatives = vec![self.sequence(name, is_nested)?];
        while self.take("|") {
            self.skip_space(true);
            alternatives.push(self.sequence(name, is_nested)?);
        }
        Ok(alternatives)
    }

    fn sequence(&mut self, name: &str, is_nested: bool) -> Result<Vec<Element>, String> {
        let mut sequence = Vec::new();
        // Where the item begins that a repetition behind it repeats.
        let mut item_start = 0;
        while let Some(next) = self.peek() {
            if let Some((least, most)) = self.repetition(next)? {
                let item = sequence.split_off(item_start);
                self.repeat(&mut sequence, item, least, most, name)?;
            } else {
                item_start = sequence.len();
                if !self.item(next, &mut sequence, name)? {
                    break;
                }
            }
            self.skip_space(is_nested);
        }
        self.count(sequence.len() + 1)?;
        Ok(sequence)
    }

    /// Reads what one item of a sequence is; false when none follows.
    fn item(&mut self, next: char, sequence: &mut Vec<Element>, name: &str) -> Result<bool, String> {
        match next {
            '"' => self.literal(sequence)?,
            '[' => sequence.push(Element::Char(self.class()?)),
            '.' => {
                self.advance();
                sequence.push(Element::Char(CharSet::any()));
            }
            '<' | '!' => sequence.push(self.token()?),
            '(' => sequence.push(self.group(name)?),
            letter if is_name_letter(letter) => {
                let name = self.name()?;
                sequence.push(Element::Rule(self.id_of(&name)?));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn literal(&mut self, sequence: &mut Vec<Element>) -> Result<(), String> {
        self.advance();
        while !self.take("\"") {
            let character = self.character()?;
            self.count(1)?;
            sequence.push(Element::Char(CharSet::one(character)));
        }
        Ok(())
    }

    fn class(&mut self) -> Result<CharSet, String> {
        self.advance();
        let is_negated = self.take("^");
        let mut ranges = Vec::new();
        while !self.take("]") {
            let low = self.character()?;
            let has_end = self.rest().starts_with('-') && !self.rest().starts_with("-]");
            if has_end {
                self.advance();
            }
            ranges.push((low, if has_end { self.character()? } else { low }));
        }
        if ranges.is_empty() {
            return Err(self.at("an empty character class"));
        }
        let set = CharSet::of(ranges);
        Ok(if is_negated { set.complement() } else { set })
    }

    fn group(&mut self, name: &str) -> Result<Element, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.at(&format!("parentheses are nested more than {MAX_DEPTH} deep")));
        }
        self.advance();
        self.skip_space(true);
        let alternatives = self.alternatives(name, true)?;
        if !self.take(")") {
            return Err(self.expected("`)`"));
        }
        self.depth -= 1;
        self.add_rule(name, Some(alternatives)).map(Element::Rule)
    }

    /// `<[1234]>`, `<text of a token>`, or one of them behind `!`.
    fn token(&mut self) -> Result<Element, String> {
        let is_negated = self.take("!");
        let rest = self.rest();
        let end = rest.find('>').filter(|_| rest.starts_with('<'));
        let end = end.ok_or_else(|| self.expected("`<`, a token and `>`"))?;
        let text = &rest[..=end];
        let token = self
            .token_named(text)
            .ok_or_else(|| self.at(&format!("`{text}` is not one token")))?;
        self.position += text.len();
        Ok(if is_negated {
            Element::NotToken(token)
        } else {
            Element::Token(token)
        })
    }

    fn token_named(&self, text: &str) -> Option<Token> {
        if let Some(id) = text.strip_prefix("<[").and_then(|rest| rest.strip_suffix("]>")) {
            let token = Token::new(id.parse().ok()?);
            return self.vocabulary.contains(token).then_some(token);
        }
        let names = self.names.get_or_init(|| names_of(self.vocabulary));
        names.get(text.as_bytes()).copied()
    }

    /// Reads `*`, `+`, `?` or `{…}`: the least and the greatest number of times.
    fn repetition(&mut self, next: char) -> Result<Option<(u64, Option<u64>)>, String> {
        let times = match next {
            '*' => (0, None),
            '+' => (1, None),
            '?' => (0, Some(1)),
            '{' => return self.braces().map(Some),
            _ => return Ok(None),
        };
        self.advance();
        Ok(Some(times))
    }

    fn braces(&mut self) -> Result<(u64, Option<u64>), String> {
        self.advance();
        self.skip_space(true);
        let least = self.number().ok_or_else(|| self.expected("a number"))?;
        self.skip_space(true);
        let mut most = Some(least);
        if self.take(",") {
            self.skip_space(true);
            most = self.number();
            self.skip_space(true);
        }
        if !self.take("}") {
            return Err(self.expected("`}`"));
        }
        if self.long == LongRepetition::Unlimited {
            most = most.filter(|most| *most <= MAX_REPETITION);
        }
        if least.max(most.unwrap_or(0)) > MAX_REPETITION {
            return Err(self.at(&format!("a repetition of more than {MAX_REPETITION}")));
        }
        if most.is_some_and(|most| most < least) {
            return Err(self.at("a repetition whose limits are the wrong way round"));
        }
        Ok((least, most))
    }

    /// Appends `item` to `sequence` as many times; what is optional becomes rules of its own.
    fn repeat(&mut self, sequence: &mut Vec<Element>, item: Vec<Element>, least: u64, most: Option<u64>, name: &str) -> Result<(), String> {
        let item = match <[Element; 1]>::try_from(item) {
            Ok([element]) => element,
            Err(item) if item.is_empty() => return Err(self.expected("something to repeat")),
            Err(item) => Element::Rule(self.add_rule(name, Some(vec![item]))?),
        };
        for _ in 0..least {
            self.count(1)?;
            sequence.push(item.clone());
        }
        let mut optional = None;
        match most {
            None => {
                let again = self.add_rule(name, None)?;
                let rule = &mut self.rules[again as usize];
                rule.alternatives = Some(vec![vec![item, Element::Rule(again)], vec![]]);
                rule.is_loop = true;
                self.count(4)?;
                optional = Some(again);
            }
            Some(most) => {
                for _ in least..most {
                    let taken = [item.clone()].into_iter().chain(optional.map(Element::Rule)).collect();
                    self.count(4)?;
                    optional = Some(self.add_rule(name, Some(vec![taken, vec![]]))?);
                }
            }
        }
        sequence.extend(optional.map(Element::Rule));
        Ok(())
    }

    fn character(&mut self) -> Result<u32, String> {
        let character = self.peek().ok_or_else(|| self.at("the text ends too early"))?;
        self.advance();
        if character != '\\' {
            return Ok(u32::from(character));
        }
        let escaped = self.peek().ok_or_else(|| self.at("the text ends too early"))?;
        let code_point = match escaped {
            'x' => return self.hexadecimal(2),
            'u' => return self.hexadecimal(4),
            'U' => return self.hexadecimal(8),
            't' => '\t',
            'r' => '\r',
            'n' => '\n',
            '\\' | '"' | '[' | ']' | '-' => escaped,
            _ => return Err(self.at(&format!("unknown escape `\\{escaped}`"))),
        };
        self.advance();
        Ok(u32::from(code_point))
    }

    fn hexadecimal(&mut self, length: usize) -> Result<u32, String> {
        self.advance();
        let digits = self
            .rest()
            .get(..length)
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let value = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let value = value.ok_or_else(|| self.expected(&format!("{length} hexadecimal digits")))?;
        self.position += length;
        Ok(value)
    }

    /// A number; `None` when none follows. One that is too large counts as the largest.
    fn number(&mut self) -> Option<u64> {
        let length = self.rest().bytes().take_while(u8::is_ascii_digit).count();
        let digits = &self.rest()[..length];
        let number = (length > 0).then(|| digits.parse().unwrap_or(u64::MAX));
        self.position += length;
        number
    }

    fn name(&mut self) -> Result<String, String> {
        let length = self.rest().chars().take_while(|letter| is_name_letter(*letter)).count();
        if length == 0 {
            return Err(self.expected("the name of a rule"));
        }
        let name = self.rest()[..length].to_owned();
        self.position += length;
        Ok(name)
    }

    fn id_of(&mut self, name: &str) -> Result<u32, String> {
        if let Some(id) = self.ids.get(name) {
            return Ok(*id);
        }
        let id = self.add_rule(name, None)?;
        self.ids.insert(name.to_owned(), id);
        Ok(id)
    }

    fn add_rule(&mut self, name: &str, alternatives: Option<Vec<Vec<Element>>>) -> Result<u32, String> {
        self.count(1)?;
        self.rules.push(Rule {
            name: name.to_owned(),
            alternatives,
            is_loop: false,
        });
        // `count` keeps the number far below.
        Ok(u32::try_from(self.rules.len() - 1).unwrap_or(u32::MAX))
    }

    fn defined_rules(&mut self) -> Result<Vec<Rule>, String> {
        let undefined = self.rules.iter().find(|rule| rule.alternatives.is_none());
        match undefined {
            Some(rule) => Err(format!("rule `{}` is used but not defined", rule.name)),
            None => Ok(std::mem::take(&mut self.rules)),
        }
    }

    fn count(&mut self, elements: usize) -> Result<(), String> {
        self.n_elements += elements;
        if self.n_elements > MAX_ELEMENTS {
            return Err(self.at(&format!(
                "the grammar has more than {MAX_ELEMENTS} elements when repetitions are written out"
            )));
        }
        Ok(())
    }

    fn skip_space(&mut self, over_lines: bool) {
        while let Some(next) = self.peek() {
            match next {
                ' ' | '\t' => self.advance(),
                '\r' | '\n' if over_lines => self.advance(),
                '#' => self.position += self.rest().find(['\r', '\n']).unwrap_or(self.rest().len()),
                _ => break,
            }
        }
    }

    fn take(&mut self, wanted: &str) -> bool {
        let is_there = self.rest().starts_with(wanted);
        if is_there {
            self.position += wanted.len();
        }
        is_there
    }

    fn advance(&mut self) {
        self.position += self.peek().map_or(0, char::len_utf8);
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn rest(&self) -> &str {
        &self.text[self.position..]
    }

    fn expected(&self, what: &str) -> String {
        self.at(&format!("expected {what}"))
    }

    fn at(&self, what: &str) -> String {
        let before = &self.text[..self.position];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        format!("{what} at line {line}, column {column} of the grammar")
    }
}

/// A vocabulary's tokens by their text: the first of those that have the same, and control tokens before others.
fn names_of(vocabulary: &Vocabulary) -> HashMap<&[u8], Token> {
    let mut names = HashMap::with_capacity(vocabulary.len());
    for is_control in [true, false] {
        for token in vocabulary.tokens().filter(|token| vocabulary.is_control(*token) == is_control) {
            names.entry(vocabulary.piece(token)).or_insert(token);
        }
    }
    names
}

fn is_name_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '-'
}

fn flatten(rules: Vec<Rule>, root: u32) -> Grammar {
    let mut code = Vec::new();
    let mut starts = Vec::with_capacity(rules.len());
    for rule in rules {
        let mut alternatives = Vec::new();
        for alternative in rule.alternatives.unwrap_or_default() {
            // `MAX_ELEMENTS` keeps the number far below.
            alternatives.push(u32::try_from(code.len()).unwrap_or(u32::MAX));
            code.extend(alternative);
            code.push(Element::End);
        }
        starts.push(alternatives);
    }
    Grammar { code, rules: starts, root }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(text: &str) -> String {
        let pieces = [("a", false), ("<tool>", true)].map(|(piece, is_control)| (piece.as_bytes().to_vec(), is_control));
        let vocabulary = Vocabulary::new(pieces, vec![]);
        parse(text, &vocabulary, LongRepetition::Refuse).err().unwrap_or_default()
    }

    #[test]
    fn what_llama_cpp_takes_is_taken() {
        let grammars = [
            "root ::= \"a\"",
            "# a comment\nroot ::= # another\n  \"a\" [a-z] | b\r\n\r\nb ::= (\n \"x\" # inside\n | [^\\]\\\\\\n\\x41\\u0041\\U00000041-] )* \"\"",
            "root ::= b{2} b{2,} b{ 2 , 3 } b{0,3}? b{0}\nb ::= .",
            "root ::= <tool> <[1]> !<tool> !<[0]>",
            "root ::= [a-] \"ü\" | ",
            "root ::= \"a\" root | \"b\"",
            "root ::= a\na ::= \"1\"\na ::= \"2\"",
            "root ::= ws* \"a\" (\"b\"?)*\nws ::= [ ]*",
        ];
        for grammar in grammars {
            assert_eq!(reason(grammar), "", "{grammar}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let deep = format!("root ::= {}\"a\"{}", "(".repeat(100_000), ")".repeat(100_000));
        let long = format!("root ::= {}", "\"aaaaaaaaaa\" ".repeat(60_000));
        let wide = format!("root ::= {}", "[a]{10000} ".repeat(60));
        let cases = [
            ("", "the grammar is empty"),
            (" \n# only a comment", "the grammar is empty"),
            ("a ::= \"a\"", "the grammar has no rule `root`"),
            ("root ::= a", "rule `a` is used but not defined"),
            ("root = \"a\"", "expected `::=` at line 1, column 6 of the grammar"),
            (
                "root ::= \"a\"\n\"b\"",
                "expected the name of a rule at line 2, column 1 of the grammar",
            ),
            ("root ::= \"a", "the text ends too early at line 1, column 12 of the grammar"),
            ("root ::= (\"a\"", "expected `)` at line 1, column 14 of the grammar"),
            (
                "root ::= \"a\")",
                "expected the end of the line at line 1, column 13 of the grammar",
            ),
            ("root ::= []", "an empty character class at line 1, column 12 of the grammar"),
            ("root ::= [a", "the text ends too early at line 1, column 12 of the grammar"),
            ("root ::= \"\\q\"", "unknown escape `\\q` at line 1, column 12 of the grammar"),
            (
                "root ::= \"\\xZZ\"",
                "expected 2 hexadecimal digits at line 1, column 13 of the grammar",
            ),
            ("root ::= *", "expected something to repeat at line 1, column 11 of the grammar"),
            ("root ::= \"a\"{", "expected a number at line 1, column 14 of the grammar"),
            ("root ::= \"a\"{1", "expected `}` at line 1, column 15 of the grammar"),
            ("root ::= <none>", "`<none>` is not one token at line 1, column 10 of the grammar"),
            ("root ::= <[2]>", "`<[2]>` is not one token at line 1, column 10 of the grammar"),
            ("root ::= <a", "expected `<`, a token and `>` at line 1, column 10 of the grammar"),
            // llama.cpp takes unbounded memory for these.
            (
                "root ::= \"a\"{5,2}",
                "a repetition whose limits are the wrong way round at line 1, column 18 of the grammar",
            ),
            (
                "root ::= \"a\"{99999999999999999999}",
                "a repetition of more than 10000 at line 1, column 35 of the grammar",
            ),
            (
                "root ::= \"a\"{0,20000}",
                "a repetition of more than 10000 at line 1, column 22 of the grammar",
            ),
        ];
        for (grammar, expected) in cases {
            let reason = reason(grammar);
            assert!(reason.starts_with(expected), "{grammar}\n{reason}");
        }
        for (grammar, expected) in [
            (deep, "nested more than 200"),
            (long, "more than 500000"),
            (wide, "more than 500000"),
        ] {
            assert!(reason(&grammar).contains(expected), "{}", reason(&grammar));
        }
    }

    #[test]
    fn left_recursion_is_named() {
        let cases = [
            // Left recursion: plain, over another rule, behind what may be empty (llama.cpp overlooks the last two).
            ("root ::= root \"a\" | \"b\"", "rule `root` begins with itself"),
            ("root ::= a\na ::= root \"x\" | \"y\"", "rule `root` begins with itself"),
            (
                "root ::= a\na ::= b a \"x\" | \"y\"\nb ::= c\nc ::= \"\" | \"z\"",
                "rule `a` begins with itself",
            ),
            ("root ::= \"\" a\na ::= b? a\nb ::= \"b\"", "rule `a` begins with itself"),
        ];
        for (grammar, expected) in cases {
            assert!(reason(grammar).starts_with(expected), "{grammar}: {}", reason(grammar));
        }
    }

    #[test]
    fn repetitions_too_long_to_write_out_may_become_unlimited() {
        let vocabulary = Vocabulary::new([], vec![]);
        let parsed = parse("root ::= \"a\"{0,20000}", &vocabulary, LongRepetition::Unlimited);
        assert!(parsed.is_ok_and(|grammar| grammar.code.len() < 10));
    }
}
