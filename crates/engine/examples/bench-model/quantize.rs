//! llama.cpp's own quantizer.

#![expect(unsafe_code, reason = "the engine has no use for a quantizer, so its room `llama` has none")]

use std::ffi::CString;
use std::path::Path;

use llama_cpp_sys_2 as sys;

use super::Result;
use super::description::Quantization;

pub(crate) fn quantize(from: &Path, to: &Path, quantization: Quantization) -> Result<()> {
    let (input, output) = (c_path(from)?, c_path(to)?);
    // SAFETY: returns a plain value.
    let mut params = unsafe { sys::llama_model_quantize_default_params() };
    params.ftype = match quantization {
        Quantization::Q8_0 => sys::LLAMA_FTYPE_MOSTLY_Q8_0,
        Quantization::Q4KM => sys::LLAMA_FTYPE_MOSTLY_Q4_K_M,
    };
    // SAFETY: both paths are zero-terminated and outlive the call, as the parameters do.
    let code = unsafe { sys::llama_model_quantize(input.as_ptr(), output.as_ptr(), &raw const params) };
    if code == 0 {
        return Ok(());
    }
    Err(format!("llama.cpp could not quantise `{}`, it returned {code}", from.display()))
}

fn c_path(path: &Path) -> Result<CString> {
    let text = path.to_str().and_then(|text| CString::new(text).ok());
    text.ok_or_else(|| format!("the path `{}` has no usable name", path.display()))
}
