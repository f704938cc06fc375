//! Each fault of a wrapper is found by a case.

use std::panic::{AssertUnwindSafe, catch_unwind};

use larder_conformance::wrapper;
use larder_core::wrapper::{Role, WrapContext};
use larder_core::{CacheError, ErrorKind, Result, Wrapper};

/// What the wrapper does wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    BelongsAnywhere,
    CountsNothing,
    CutsTheEnd,
    HasNoNumber,
    PanicsOnNoise,
    ShowsThePlaintext,
    TakesAnyChange,
}

/// The bytes with a mark in front. The marks of one that encrypts are the plaintext's checksum
/// with the context and a nonce, and all bytes are changed; nobody should use it for secrets.
#[derive(Debug)]
struct Marks {
    fault: Fault,
    encrypts: bool,
}

const MARK: usize = 16;

fn refused() -> CacheError {
    CacheError::new(ErrorKind::Serialization, "this was not wrapped here")
}

impl Marks {
    fn is(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    fn mark(&self, bytes: &[u8], context: &WrapContext<'_>, nonce: u64) -> [u8; 8] {
        let WrapContext { cache, key, format, inner, .. } = *context;
        let place = format!("{cache:?} {key:?} {format} {inner:?}");
        let place = if self.is(Fault::BelongsAnywhere) { String::new() } else { place };
        let all = [place.as_bytes(), bytes, &nonce.to_be_bytes()].concat();
        let half = |seed| crc32c::crc32c_append(seed, &all).to_be_bytes();
        let mark = [half(1), half(2)].concat();
        mark.try_into().expect("twice four bytes")
    }

    fn change(&self, bytes: &[u8], nonce: u64) -> Vec<u8> {
        if !self.encrypts || self.is(Fault::ShowsThePlaintext) {
            return bytes.to_vec();
        }
        let mut stream = fastrand::Rng::with_seed(nonce);
        bytes.iter().map(|byte| byte ^ stream.u8(..)).collect()
    }
}

impl Wrapper for Marks {
    fn number(&self) -> u16 {
        if self.is(Fault::HasNoNumber) { 0 } else { 0x9000 }
    }

    fn wrap(&self, bytes: &[u8], context: &WrapContext<'_>) -> Result<Vec<u8>> {
        let nonce = if self.encrypts { fastrand::u64(..) } else { 0 };
        let mark = self.mark(bytes, context, nonce);
        let mut out = [&mark[..], &nonce.to_be_bytes(), &self.change(bytes, nonce)].concat();
        if self.is(Fault::CutsTheEnd) && out.len() > 100_000 {
            out.truncate(100_000);
        }
        Ok(out)
    }

    fn undo(&self, bytes: &[u8], context: &WrapContext<'_>) -> Result<Vec<u8>> {
        assert!(!self.is(Fault::PanicsOnNoise) || bytes.len() >= MARK, "too short");
        let (mark, rest) = bytes.split_at_checked(8).ok_or_else(refused)?;
        let (nonce, rest) = rest.split_at_checked(8).ok_or_else(refused)?;
        let nonce = u64::from_be_bytes(nonce.try_into().expect("eight bytes"));
        if rest.len() > context.max_size && !self.is(Fault::CountsNothing) {
            return Err(refused());
        }
        let found = self.change(rest, nonce);
        let is_right = !self.encrypts || mark == self.mark(&found, context, nonce);
        if is_right || self.is(Fault::TakesAnyChange) { Ok(found) } else { Err(refused()) }
    }
}

fn sound() -> Marks {
    Marks { fault: Fault::None, encrypts: true }
}

fn plain() -> Marks {
    Marks { fault: Fault::None, encrypts: false }
}

larder_conformance::wrapper!(sound, Encrypt as a_sound_one_that_encrypts);
larder_conformance::wrapper!(plain, Encode as a_sound_one_that_does_not);

#[test]
fn every_fault_is_found() {
    type Case = fn(&dyn Wrapper, Role);
    let faults: [(Fault, Case); 7] = [
        (Fault::BelongsAnywhere, wrapper::what_is_encrypted_stays_where_it_belongs),
        (Fault::CountsNothing, wrapper::nothing_grows_beyond_what_is_allowed),
        (Fault::CutsTheEnd, wrapper::what_was_wrapped_comes_back),
        (Fault::HasNoNumber, wrapper::the_number_stays),
        (Fault::PanicsOnNoise, wrapper::any_bytes_are_undone_or_refused),
        (Fault::ShowsThePlaintext, wrapper::what_is_encrypted_can_be_neither_read_nor_changed),
        (Fault::TakesAnyChange, wrapper::what_is_encrypted_can_be_neither_read_nor_changed),
    ];
    for (fault, case) in faults {
        let marks = Marks { fault, encrypts: true };
        let outcome = catch_unwind(AssertUnwindSafe(|| case(&marks, Role::Encrypt)));
        assert!(outcome.is_err(), "{fault:?} is not found");
    }
}
