use larder_core::plugin::Factory;
use larder_core::{BuildContext, CacheError, Descriptor};
use serde_json::json;

use super::*;

const FIRST: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const SECOND: &str = "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100";
const CIPHERS: [Descriptor; 2] = [AES_256_GCM, XCHACHA20_POLY1305];

fn build(cipher: Descriptor, keys: &[&str]) -> std::sync::Arc<dyn Wrapper> {
    let Factory::Wrapper(Role::Encrypt, factory) = cipher.factory else {
        panic!("it encrypts");
    };
    let context = BuildContext::new("users");
    let mut built = factory.build(json!({ "keys": keys }), &context);
    let mut task = std::task::Context::from_waker(std::task::Waker::noop());
    match built.as_mut().poll(&mut task) {
        std::task::Poll::Ready(built) => built.unwrap(),
        std::task::Poll::Pending => panic!("nothing is waited for"),
    }
}

fn context() -> WrapContext<'static> {
    WrapContext::new("users", "42", 2).inner(&[1])
}

fn reason(error: &CacheError) -> String {
    std::error::Error::source(error).expect("there is a reason").to_string()
}

#[test]
fn what_is_sealed_opens_under_the_same_key_and_context() {
    for cipher in CIPHERS {
        let wrapper = build(cipher, &[FIRST]);
        for value in [&b""[..], b"v", &[7; 100_000]] {
            let sealed = wrapper.wrap(value, &context()).unwrap();
            assert_eq!(wrapper.undo(&sealed, &context()).unwrap(), value);
            assert!(wrapper.undo(&sealed, &context().max_size(value.len())).is_ok());
            let again = wrapper.wrap(value, &context()).unwrap();
            assert_ne!(sealed, again, "each entry has a nonce of its own");
        }
        let sealed = wrapper.wrap(&[7; 10], &context()).unwrap();
        assert!(wrapper.undo(&sealed, &context().max_size(9)).is_err());
    }
}

/// Made with `cryptography` of Python, which has the same construction from another hand.
#[test]
fn frozen_bytes_open_for_ever() {
    const AES: &str = "d56dc4a457606c9a6465666768696a6b6c6d6e6f\
                       247aac021c9bdebc036e82e417986eed6a739d79d2de";
    const CHACHA: &str = "d56dc4a457606c9a6465666768696a6b6c6d6e6f707172737475767778797a7b\
                          10128bd49a5c090ec8b00920e4b3676d67a90c6a2c3c";
    for (cipher, number, sealed) in [(AES_256_GCM, 5, AES), (XCHACHA20_POLY1305, 6, CHACHA)] {
        let wrapper = build(cipher, &[FIRST]);
        assert_eq!(wrapper.number(), number);
        let sealed = data_encoding::HEXLOWER.decode(sealed.as_bytes()).unwrap();
        assert_eq!(wrapper.undo(&sealed, &context()).unwrap(), b"larder");
    }
}

#[test]
fn the_first_key_writes_and_all_read() {
    for cipher in CIPHERS {
        let (old, new) = (build(cipher, &[FIRST]), build(cipher, &[SECOND, FIRST]));
        let of_old = old.wrap(b"value", &context()).unwrap();
        let of_new = new.wrap(b"value", &context()).unwrap();
        assert_eq!(new.undo(&of_old, &context()).unwrap(), b"value");
        let error = old.undo(&of_new, &context()).unwrap_err();
        assert_eq!(reason(&error), "they were encrypted under a key that is not configured");
    }
}

#[test]
fn an_entry_elsewhere_is_refused() {
    for cipher in CIPHERS {
        let wrapper = build(cipher, &[FIRST]);
        let sealed = wrapper.wrap(b"value", &context()).unwrap();
        for elsewhere in [
            WrapContext::new("users", "43", 2).inner(&[1]),
            WrapContext::new("user", "s42", 2).inner(&[1]),
            WrapContext::new("users", "42", 3).inner(&[1]),
            WrapContext::new("users", "42", 2).inner(&[3]),
            WrapContext::new("users", "42", 2),
        ] {
            let error = wrapper.undo(&sealed, &elsewhere).unwrap_err();
            assert_eq!(reason(&error), "they were changed, or belong to another key or cache");
        }
    }
}

#[test]
fn a_cut_or_changed_entry_is_refused_wherever_it_is() {
    for cipher in CIPHERS {
        let wrapper = build(cipher, &[FIRST]);
        let sealed = wrapper.wrap(b"value", &context()).unwrap();
        for length in 0..sealed.len() {
            assert!(wrapper.undo(&sealed[..length], &context()).is_err(), "{length}");
        }
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(wrapper.undo(&flipped, &context()).is_err(), "bit {bit}");
        }
    }
}

#[test]
fn the_ciphers_do_not_read_each_other() {
    let [aes, chacha] = CIPHERS.map(|cipher| build(cipher, &[FIRST]));
    let sealed = aes.wrap(b"value", &context()).unwrap();
    assert!(chacha.undo(&sealed, &context()).is_err());
}

#[test]
fn no_key_is_ever_shown() {
    let config = Aes256GcmConfig::new(vec![Secret::new(FIRST)]);
    let wrapper = build(AES_256_GCM, &[FIRST]);
    let shown = format!("{config:?} {wrapper:?}");
    assert!(!shown.contains("0001"), "{shown}");
    assert!(shown.contains("Encryption(aes-256-gcm, 1 keys)"), "{shown}");
}
