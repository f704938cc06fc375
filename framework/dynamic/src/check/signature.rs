//! Who signed a library: a signature of minisign over the very bytes that will be loaded.
//!
//! Only signatures of the hash of a file are taken, which is what minisign makes. Of the old kind,
//! over the file itself, one over 64 bytes could pass for one of a hash.

use std::path::PathBuf;

use larder_core::library::{Fault, LibraryRequest, Refusal};
use minisign_verify::{Error, PublicKey, Signature};

use super::Read;
use crate::refusal::{Answer, refused, shown, shown_path};

/// How many characters of a key depend on nothing but its kind and its number.
const NUMBER: usize = 13;

/// Where the signature of a library is.
pub(crate) fn beside(request: &LibraryRequest) -> PathBuf {
    let mut path = request.path.clone().into_os_string();
    path.push(".minisig");
    path.into()
}

/// The key that signed a library; `None` if the config does not ask.
pub(super) fn signer(request: &LibraryRequest, read: &Read) -> Answer<Option<String>> {
    let Some(trusted) = &request.signed_by else { return Ok(None) };
    let keys = keys(request, trusted)?;
    let text = read.signature.clone().unwrap_or_else(|| Err(missing(request)))?;
    let signature = Signature::decode(&text)
        .map_err(|_| unusable(request, "it is cut off, or no signature of minisign"))?;
    let mut is_of_a_trusted_key = false;
    for (text, key) in &keys {
        match key.verify(&read.library, &signature, false) {
            Ok(()) => return Ok(Some((*text).to_owned())),
            Err(Error::UnexpectedKeyId) => {}
            Err(Error::UnexpectedAlgorithm) => {
                let reason = "it is of the old kind, over a file that was not hashed";
                return Err(unusable(request, reason));
            }
            Err(_) => is_of_a_trusted_key = true,
        }
    }
    Err(match is_of_a_trusted_key {
        true => forged(request, &signature),
        false => another_key(request, &text, trusted),
    })
}

type Key<'a> = (&'a str, PublicKey);

fn keys<'a>(request: &LibraryRequest, trusted: &'a [String]) -> Answer<Vec<Key<'a>>> {
    let refusal = |what: &str, label: &str| {
        let LibraryRequest { name, path, .. } = request;
        refused(Fault::Key, name, path, what, label).help(
            "a public key is the second line of its `.pub` file: 56 characters that begin with \
             `RW`",
        )
    };
    if trusted.is_empty() {
        let what = "must be signed, but there is no key that may sign it";
        return Err(refusal(what, "lists no key").into());
    }
    let keys = trusted.iter().enumerate().map(|(index, text)| {
        let text = text.trim();
        let key = PublicKey::from_base64(text).map_err(|_| {
            // It may be the secret key, so it is not repeated.
            let what = "must be signed, but a key that may sign it is no public key of minisign";
            refusal(what, "no public key of minisign").entry(index)
        })?;
        Ok((text, key))
    });
    keys.collect()
}

/// There is no signature.
pub(crate) fn missing(request: &LibraryRequest) -> Box<Refusal> {
    let LibraryRequest { name, path, .. } = request;
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    refused(Fault::NotSigned, name, path, "is not signed; it was not loaded", "not signed")
        .note(format!("expected its signature in `{}`", shown_path(&beside(request))))
        .help(format!(
            "put the signature that came with it there, or sign it: `minisign -Sm {}`",
            shown(&file)
        ))
        .into()
}

/// There is a signature that says nothing.
pub(crate) fn unusable(request: &LibraryRequest, reason: &str) -> Box<Refusal> {
    let LibraryRequest { name, path, .. } = request;
    let what = format!("has a signature that cannot be used: {reason}");
    refused(Fault::Signature, name, path, what, "its signature cannot be used")
        .note(format!("the signature is `{}`", shown_path(&beside(request))))
        .note("expected the four lines that `minisign -S` writes")
        .help("copy the signature again, or have the library signed anew with `minisign -Sm`")
        .into()
}

fn another_key(request: &LibraryRequest, text: &str, trusted: &[String]) -> Box<Refusal> {
    let LibraryRequest { name, path, .. } = request;
    // A signature has the number of its key where the key has it, after the two characters of
    // its kind.
    let number = text.lines().nth(1).and_then(|line| line.get(2..NUMBER)).unwrap_or_default();
    let listed: Vec<_> = trusted.iter().map(|key| format!("`{}`", shown(key.trim()))).collect();
    let what = "is signed with a key that `signed_by` does not list; it was not loaded";
    refused(Fault::Signer, name, path, what, "the key that signed it is not here")
        .note(format!("its signature is of the key that begins with `RW{number}`"))
        .note(format!("expected {}", listed.join(" or ")))
        .help(
            "if you trust whoever has that key, add the key here; if not, get the library from \
             somebody whom you trust",
        )
        .into()
}

fn forged(request: &LibraryRequest, signature: &Signature) -> Box<Refusal> {
    let LibraryRequest { name, path, .. } = request;
    let what = "is not what its signature was made for; it was not loaded";
    refused(Fault::Forged, name, path, what, "its signature is of something else")
        .note(format!("the signature is `{}`", shown_path(&beside(request))))
        .note(format!("it says of itself: `{}`", shown(signature.trusted_comment())))
        .help(
            "get the library and its signature again, both of the same build; if it fails then, \
             somebody changed one of them",
        )
        .into()
}
