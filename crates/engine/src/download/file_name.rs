//! What a file is called here, from what it is called there. Pure.
//!
//! Invariant: the name is one name, of a file in the folder that was asked for, on every system.

use percent_encoding::percent_decode_str;

/// Names of devices on Windows, whatever extension they have.
const RESERVED: [&str; 6] = ["con", "prn", "aux", "nul", "conin$", "conout$"];

/// What our own files beside a model end with.
const OURS: [&str; 3] = [".part", ".part.json", ".part.json.new"];

/// File systems take 255 bytes; ours beside it are a little longer.
const LONGEST: usize = 240;

/// The name for what is under `path`, a URL's or a repository's. None when it ends without one.
pub(super) fn file_name(path: &str) -> Option<String> {
    let last = path.rsplit('/').next().unwrap_or_default();
    let decoded = percent_decode_str(last).decode_utf8_lossy();
    let safe: String = decoded.chars().map(|letter| if is_safe(letter) { letter } else { '_' }).collect();
    let name = shortened(safe.trim().trim_end_matches(['.', ' ']));
    if name.chars().all(|letter| letter == '.' || letter == '_') {
        return None;
    }
    Some(if is_reserved(&name) || name.starts_with('.') {
        format!("_{name}")
    } else {
        name
    })
}

fn is_safe(letter: char) -> bool {
    // Letters that turn the direction of what follows can make a name look like another one.
    let turns = matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !letter.is_control() && !turns && !"/\\:*?\"<>|".contains(letter)
}

fn is_reserved(name: &str) -> bool {
    let lower = name.to_lowercase();
    let stem = lower.split('.').next().unwrap_or_default().trim_end();
    let is_port = |prefix: &str| {
        stem.strip_prefix(prefix)
            .is_some_and(|rest| rest.chars().count() == 1 && !rest.starts_with(char::is_alphabetic))
    };
    RESERVED.contains(&stem) || is_port("com") || is_port("lpt") || OURS.iter().any(|ending| lower.ends_with(ending))
}

/// The end of a name that is too long: there is the quantization, and the extension.
fn shortened(name: &str) -> String {
    let excess = name.len().saturating_sub(LONGEST);
    let start = (excess..=name.len()).find(|start| name.is_char_boundary(*start));
    name[start.unwrap_or(name.len())..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_always_one_name_in_the_folder() {
        for (path, expected) in [
            ("/a/b/model.gguf", Some("model.gguf")),
            ("model.gguf", Some("model.gguf")),
            ("/a/M%C3%BCller%20Q4.gguf", Some("Müller Q4.gguf")),
            ("/a/..%2F..%2Fetc%2Fpasswd", Some(".._.._etc_passwd").map(|_| "_.._.._etc_passwd")),
            ("/a/%2e%2e", None),
            ("/a/..", None),
            ("/a/", None),
            ("/", None),
            ("", None),
            ("/%00", None),
            ("/a%5Cb:c*.gguf", Some("a_b_c_.gguf")),
            ("/C:%5CWindows%5Cx.gguf", Some("C__Windows_x.gguf")),
            ("/a%0Ab%7F.gguf", Some("a_b_.gguf")),
            ("/model.gguf.%20.", Some("model.gguf")),
            ("/.hidden.gguf", Some("_.hidden.gguf")),
            ("/nul.gguf", Some("_nul.gguf")),
            ("/CON", Some("_CON")),
            ("/conout%24.gguf", Some("_conout$.gguf")),
            ("/Com1.gguf", Some("_Com1.gguf")),
            ("/lpt%C2%B2.gguf", Some("_lpt².gguf")),
            ("/comx.gguf", Some("comx.gguf")),
            ("/console.gguf", Some("console.gguf")),
            ("/m.gguf.part", Some("_m.gguf.part")),
            ("/m.gguf.PART.json", Some("_m.gguf.PART.json")),
            ("/%E2%80%AEfugg.exe", Some("_fugg.exe")),
            ("/%FF.gguf", Some("\u{fffd}.gguf")),
        ] {
            assert_eq!(file_name(path).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn a_long_name_keeps_its_end() {
        let name = file_name(&format!("{}ü-Q4_K_M.gguf", "x".repeat(400))).unwrap();
        assert!(name.ends_with("xü-Q4_K_M.gguf") && name.len() == LONGEST, "{name}");
        let cut_within = file_name(&"ü".repeat(200)).unwrap();
        assert!(cut_within.len() <= LONGEST && cut_within.chars().all(|letter| letter == 'ü'));
    }

    #[test]
    fn what_beside_it_is_ours_is_never_the_name_of_a_model() {
        // The partial file of `_m.gguf` is `_m.gguf.part`, so a model may not be called that.
        let name = file_name("/m.gguf.part").unwrap();
        assert_ne!(name, "m.gguf.part");
    }
}
