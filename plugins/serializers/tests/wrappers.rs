//! Every wrapper keeps the contract that the conformance kit proves.

#![cfg(all(feature = "encrypt", feature = "lz4", feature = "zlib", feature = "zstd"))]
#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use larder_conformance::{plugin, wrapper};
use larder_core::{BuildContext, PluginConfig, Secret};
use larder_serializers::wrap::{
    AES_256_GCM, Aes256GcmConfig, BASE64, Base64, Encryption, LZ4, Lz4, Lz4Config,
    XCHACHA20_POLY1305, XChaCha20Poly1305Config, ZLIB, ZSTD, Zlib, ZlibConfig, Zstd, ZstdConfig,
};

fn base64() -> Base64 {
    Base64
}

fn lz4() -> Lz4 {
    Lz4::new(&Lz4Config::default())
}

fn zlib() -> Zlib {
    Zlib::new(&ZlibConfig::default())
}

fn zstd() -> Zstd {
    Zstd::new(&ZstdConfig::default())
}

fn aes() -> Encryption {
    built(Aes256GcmConfig::new(vec![key()]))
}

fn chacha() -> Encryption {
    built(XChaCha20Poly1305Config::new(vec![key()]))
}

fn key() -> Secret {
    Secret::new("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
}

fn built<C: PluginConfig>(config: C) -> C::Plugin {
    let context = BuildContext::new("users");
    let building = pin!(config.build(&context));
    match building.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(built) => built.unwrap(),
        Poll::Pending => panic!("nothing is waited for"),
    }
}

wrapper!(base64, Encode as base64_keeps_the_contract);
wrapper!(lz4, Compress as lz4_keeps_the_contract);
wrapper!(zlib, Compress as zlib_keeps_the_contract);
wrapper!(zstd, Compress as zstd_keeps_the_contract);
wrapper!(aes, Encrypt as aes_keeps_the_contract);
wrapper!(chacha, Encrypt as chacha_keeps_the_contract);

plugin!(BASE64 as base64_says_what_it_is);
plugin!(LZ4 as lz4_says_what_it_is);
plugin!(ZLIB as zlib_says_what_it_is);
plugin!(ZSTD as zstd_says_what_it_is);
plugin!(AES_256_GCM as aes_says_what_it_is);
plugin!(XCHACHA20_POLY1305 as chacha_says_what_it_is);
