//! The cases.

use larder_core::wrapper::{Role, WrapContext};
use larder_core::{ErrorKind, Wrapper};

use crate::must::Must;
use crate::seed;

const MOST: usize = 1 << 20;

fn context() -> WrapContext<'static> {
    WrapContext::new("users", "42", 2).inner(&[1]).max_size(MOST)
}

/// Nothing, a byte, text, zeros, noise; small and large.
pub fn what_was_wrapped_comes_back(wrapper: &dyn Wrapper, _: Role) {
    let mut random = seed::random();
    for size in [0, 1, 2, 3, 100, 1000, 65_535, 65_536, 500_000, MOST] {
        let mut noise = vec![0; size];
        random.fill(&mut noise);
        let text = b"the same again ".iter().copied().cycle().take(size).collect();
        for bytes in [vec![0; size], text, noise] {
            let wrapped = wrapper.wrap(&bytes, &context()).must();
            let found = wrapper.undo(&wrapped, &context()).must();
            assert!(found == bytes, "{size} bytes came back changed");
        }
    }
}

/// A result over the limit is refused, also when the bytes are few.
pub fn nothing_grows_beyond_what_is_allowed(wrapper: &dyn Wrapper, _: Role) {
    let large = wrapper.wrap(&vec![7; MOST], &context()).must();
    for most in [0, 1, 1000, MOST - 1] {
        let error = wrapper.undo(&large, &context().max_size(most)).must_fail();
        assert_eq!(error.kind(), ErrorKind::Serialization, "{error}");
    }
    assert_eq!(wrapper.undo(&large, &context().max_size(MOST)).must().len(), MOST);
}

/// Noise, and wrapped bytes with any change: neither a panic, nor more than is allowed.
pub fn any_bytes_are_undone_or_refused(wrapper: &dyn Wrapper, _: Role) {
    let mut random = seed::random();
    let small = context().max_size(10_000);
    let whole = wrapper.wrap(&b"some text ".repeat(40), &small).must();
    for round in 0..5_000 {
        let mut bytes = whole.clone();
        match round % 4 {
            0 => bytes.truncate(random.usize(..bytes.len())),
            1 => bytes.extend([random.u8(..), random.u8(..)]),
            2 => {
                let at = random.usize(..bytes.len());
                bytes[at] ^= 1 << random.u8(..8);
            }
            _ => {
                bytes = vec![0; random.usize(..64)];
                random.fill(&mut bytes);
            }
        }
        match wrapper.undo(&bytes, &small) {
            Ok(found) => assert!(found.len() <= 10_000, "{} bytes", found.len()),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Serialization, "{error}"),
        }
    }
}

/// The number stands in every entry.
pub fn the_number_stays(wrapper: &dyn Wrapper, _: Role) {
    let number = wrapper.number();
    assert_ne!(number, 0, "0 is no number");
    wrapper.wrap(b"bytes", &context()).must();
    assert_eq!(wrapper.number(), number);
}

/// Nothing of the bytes shows, not even that two are equal, and no changed bit is let through.
pub fn what_is_encrypted_can_be_neither_read_nor_changed(wrapper: &dyn Wrapper, role: Role) {
    if role != Role::Encrypt {
        return;
    }
    let secret = b"a secret that must not be seen";
    let wrapped = wrapper.wrap(secret, &context()).must();
    assert!(!wrapped.windows(8).any(|part| secret.windows(8).any(|seen| seen == part)));
    assert_ne!(wrapper.wrap(secret, &context()).must(), wrapped, "equal bytes look equal");
    for length in 0..wrapped.len() {
        wrapper.undo(&wrapped[..length], &context()).must_fail();
    }
    for bit in 0..wrapped.len() * 8 {
        let mut changed = wrapped.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        wrapper.undo(&changed, &context()).must_fail();
    }
    wrapper.undo(&[&wrapped[..], &[0]].concat(), &context()).must_fail();
}

/// An entry that is moved to another key, cache or format is not that entry.
pub fn what_is_encrypted_stays_where_it_belongs(wrapper: &dyn Wrapper, role: Role) {
    if role != Role::Encrypt {
        return;
    }
    let wrapped = wrapper.wrap(b"value", &context()).must();
    for other in [
        WrapContext::new("roles", "42", 2).inner(&[1]),
        WrapContext::new("users", "43", 2).inner(&[1]),
        WrapContext::new("users4", "2", 2).inner(&[1]),
        WrapContext::new("users", "42", 3).inner(&[1]),
        WrapContext::new("users", "42", 2),
        WrapContext::new("users", "42", 2).inner(&[2]),
    ] {
        let error = wrapper.undo(&wrapped, &other).must_fail();
        assert_eq!(error.kind(), ErrorKind::Serialization, "{error}");
    }
    assert_eq!(wrapper.undo(&wrapped, &context()).must(), b"value");
}
