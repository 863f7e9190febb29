//! Models in several files, `name-00001-of-0000N.gguf`. Pure.
//!
//! Knows what a name says, not whether the parts are there.

/// Digits of each of the two numbers.
const DIGITS: usize = 5;

/// More parts than any model has; a name that says more would only keep us busy.
const MOST_PARTS: u32 = 1000;

/// The names of all parts, when `path` is one of them; in order. None for a model in one file.
pub(super) fn parts(path: &str) -> Option<Vec<String>> {
    let (stem, _, count) = numbers(path)?;
    let name = |part: u32| format!("{stem}-{part:0DIGITS$}-of-{count:0DIGITS$}{}", extension(path));
    Some((1..=count).map(name).collect())
}

/// The name without the numbers of its part.
pub(super) fn stem(path: &str) -> &str {
    match numbers(path) {
        Some((stem, _, _)) => stem,
        None => &path[..path.len() - extension(path).len()],
    }
}

/// Whether it ends as the names of models do.
pub(super) fn has_extension(path: &str) -> bool {
    !extension(path).is_empty()
}

/// Whether it is a part that has others before it.
pub(super) fn is_later_part(path: &str) -> bool {
    numbers(path).is_some_and(|(_, part, _)| part > 1)
}

fn extension(path: &str) -> &str {
    const EXTENSION: &str = ".gguf";
    let start = path.len().saturating_sub(EXTENSION.len());
    match path.get(start..) {
        Some(end) if end.eq_ignore_ascii_case(EXTENSION) => end,
        _ => "",
    }
}

fn numbers(path: &str) -> Option<(&str, u32, u32)> {
    let rest = path.strip_suffix(extension(path)).filter(|rest| *rest != path)?;
    let (rest, count) = rest.rsplit_once("-of-")?;
    let (stem, part) = rest.rsplit_once('-')?;
    let number = |text: &str| {
        let is_number = text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|number| is_number && (1..=MOST_PARTS).contains(number))
    };
    let (part, count) = (number(part)?, number(count)?);
    (part <= count).then_some((stem, part, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_part_names_them_all() {
        let all = ["d/m-00001-of-00003.gguf", "d/m-00002-of-00003.gguf", "d/m-00003-of-00003.gguf"];
        for part in all {
            assert_eq!(parts(part).unwrap(), all);
        }
        assert_eq!(parts("m-00001-of-00001.GGUF").unwrap(), ["m-00001-of-00001.GGUF"]);
    }

    #[test]
    fn other_names_are_no_parts() {
        for name in [
            "m.gguf",
            "m-00001-of-00003",
            "m-00001-of-00003.bin",
            "m-1-of-3.gguf",
            "m-00004-of-00003.gguf",
            "m-00000-of-00003.gguf",
            "m-00001-of-00000.gguf",
            "m-00001-of-99999.gguf",
            "m-+0001-of-00003.gguf",
            "-of-.gguf",
            "ü",
            "",
        ] {
            assert_eq!(parts(name), None, "{name}");
        }
    }

    #[test]
    fn stems_have_no_numbers() {
        for (name, expected, is_later) in [
            ("a/m-Q4.gguf", "a/m-Q4", false),
            ("m-00001-of-00002.gguf", "m", false),
            ("m-00002-of-00002.gguf", "m", true),
        ] {
            assert_eq!((stem(name), is_later_part(name)), (expected, is_later));
        }
    }
}
