//! The number formats of tensors, as ggml numbers them.

/// A number format: how many numbers it stores together, and in how many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Format {
    pub(super) numbers: u64,
    pub(super) bytes: u64,
    /// Whether ggml's processor backend can multiply by it. It calls through a null pointer for the others.
    pub(super) multiplies: bool,
}

pub(super) const F32: u32 = 0;

const fn weights(numbers: u64, bytes: u64) -> Format {
    Format {
        numbers,
        bytes,
        multiplies: true,
    }
}

const fn other(numbers: u64, bytes: u64) -> Format {
    Format {
        numbers,
        bytes,
        multiplies: false,
    }
}

/// By ggml's number of the format; `None`: removed from ggml.
const FORMATS: [Option<Format>; 43] = [
    Some(weights(1, 4)),
    Some(weights(1, 2)),
    Some(weights(32, 18)),
    Some(weights(32, 20)),
    None,
    None,
    Some(weights(32, 22)),
    Some(weights(32, 24)),
    Some(weights(32, 34)),
    Some(other(32, 36)),
    Some(weights(256, 84)),
    Some(weights(256, 110)),
    Some(weights(256, 144)),
    Some(weights(256, 176)),
    Some(weights(256, 210)),
    Some(other(256, 292)),
    Some(weights(256, 66)),
    Some(weights(256, 74)),
    Some(weights(256, 98)),
    Some(weights(256, 50)),
    Some(weights(32, 18)),
    Some(weights(256, 110)),
    Some(weights(256, 82)),
    Some(weights(256, 136)),
    Some(other(1, 1)),
    Some(other(1, 2)),
    Some(other(1, 4)),
    Some(other(1, 8)),
    Some(other(1, 8)),
    Some(weights(256, 56)),
    Some(weights(1, 2)),
    None,
    None,
    None,
    Some(weights(256, 54)),
    Some(weights(256, 66)),
    None,
    None,
    None,
    Some(weights(32, 17)),
    Some(weights(64, 36)),
    Some(weights(128, 18)),
    Some(weights(64, 18)),
];

/// The format that ggml numbers `number`.
pub(super) fn format(number: u32) -> Option<Format> {
    FORMATS.get(usize::try_from(number).ok()?).copied().flatten()
}

#[cfg(test)]
mod tests {
    use llama_cpp_sys_2 as sys;

    use super::*;

    #[test]
    fn formats_are_those_of_ggml() {
        assert_eq!(FORMATS.len(), sys::GGML_TYPE_COUNT as usize);
        for number in 0..sys::GGML_TYPE_COUNT {
            // SAFETY: reads ggml's own table at an index that it has.
            let (numbers, bytes) = unsafe { (sys::ggml_blck_size(number), sys::ggml_type_size(number)) };
            let expected = (numbers > 0).then(|| (u64::try_from(numbers).unwrap(), bytes as u64));
            assert_eq!(
                format(number).map(|format| (format.numbers, format.bytes)),
                expected,
                "format {number}"
            );
        }
        assert_eq!(format(43), None);
    }
}
