//! What can be found out from the bytes of a library, before any of its code runs.

use larder_abi::Stamp;
use larder_core::library::{Fault, LibraryRequest, Trust};
use sha2::{Digest as _, Sha256};

use crate::refusal::{Answer, hex, refused};

mod format;
mod sections;
pub(crate) mod signature;
mod stamp;
mod symbols;

pub(crate) use self::stamp::target_of;

/// What was read where a library is.
#[derive(Debug)]
pub(crate) struct Read {
    /// The bytes of the library.
    pub(crate) library: Vec<u8>,
    /// The text of its signature, or why it cannot be had; `None` if nobody asked for it.
    pub(crate) signature: Option<Answer<String>>,
}

/// A library whose bytes passed all checks.
#[derive(Debug)]
pub(crate) struct Checked {
    /// The SHA-256 of the bytes.
    pub(crate) sha256: String,
    /// Its stamp.
    pub(crate) stamp: Stamp,
    /// The key that signed it, if a signature was asked for.
    pub(crate) signed_by: Option<String>,
}

/// The name in the stamp of a library.
pub(crate) fn name(request: &LibraryRequest, bytes: &[u8]) -> Answer<String> {
    format::is_library(request, bytes)?;
    let (_, stamp) = stamp::find(request, bytes)?;
    stamp::name(request, &stamp).map(str::to_owned)
}

/// Goes through all checks of the bytes.
pub(crate) fn bytes(request: &LibraryRequest, read: &Read) -> Answer<Checked> {
    let bytes = &read.library[..];
    let sha256 = hex(&Sha256::digest(bytes));
    is_pinned(request, &sha256)?;
    let signed_by = signature::signer(request, read)?;
    format::is_library(request, bytes)?;
    let (offset, stamp) = stamp::find(request, bytes)?;
    stamp::is_compatible(request, &stamp)?;
    symbols::are_exported(request, bytes, offset)?;
    is_trusted(request, &sha256)?;
    Ok(Checked { sha256, stamp, signed_by })
}

fn is_pinned(request: &LibraryRequest, found: &str) -> Answer {
    let LibraryRequest { name, path, trust: Trust::Pin(pin), .. } = request else {
        return Ok(());
    };
    if found.eq_ignore_ascii_case(pin.trim()) {
        return Ok(());
    }
    let what = "does not match its sha256 pin; it was not loaded";
    Err(refused(Fault::Pin, name, path, what, "pinned")
        .note(format!("its SHA-256 is {found}"))
        .help("if the new file is wanted, write its hash here; if not, somebody replaced it")
        .sha256(found)
        .into())
}

fn is_trusted(request: &LibraryRequest, found: &str) -> Answer {
    // The signature says whose bytes these are, and has been verified.
    if request.trust != Trust::Undecided || request.signed_by.is_some() {
        return Ok(());
    }
    let LibraryRequest { name, path, .. } = request;
    let what = "is not pinned; it was not loaded";
    Err(refused(Fault::NotPinned, name, path, what, "nothing says which bytes these must be")
        .help(format!(
            "pin it: `sha256 = \"{found}\"`; or say `trust = \"path\"` if everybody who can write \
             there may run code in this process"
        ))
        .sha256(found)
        .into())
}
