//! Which file of a repository is meant, when its name does not say. Pure.
//!
//! Reads paths only: whether a file is a model, its first bytes say when it comes.

use super::source::Wanted;
use super::split::{has_extension, is_later_part, stem};

/// What a repository has when it has one model.
const USUAL_NAME: &str = "model.gguf";

/// The path of the one file that is meant, the first of several parts; or what there is to choose from.
pub(super) fn choose(files: &[String], wanted: &Wanted) -> Result<String, Vec<String>> {
    let models: Vec<&String> = files.iter().filter(|path| is_model(path)).collect();
    let all = || models.iter().map(|path| (*path).clone()).collect::<Vec<_>>();
    let fitting: Vec<&&String> = match wanted {
        Wanted::Path(path) => return files.iter().find(|file| *file == path).cloned().ok_or_else(all),
        Wanted::Any => match models.iter().find(|path| path.as_str() == USUAL_NAME) {
            Some(usual) => return Ok((*usual).clone()),
            None => models.iter().collect(),
        },
        Wanted::Quantization(name) => models.iter().filter(|path| has_quantization(path, name)).collect(),
    };
    match fitting[..] {
        [only] => Ok((*only).clone()),
        [] => Err(all()),
        _ => Err(fitting.into_iter().map(|path| (*path).clone()).collect()),
    }
}

/// Whether it is a GGUF that can be a model: not a later part, and not the eyes or the importance matrix of one.
fn is_model(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default().to_lowercase();
    let is_companion = name.contains("mmproj") || name.contains("imatrix");
    has_extension(&name) && !is_companion && !is_later_part(path)
}

/// Whether the name ends with the quantization, as a word of its own.
fn has_quantization(path: &str, quantization: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let (stem, quantization) = (stem(name).to_lowercase(), quantization.to_lowercase());
    let before = stem.strip_suffix(&quantization);
    before.is_some_and(|before| before.is_empty() || before.ends_with(['-', '.', '_']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(files: &[&str], wanted: Wanted, expected: Result<&str, &[&str]>) {
        let files: Vec<String> = files.iter().map(|file| (*file).to_owned()).collect();
        let chosen = choose(&files, &wanted);
        let expected = expected
            .map(str::to_owned)
            .map_err(|choices| choices.iter().map(|choice| (*choice).to_owned()).collect::<Vec<_>>());
        assert_eq!(chosen, expected, "{files:?} {wanted:?}");
    }

    #[test]
    fn the_usual_name_goes_before_a_single_one() {
        check(&["README.md", "model.gguf"], Wanted::Any, Ok("model.gguf"));
        check(&["a.gguf", "model.gguf"], Wanted::Any, Ok("model.gguf"));
        check(
            &["README.md", "d/a.gguf", "mmproj-a.gguf", "a.imatrix.gguf"],
            Wanted::Any,
            Ok("d/a.gguf"),
        );
        check(
            &["a-00002-of-00002.gguf", "a-00001-of-00002.gguf"],
            Wanted::Any,
            Ok("a-00001-of-00002.gguf"),
        );
        check(&["a.gguf", "b.gguf", "c.txt"], Wanted::Any, Err(&["a.gguf", "b.gguf"]));
        check(&["c.txt"], Wanted::Any, Err(&[]));
    }

    #[test]
    fn a_quantization_is_a_word_at_the_end() {
        let files = [
            "m-Q4_K_M.gguf",
            "m-Q4_K_S.gguf",
            "m-IQ4_K_M.gguf",
            "BF16/m-BF16-00001-of-00002.gguf",
            "BF16/m-BF16-00002-of-00002.gguf",
            "m.f16.gguf",
        ];
        let named = |name: &str| Wanted::Quantization(name.into());
        check(&files, named("Q4_K_M"), Ok("m-Q4_K_M.gguf"));
        check(&files, named("q4_k_s"), Ok("m-Q4_K_S.gguf"));
        check(&files, named("BF16"), Ok("BF16/m-BF16-00001-of-00002.gguf"));
        check(&files, named("F16"), Ok("m.f16.gguf"));
        let choices = [
            "m-Q4_K_M.gguf",
            "m-Q4_K_S.gguf",
            "m-IQ4_K_M.gguf",
            "BF16/m-BF16-00001-of-00002.gguf",
            "m.f16.gguf",
        ];
        check(&files, named("Q8_0"), Err(&choices));
        check(
            &["a/m-Q8_0.gguf", "b/m-Q8_0.gguf", "c.gguf"],
            named("Q8_0"),
            Err(&["a/m-Q8_0.gguf", "b/m-Q8_0.gguf"]),
        );
    }

    #[test]
    fn a_path_is_there_or_not() {
        check(&["a/m.gguf", "m.gguf"], Wanted::Path("a/m.gguf".into()), Ok("a/m.gguf"));
        check(&["m.gguf"], Wanted::Path("M.gguf".into()), Err(&["m.gguf"]));
    }
}
