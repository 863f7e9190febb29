//! A look at a model file before llama.cpp loads it: is it there, is it a whole GGUF with weights, will llama.cpp's assertions hold?
//!
//! llama.cpp ends the process on some damaged files, reads past its arrays on others, and finds a truncated one only while loading, when the
//! model before it is gone. Reads the file itself, within bounds; llama.cpp's reader sees only what passed.

mod reader;
mod rules;
#[cfg(test)]
mod sample;
mod types;

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use reader::{Header, Items, Number, Value};

use crate::error::{Error, Result};

/// What a look at a file, or at all parts of a split model, found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileInfo {
    /// Bytes of all tensors.
    pub weights: u64,
}

/// Refuses a path that cannot be a loadable model, with the reason a person needs.
pub(super) fn check_file(path: &Path) -> Result<FileInfo> {
    let first = read(path)?;
    let (part, parts) = rules::part_of_split(&first);
    if part > 0 {
        return Err(invalid(
            path,
            format!("it is part {} of {parts} of a split model, load the first part", part + 1),
        ));
    }
    let mut weights = rules::weight_bytes(&first);
    for number in 1..parts {
        let name = part_path(path, number, parts).ok_or_else(|| {
            let reason = format!("it is the first of {parts} parts, but its name does not end with `-00001-of-{parts:05}.gguf`");
            invalid(path, reason)
        })?;
        weights = weights.saturating_add(rules::weight_bytes(&read(&name)?));
    }
    Ok(FileInfo { weights })
}

/// What a file says of its weights, for who plans with them.
pub(super) struct Outline(Header);

impl Outline {
    /// Those of all parts of a model, the first one's first.
    pub(super) fn of_parts(path: &Path) -> Result<Vec<Self>> {
        let first = read(path)?;
        let (_, parts) = rules::part_of_split(&first);
        let others = (1..parts).map_while(|number| part_path(path, number, parts));
        let others: Vec<Self> = others.map(|part| read(&part).map(Self)).collect::<Result<_>>()?;
        Ok([Self(first)].into_iter().chain(others).collect())
    }

    /// Names and bytes of its tensors.
    pub(super) fn tensors(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.tensors.iter().map(|tensor| (tensor.name.as_str(), tensor.bytes))
    }

    /// A number under a name that begins with the model's architecture; the largest where there is one for each layer.
    pub(super) fn architecture_number(&self, name: &str) -> Option<u64> {
        let Some(Value::Text(architecture)) = self.0.value("general.architecture") else {
            return None;
        };
        let key = format!("{}.{name}", String::from_utf8_lossy(architecture));
        let whole = |number: &Number| match number {
            Number::Whole(number) => u64::try_from(*number).ok(),
            Number::Fraction(_) => None,
        };
        match self.0.value(&key)? {
            Value::Number(number) => whole(number),
            Value::List {
                items: Items::Numbers(numbers),
                ..
            } => numbers.iter().filter_map(whole).max(),
            _ => None,
        }
    }
}

/// The same for the bytes of a file that is one whole model.
///
/// # Errors
/// What makes it no loadable model at first sight.
pub fn check_bytes(bytes: &[u8]) -> std::result::Result<FileInfo, String> {
    let header = Header::read(bytes, bytes.len() as u64)?;
    rules::check(&header, bytes.len() as u64)?;
    Ok(FileInfo {
        weights: rules::weight_bytes(&header),
    })
}

/// Reads and checks one file.
fn read(path: &Path) -> Result<Header> {
    let metadata = std::fs::metadata(path).map_err(|source| io_error(path, source))?;
    if !metadata.is_file() {
        return Err(Error::ModelNotAFile { path: path.to_owned() });
    }
    if path.to_str().is_none_or(|text| text.contains('\0')) {
        return Err(invalid(path, "its path is no valid text".into()));
    }
    let file = File::open(path).map_err(|source| io_error(path, source))?;
    let header = Header::read(BufReader::new(file), metadata.len()).map_err(|reason| invalid(path, reason))?;
    rules::check(&header, metadata.len()).map_err(|reason| invalid(path, reason))?;
    Ok(header)
}

/// Where llama.cpp looks for part `number`, counted from 0, of the model whose first part is at `first`.
fn part_path(first: &Path, number: i128, parts: i128) -> Option<PathBuf> {
    let stem = first.to_str()?.strip_suffix(&format!("-00001-of-{parts:05}.gguf"))?;
    Some(PathBuf::from(format!("{stem}-{:05}-of-{parts:05}.gguf", number + 1)))
}

fn invalid(path: &Path, reason: String) -> Error {
    Error::ModelInvalid {
        path: path.to_owned(),
        reason,
    }
}

fn io_error(path: &Path, source: std::io::Error) -> Error {
    match source.kind() {
        // Windows says "not found" for what is below a file.
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => missing(path),
        _ => Error::ModelUnreadable {
            path: path.to_owned(),
            source,
        },
    }
}

/// Electron shows the files of its archive as if they lay on disk, and only to JavaScript.
fn missing(path: &Path) -> Error {
    let is_archive = |folder: &&Path| folder.extension().is_some_and(|extension| extension == "asar") && folder.is_file();
    match path.ancestors().skip(1).find(is_archive) {
        Some(archive) => Error::ModelInArchive {
            path: path.to_owned(),
            archive: archive.to_owned(),
        },
        None => Error::ModelNotFound { path: path.to_owned() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_looked_for_where_llama_cpp_does() {
        let cases = [
            ("m-00001-of-00003.gguf", Some("m-00003-of-00003.gguf")),
            ("m-00001-of-00002.gguf", None),
            ("m.gguf", None),
        ];
        for (first, expected) in cases {
            assert_eq!(part_path(Path::new(first), 2, 3), expected.map(PathBuf::from), "{first}");
        }
    }
}
