//! The wrappers: whatever the bytes, they are undone or refused, within the limit.

use std::sync::LazyLock;

use larder_core::wrapper::WrapContext;
use larder_core::{BuildContext, PluginConfig, Secret, Wrapper};
use larder_serializers::wrap::encrypt::{Encryption, XChaCha20Poly1305Config};
use larder_serializers::wrap::{Base64, Lz4, Lz4Config, Zlib, ZlibConfig, Zstd, ZstdConfig};

use super::now;

/// The most that may come out.
const MOST: usize = 1 << 20;

fn context() -> WrapContext<'static> {
    WrapContext::new("users", "42", 2).max_size(MOST)
}

macro_rules! targets {
    ($($name:ident, $seeds:ident: $wrapper:expr;)+) => {
        $(
            #[doc = concat!("Bytes that `", stringify!($name), "` wrapped.")]
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

static ENCRYPTION: LazyLock<Encryption> = LazyLock::new(|| {
    let config = XChaCha20Poly1305Config::new(vec![Secret::new("5a".repeat(32))]);
    now(config.build(&BuildContext::new("users"))).expect("the key has 32 bytes")
});

targets! {
    base64, base64_seeds: Base64;
    encrypt, encrypt_seeds: *ENCRYPTION;
    lz4, lz4_seeds: Lz4::new(&Lz4Config::default());
    zlib, zlib_seeds: Zlib::new(&ZlibConfig::default());
    zstd, zstd_seeds: Zstd::new(&ZstdConfig::default());
}

fn seeds(wrapper: &dyn Wrapper) -> Vec<Vec<u8>> {
    let text = b"the same again and again ".repeat(100);
    let noise: Vec<u8> =
        (0..2000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let plain: [&[u8]; 4] = [b"", b"a", &text, &noise];
    let wrap = |bytes: &[u8]| wrapper.wrap(bytes, &context()).expect("all bytes can be wrapped");
    plain.into_iter().map(wrap).collect()
}

/// What comes out is within the limit, and survives the way back.
fn run(wrapper: &dyn Wrapper, bytes: &[u8]) {
    let Ok(found) = wrapper.undo(bytes, &context()) else { return };
    assert!(found.len() <= MOST, "{} bytes came out", found.len());
    let again = wrapper.wrap(&found, &context()).expect("all bytes can be wrapped");
    assert_eq!(wrapper.undo(&again, &context()).expect("it was just wrapped"), found);
}
