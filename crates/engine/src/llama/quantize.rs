//! llama.cpp's quantizer: writes a model file anew, with its weights in another format.
//!
//! The engine has no use for it: the bench makes its models by it, and tests a model whose weights do not round what they are multiplied with.

use std::ffi::CString;
use std::path::Path;

use llama_cpp_sys_2 as sys;

use super::{log, shim};
use crate::error::{Error, Result};

/// How weights are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are llama.cpp's")]
pub enum WeightFormat {
    F32,
    Q8_0,
    Q4KM,
}

/// Writes the model in `from` to `to`. What is quantized already is only written as [`WeightFormat::F32`], the numbers that it stands for.
///
/// # Errors
/// [`Error::ModelInvalid`] with llama.cpp's reason.
pub fn write_quantized(from: &Path, to: &Path, format: WeightFormat) -> Result<()> {
    let (input, output) = (c_path(from)?, c_path(to)?);
    log::install();
    log::clear_errors();
    // SAFETY: returns a plain value.
    let mut params = unsafe { sys::llama_model_quantize_default_params() };
    (params.ftype, params.allow_requantize) = match format {
        WeightFormat::F32 => (sys::LLAMA_FTYPE_ALL_F32, true),
        WeightFormat::Q8_0 => (sys::LLAMA_FTYPE_MOSTLY_Q8_0, false),
        WeightFormat::Q4KM => (sys::LLAMA_FTYPE_MOSTLY_Q4_K_M, false),
    };
    // SAFETY: both paths are zero-terminated and outlive the call, as the parameters do.
    let code = shim::call(|error| unsafe { shim::lw_model_quantize(input.as_ptr(), output.as_ptr(), &raw const params, error) });
    let code = code.map_err(|reason| invalid(from, reason))?;
    if code == 0 {
        return Ok(());
    }
    Err(invalid(from, log::errors_or(&format!("llama.cpp's quantizer returned {code}"))))
}

fn c_path(path: &Path) -> Result<CString> {
    let text = path.to_str().and_then(|text| CString::new(text).ok());
    text.ok_or_else(|| invalid(path, "the path has no usable name".into()))
}

fn invalid(path: &Path, reason: String) -> Error {
    Error::ModelInvalid {
        path: path.to_owned(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_written_has_a_reason() {
        let built_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/tiny-chat/tiny-chat.gguf");
        let file = std::env::temp_dir().join(format!("llama-worker-quantize-{}", std::process::id()));
        for (from, format, reason) in [
            (Path::new("/no/such/model"), WeightFormat::F32, "/no/such/model"),
            (&built_in, WeightFormat::Q4KM, "requantizing"),
        ] {
            let error = write_quantized(from, &file, format).unwrap_err();
            assert_eq!(error.code(), "MODEL_INVALID");
            assert!(error.to_string().contains(reason), "{error}");
        }
        // llama.cpp may have begun to write.
        let _ = std::fs::remove_file(&file);
    }
}
