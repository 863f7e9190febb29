//! A first look at a model file, before llama.cpp sees it: is it there, is it a file, is it a GGUF with weights?
//!
//! Reads the fixed header only. What is wrong further inside is llama.cpp's to report.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::{Error, Result};

const MAGIC: &[u8] = b"GGUF";
/// Magic, version, number of tensors, number of metadata entries.
const HEADER_BYTES: usize = 4 + 4 + 8 + 8;

/// Refuses a path that cannot be a loadable model, with the reason a person needs.
pub(super) fn check_file(path: &Path) -> Result<()> {
    let metadata = std::fs::metadata(path).map_err(|source| io_error(path, source))?;
    if !metadata.is_file() {
        return Err(Error::ModelNotAFile { path: path.to_owned() });
    }
    let mut header = [0; HEADER_BYTES];
    let file = File::open(path).map_err(|source| io_error(path, source))?;
    let length = read_up_to(file, &mut header).map_err(|source| io_error(path, source))?;
    check_header(&header[..length]).map_err(|reason| Error::ModelInvalid {
        path: path.to_owned(),
        reason,
    })
}

fn io_error(path: &Path, source: std::io::Error) -> Error {
    match source.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => Error::ModelNotFound { path: path.to_owned() },
        _ => Error::ModelUnreadable {
            path: path.to_owned(),
            source,
        },
    }
}

fn read_up_to(file: File, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut bytes = Vec::with_capacity(buffer.len());
    file.take(buffer.len() as u64).read_to_end(&mut bytes)?;
    buffer[..bytes.len()].copy_from_slice(&bytes);
    Ok(bytes.len())
}

fn check_header(header: &[u8]) -> std::result::Result<(), String> {
    if !header.starts_with(MAGIC) {
        return Err("it is not a GGUF file".into());
    }
    if header.len() < HEADER_BYTES {
        return Err("it ends inside its header".into());
    }
    let version = u32::from_le_bytes([header[4], header[5], header[6], header[7]]);
    if !(2..=3).contains(&version) {
        return Err(format!("its GGUF version is {version}, expected 2 or 3"));
    }
    if header[8..16] == [0; 8] {
        return Err("it holds a vocabulary only, no weights".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(version: u32, tensors: u64) -> Vec<u8> {
        [MAGIC, &version.to_le_bytes(), &tensors.to_le_bytes(), &7_u64.to_le_bytes()].concat()
    }

    #[test]
    fn tells_models_from_other_files() {
        let cases: [(&[u8], &str); 6] = [
            (&header(3, 38), ""),
            (&header(2, 1), ""),
            (b"", "not a GGUF"),
            (b"PK\x03\x04 something else entirely", "not a GGUF"),
            (&header(3, 38)[..20], "ends inside"),
            (&header(3, 0), "vocabulary only"),
        ];
        for (bytes, expected) in cases {
            let reason = check_header(bytes).err().unwrap_or_default();
            assert!(
                reason.contains(expected) && reason.is_empty() == expected.is_empty(),
                "{bytes:?}: {reason}"
            );
        }
        assert!(check_header(&header(1, 1)).unwrap_err().contains("version is 1"));
        assert!(check_header(&header(u32::from_be(3), 1)).unwrap_err().contains("expected 2 or 3"));
    }
}
