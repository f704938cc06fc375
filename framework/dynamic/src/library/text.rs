//! Texts of a library: checked and copied, once, for as long as the library stays.

use larder_abi::value::{Bytes, Slice};

/// The longest text that a descriptor may have; schemas may be longer.
pub(super) const LONGEST: usize = 64 * 1024;

/// A copy of a text. `what` is its name in messages.
///
/// # Safety
///
/// If it is neither null nor longer than `most`, the slice must be to live bytes.
pub(super) unsafe fn text(from: &Slice, most: usize, what: &str) -> Result<String, String> {
    if from.len == 0 {
        return Ok(String::new());
    }
    if from.ptr.is_null() {
        return Err(format!("{what} is null and has a length"));
    }
    if from.len > most {
        return Err(format!("{what} has {} bytes, more than {most}", from.len));
    }
    // SAFETY: not null, the length is sane, and the caller says that the bytes live.
    let bytes = unsafe { std::slice::from_raw_parts(from.ptr, from.len) };
    match std::str::from_utf8(bytes) {
        Ok(text) if text.contains('\0') => Err(format!("{what} has a NUL in it")),
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Err(format!("{what} is not UTF-8")),
    }
}

/// A copy for ever: there is one for each text of each library, and libraries stay.
pub(super) fn leak(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

/// A text that was handed over with an error, which is released.
///
/// # Safety
///
/// It must be as the header says, and must not be used again.
pub(super) unsafe fn take(from: &Bytes) -> String {
    let slice = Slice { ptr: from.ptr, len: from.len };
    // SAFETY: by the header the bytes live until they are released.
    let text = unsafe { text(&slice, LONGEST, "the text") }.unwrap_or_default();
    // SAFETY: by the header `vt` is null or points to a table that stays.
    if let Some(vt) = unsafe { from.vt.as_ref() }
        && let Some(release) = vt.release
    {
        // SAFETY: the bytes were handed over, and this is the one time that they are released.
        unsafe { release(from.owner) };
    }
    text
}
