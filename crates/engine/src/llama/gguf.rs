//! A look at a model file before llama.cpp loads it: is it there, is it a whole GGUF with weights, will llama.cpp's assertions hold?
//!
//! llama.cpp ends the process on some damaged files, and finds a truncated one only while loading, when the model before it is gone.

use std::collections::HashSet;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::ptr::NonNull;

use llama_cpp_sys_2 as sys;

use super::{log, shim};
use crate::error::{Error, Result};

const MAGIC: &[u8] = b"GGUF";
/// Magic, version, number of tensors, number of metadata entries.
const HEADER_BYTES: usize = 4 + 4 + 8 + 8;

type Check = std::result::Result<(), String>;

/// Refuses a path that cannot be a loadable model, with the reason a person needs.
pub(super) fn check_file(path: &Path) -> Result<()> {
    let metadata = std::fs::metadata(path).map_err(|source| io_error(path, source))?;
    if !metadata.is_file() {
        return Err(Error::ModelNotAFile { path: path.to_owned() });
    }
    let mut header = Vec::with_capacity(HEADER_BYTES);
    let file = File::open(path).map_err(|source| io_error(path, source))?;
    file.take(HEADER_BYTES as u64)
        .read_to_end(&mut header)
        .map_err(|source| io_error(path, source))?;
    let checked = check_header(&header).and_then(|()| Gguf::open(path)?.check(metadata.len()));
    checked.map_err(|reason| Error::ModelInvalid {
        path: path.to_owned(),
        reason,
    })
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

fn check_header(header: &[u8]) -> Check {
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
    Ok(())
}

/// A file's metadata, without its weights.
pub(super) struct Gguf(NonNull<sys::gguf_context>);

impl Gguf {
    pub(super) fn open(path: &Path) -> std::result::Result<Self, String> {
        let path = path
            .to_str()
            .and_then(|path| CString::new(path).ok())
            .ok_or("its path is no valid text")?;
        log::clear_errors();
        // SAFETY: `path` is zero-terminated and outlives the call.
        let raw = shim::call(|error| unsafe { shim::lw_gguf_open(path.as_ptr(), error) })?;
        NonNull::new(raw)
            .map(Self)
            .ok_or_else(|| log::errors_or("its metadata cannot be read"))
    }

    /// Names and bytes of all tensors.
    pub(super) fn tensors(&self) -> Vec<(String, u64)> {
        let raw = self.0.as_ptr();
        // SAFETY: the metadata is live, the indices are those of its tensors, and their names are zero-terminated.
        let tensor = |id| unsafe {
            let name = CStr::from_ptr(sys::gguf_get_tensor_name(raw, id)).to_string_lossy().into_owned();
            (name, sys::gguf_get_tensor_size(raw, id) as u64)
        };
        (0..self.n_tensors()).map(tensor).collect()
    }

    /// How many files the model has.
    pub(super) fn split_count(&self) -> u16 {
        self.u16_value(c"split.count").unwrap_or(1).max(1)
    }

    /// A number under a name that begins with the model's architecture; the largest where there is one for each layer.
    pub(super) fn architecture_number(&self, name: &str) -> Option<u64> {
        let architecture = self.text_value(c"general.architecture")?;
        let key = CString::new(format!("{architecture}.{name}")).ok()?;
        let id = self.find(&key)?;
        // SAFETY: `id` is a key of the live metadata; each value is read as the type it has.
        unsafe {
            let raw = self.0.as_ptr();
            match sys::gguf_get_kv_type(raw, id) {
                sys::GGUF_TYPE_UINT32 => Some(u64::from(sys::gguf_get_val_u32(raw, id))),
                sys::GGUF_TYPE_INT32 => u64::try_from(sys::gguf_get_val_i32(raw, id)).ok(),
                sys::GGUF_TYPE_ARRAY if matches!(sys::gguf_get_arr_type(raw, id), sys::GGUF_TYPE_UINT32 | sys::GGUF_TYPE_INT32) => {
                    let (data, length) = (sys::gguf_get_arr_data(raw, id).cast::<u32>(), sys::gguf_get_arr_n(raw, id));
                    // Of signed numbers only those below zero read otherwise, which no count is.
                    (0..length).map(|index| u64::from(data.add(index).read_unaligned())).max()
                }
                _ => None,
            }
        }
    }

    fn text_value(&self, key: &CStr) -> Option<String> {
        let id = self.find(key)?;
        // SAFETY: `id` is a key of the live metadata; its text is read only when it is one, and is zero-terminated.
        unsafe {
            let raw = self.0.as_ptr();
            (sys::gguf_get_kv_type(raw, id) == sys::GGUF_TYPE_STRING)
                .then(|| CStr::from_ptr(sys::gguf_get_val_str(raw, id)).to_string_lossy().into_owned())
        }
    }

    fn check(&self, file_length: u64) -> Check {
        self.check_split()?;
        self.check_extents(file_length)?;
        self.check_vocabulary()
    }

    /// Only the first part of a split model can be loaded, and only such a part may have no weights itself.
    fn check_split(&self) -> Check {
        let (part, parts) = (
            self.u16_value(c"split.no").unwrap_or(0),
            self.u16_value(c"split.count").unwrap_or(0),
        );
        if part > 0 {
            return Err(format!("it is part {} of {parts} of a split model, load the first part", part + 1));
        }
        if self.n_tensors() == 0 && parts <= 1 {
            return Err("it holds a vocabulary only, no weights".into());
        }
        Ok(())
    }

    fn check_extents(&self, file_length: u64) -> Check {
        // SAFETY: the metadata is live, and the indices are those of its tensors.
        let (data, ends) = unsafe {
            let raw = self.0.as_ptr();
            let end = move |id| (sys::gguf_get_tensor_offset(raw, id) as u64).checked_add(sys::gguf_get_tensor_size(raw, id) as u64);
            (sys::gguf_get_data_offset(raw) as u64, (0..self.n_tensors()).map(end))
        };
        for end in ends {
            if end.and_then(|end| end.checked_add(data)).is_none_or(|end| end > file_length) {
                return Err(format!("it ends inside its weights, after {file_length} bytes"));
            }
        }
        Ok(())
    }

    /// llama.cpp asserts that no two tokens have the same text; empty texts it names itself.
    fn check_vocabulary(&self) -> Check {
        let Some(key) = self.find(c"tokenizer.ggml.tokens") else {
            return Ok(());
        };
        // SAFETY: `key` is a key of the live metadata; the array's type is asked for before its strings.
        let n_tokens = unsafe {
            let raw = self.0.as_ptr();
            let is_text =
                sys::gguf_get_kv_type(raw, key) == sys::GGUF_TYPE_ARRAY && sys::gguf_get_arr_type(raw, key) == sys::GGUF_TYPE_STRING;
            if is_text {
                sys::gguf_get_arr_n(raw, key)
            } else {
                return Err("its vocabulary is no list of texts".into());
            }
        };
        let mut texts = HashSet::with_capacity(n_tokens);
        for index in 0..n_tokens {
            // SAFETY: `index` is below the array's length; its strings live as long as the metadata.
            let text = unsafe { CStr::from_ptr(sys::gguf_get_arr_str(self.0.as_ptr(), key, index)) };
            if !text.is_empty() && !texts.insert(text) {
                return Err(format!("its vocabulary has the token `{}` twice", text.to_string_lossy()));
            }
        }
        Ok(())
    }

    fn n_tensors(&self) -> i64 {
        // SAFETY: the metadata is live.
        unsafe { sys::gguf_get_n_tensors(self.0.as_ptr()) }
    }

    fn find(&self, key: &CStr) -> Option<i64> {
        // SAFETY: the metadata is live and `key` zero-terminated.
        let id = unsafe { sys::gguf_find_key(self.0.as_ptr(), key.as_ptr()) };
        (id >= 0).then_some(id)
    }

    fn u16_value(&self, key: &CStr) -> Option<u16> {
        let id = self.find(key)?;
        // SAFETY: `id` is a key of the live metadata; the value is read as the type it has.
        unsafe {
            let raw = self.0.as_ptr();
            (sys::gguf_get_kv_type(raw, id) == sys::GGUF_TYPE_UINT16).then(|| sys::gguf_get_val_u16(raw, id))
        }
    }
}

impl Drop for Gguf {
    fn drop(&mut self) {
        // SAFETY: opened by `lw_gguf_open` and freed once.
        unsafe { sys::gguf_free(self.0.as_ptr()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(version: u32) -> Vec<u8> {
        [MAGIC, &version.to_le_bytes(), &38_u64.to_le_bytes(), &7_u64.to_le_bytes()].concat()
    }

    #[test]
    fn tells_models_from_other_files() {
        let cases: [(&[u8], &str); 5] = [
            (&header(3), ""),
            (&header(2), ""),
            (b"", "not a GGUF"),
            (b"PK\x03\x04 something else entirely", "not a GGUF"),
            (&header(3)[..20], "ends inside"),
        ];
        for (bytes, expected) in cases {
            let reason = check_header(bytes).err().unwrap_or_default();
            assert!(
                reason.contains(expected) && reason.is_empty() == expected.is_empty(),
                "{bytes:?}: {reason}"
            );
        }
        assert!(check_header(&header(1)).unwrap_err().contains("version is 1"));
        assert!(check_header(&header(3_u32.swap_bytes())).unwrap_err().contains("expected 2 or 3"));
    }
}
