//! The wrappers: whatever the bytes, they are undone within the limit or are an error.

use larder_core::{WrapContext, Wrapper};
use larder_serializers::wrap::{Base64, Lz4, Lz4Config, Zlib, ZlibConfig, Zstd, ZstdConfig};

/// Small, so that inputs beyond it are soon found.
const MAX_SIZE: usize = 64 << 10;

macro_rules! targets {
    ($($name:ident, $seeds:ident: $wrapper:expr;)+) => {
        $(
            #[doc = concat!("Bytes that `", stringify!($name), "` wrote.")]
            #[must_use]
            pub fn $seeds() -> Vec<Vec<u8>> {
                seeds(&$wrapper)
            }

            #[doc = concat!("Undoes bytes with `", stringify!($name), "`.")]
            pub fn $name(bytes: &[u8]) {
                run(&$wrapper, bytes);
            }
        )+
    };
}

targets! {
    base64, base64_seeds: Base64;
    lz4, lz4_seeds: Lz4::new(&Lz4Config::default());
    zlib, zlib_seeds: Zlib::new(&ZlibConfig::default());
    zstd, zstd_seeds: Zstd::new(&ZstdConfig::default());
}

fn context() -> WrapContext<'static> {
    WrapContext::new("users", "42", 2).max_size(MAX_SIZE)
}

/// A few values as they are stored, one of them too large.
fn seeds(wrapper: &dyn Wrapper) -> Vec<Vec<u8>> {
    let values = [Vec::new(), b"larder".repeat(9), vec![7; MAX_SIZE], vec![7; MAX_SIZE + 1]];
    values.iter().filter_map(|value| wrapper.wrap(value, &context()).ok()).collect()
}

fn run(wrapper: &dyn Wrapper, bytes: &[u8]) {
    let Ok(undone) = wrapper.undo(bytes, &context()) else {
        return;
    };
    assert!(undone.len() <= MAX_SIZE, "{} bytes came out", undone.len());
    let again = wrapper.wrap(&undone, &context()).expect("it is within the limits");
    let again = wrapper.undo(&again, &context()).expect("it was just written");
    assert_eq!(again, undone);
}
