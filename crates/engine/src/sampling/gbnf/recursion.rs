//! Finds rules that begin with themselves: nothing could be matched by them in finite time.

use super::grammar::Element;
use super::parse::Rule;

/// Refuses left recursion, direct or over other rules, also behind what may be empty.
pub(super) fn check(rules: &[Rule]) -> Result<(), String> {
    let may_be_empty = nullable(rules);
    let mut first: Vec<Vec<usize>> = rules.iter().map(|rule| leading_rules(rule, &may_be_empty)).collect();
    for (index, leading) in first.iter_mut().enumerate().filter(|(index, _)| rules[*index].is_loop) {
        leading.retain(|rule| *rule != index);
    }
    match find_cycle(&first) {
        Some(rule) => Err(format!(
            "rule `{}` begins with itself (left recursion); put the recursion behind something that is not empty",
            rules[rule].name
        )),
        None => Ok(()),
    }
}

fn alternatives(rule: &Rule) -> impl Iterator<Item = &Vec<Element>> {
    rule.alternatives.iter().flatten()
}

/// Which rules can match nothing at all. Each alternative waits for its rules, so the time is linear.
fn nullable(rules: &[Rule]) -> Vec<bool> {
    let mut may_be_empty = vec![false; rules.len()];
    // For each rule, the alternatives that contain it; for each alternative, its owner and what is not known to be empty yet.
    let mut users: Vec<Vec<usize>> = vec![Vec::new(); rules.len()];
    let mut waiting = Vec::new();
    let mut found = Vec::new();
    for (owner, rule) in rules.iter().enumerate() {
        for alternative in alternatives(rule) {
            for element in alternative {
                if let Element::Rule(used) = element {
                    users[*used as usize].push(waiting.len());
                }
            }
            if alternative.is_empty() {
                found.push(owner);
            }
            waiting.push((owner, alternative.len()));
        }
    }
    while let Some(rule) = found.pop() {
        if std::mem::replace(&mut may_be_empty[rule], true) {
            continue;
        }
        for &user in &users[rule] {
            waiting[user].1 -= 1;
            if waiting[user].1 == 0 {
                found.push(waiting[user].0);
            }
        }
    }
    may_be_empty
}

/// The rules that can stand at the beginning of `rule`.
fn leading_rules(rule: &Rule, may_be_empty: &[bool]) -> Vec<usize> {
    let mut leading = Vec::new();
    for alternative in alternatives(rule) {
        for element in alternative {
            let Element::Rule(used) = element else { break };
            leading.push(*used as usize);
            if !may_be_empty[*used as usize] {
                break;
            }
        }
    }
    leading
}

/// A rule from which `edges` lead back to it. Walks with a stack of its own: a chain of rules may be long.
fn find_cycle(edges: &[Vec<usize>]) -> Option<usize> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let mut marks = vec![Mark::New; edges.len()];
    for start in 0..edges.len() {
        let mut path = vec![(start, 0)];
        while let Some((rule, next)) = path.pop() {
            if next == 0 {
                if marks[rule] == Mark::Done {
                    continue;
                }
                marks[rule] = Mark::Open;
            }
            let Some(&target) = edges[rule].get(next) else {
                marks[rule] = Mark::Done;
                continue;
            };
            if marks[target] == Mark::Open {
                return Some(target);
            }
            path.push((rule, next + 1));
            if marks[target] == Mark::New {
                path.push((target, 0));
            }
        }
    }
    None
}
