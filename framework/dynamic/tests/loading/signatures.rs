//! Which signatures are believed.

use std::os::unix::fs::symlink;
use std::process::Command;

use larder_core::library::{Fault, Isolation, LibraryLoader as _, LibraryRequest, Refusal, Trust};

use crate::support::{Made, Signer, loader, plugin, write};

/// A library that must be signed, and nothing else says that it may run.
fn request(made: &Made, name: &str, signers: &[&Signer]) -> LibraryRequest {
    let keys = signers.iter().map(|signer| signer.key());
    LibraryRequest::new(name, made.at("acme.so")).signed_by(keys)
}

#[track_caller]
fn refused(made: &Made, request: &LibraryRequest, fault: Fault) -> Box<Refusal> {
    let refusal = loader().open(request).expect_err("it was loaded");
    assert_eq!(refusal.fault, fault, "{refusal}");
    assert_eq!(made.ran(), "", "code of it ran");
    refusal
}

#[track_caller]
fn says(refusal: &Refusal, parts: &[&str]) {
    let text = refusal.to_string();
    for part in parts {
        assert!(text.contains(part), "no `{part}` in {text}");
    }
}

fn put(made: &Made, signature: impl AsRef<[u8]>) {
    write(&made.at("acme.so.minisig"), signature.as_ref());
}

#[test]
fn a_library_that_one_of_the_keys_signed_is_loaded_without_a_pin() {
    let (made, signer, other) = (plugin("acme.signed", &[]), Signer::new(), Signer::new());
    signer.sign(&made);
    let request = request(&made, "acme.signed", &[&other, &signer]);
    let examined = loader().examine(&request).unwrap();
    assert_eq!(examined.signed_by, Some(signer.key()));
    assert_eq!(made.ran(), "");
    loader().open(&request).unwrap();
    assert_eq!(made.ran(), "ce");
}

#[test]
fn nobody_looks_for_a_signature_that_the_config_does_not_ask_for() {
    let made = plugin("acme.unasked", &[]);
    put(&made, "no signature");
    assert_eq!(loader().examine(&made.request()).unwrap().signed_by, None);
    made.open().unwrap();
}

#[test]
fn a_library_without_its_signature_is_refused_whatever_else_is_said_of_trust() {
    let (made, signer) = (plugin("acme.bare", &[]), Signer::new());
    let sha256 = loader().examine(&made.request()).unwrap().sha256;
    for trust in [Trust::Undecided, Trust::Path, Trust::Pin(sha256)] {
        let request = request(&made, "acme.bare", &[&signer]).trust(trust);
        let refusal = refused(&made, &request, Fault::NotSigned);
        says(&refusal, &["/acme.so.minisig`", "minisign -Sm acme.so"]);
    }
    // A signature does not make other bytes right than those that were pinned.
    signer.sign(&made);
    let pinned = request(&made, "acme.bare", &[&signer]).trust(Trust::Pin("0".repeat(64)));
    refused(&made, &pinned, Fault::Pin);
}

#[test]
fn a_library_that_was_loaded_before_is_refused_without_its_signature() {
    let (made, signer) = (plugin("acme.before", &[]), Signer::new());
    made.open().unwrap();
    let refusal = loader().open(&request(&made, "acme.before", &[&signer])).unwrap_err();
    assert_eq!(refusal.fault, Fault::NotSigned, "{refusal}");
}

#[test]
fn a_signature_that_is_cut_off_anywhere_is_refused() {
    let (made, signer) = (plugin("acme.cut", &[]), Signer::new());
    let request = request(&made, "acme.cut", &[&signer]);
    let whole = signer.signature(&made.bytes(), "acme.so");
    let lines = whole.trim_end();
    for length in 0..lines.len() {
        put(&made, &lines[..length]);
        let refusal = loader().examine(&request).unwrap_err();
        assert_eq!(refusal.fault, Fault::Signature, "{length}: {refusal}");
    }
    put(&made, lines);
    loader().examine(&request).unwrap();
}

#[test]
fn what_is_no_signature_is_refused_without_a_wait() {
    let (made, signer) = (plugin("acme.odd", &[]), Signer::new());
    let request = request(&made, "acme.odd", &[&signer]);
    let whole = signer.signature(&made.bytes(), "acme.so");
    let refuse = |said: &str| {
        says(&refused(&made, &request, Fault::Signature), &[said, "/acme.so.minisig`"]);
        std::fs::remove_file(made.at("acme.so.minisig")).unwrap();
    };
    put(&made, [0xff; 200]);
    refuse("it is no text");
    put(&made, format!("{whole}{}", "\n".repeat(16 * 1024)));
    refuse("it is larger than 16 KiB");
    // The other kind of signatures, over a file that is not hashed.
    put(&made, whole.replacen("\nRU", "\nRW", 1));
    refuse("it is of the old kind");
    write(&made.at("real.minisig"), whole.as_bytes());
    symlink(made.at("real.minisig"), made.at("acme.so.minisig")).unwrap();
    refuse("it is a symbolic link");
    let fifo = Command::new("mkfifo").arg(made.at("acme.so.minisig")).status();
    assert!(fifo.unwrap().success());
    refuse("it is no regular file");
}

#[test]
fn a_signature_with_another_key_is_refused_and_both_keys_are_named() {
    let (made, signer, other) = (plugin("acme.stranger", &[]), Signer::new(), Signer::new());
    other.sign(&made);
    let refusal = refused(&made, &request(&made, "acme.stranger", &[&signer]), Fault::Signer);
    let found = format!("begins with `{}`", &other.key()[..13]);
    says(&refusal, &[&found, &format!("expected `{}`", signer.key())]);
}

#[test]
fn the_signature_of_another_file_is_refused() {
    let (first, second) = (plugin("acme.swap-a", &[]), plugin("acme.swap-b", &[]));
    let signer = Signer::new();
    // Each has the signature of the other.
    put(&first, signer.signature(&second.bytes(), "second.so"));
    put(&second, signer.signature(&first.bytes(), "first.so"));
    for (made, name, file) in
        [(&first, "acme.swap-a", "second.so"), (&second, "acme.swap-b", "first.so")]
    {
        let refusal = refused(made, &request(made, name, &[&signer]), Fault::Forged);
        says(&refusal, &[&format!("it says of itself: `file:{file}`")]);
    }
}

#[test]
fn what_was_changed_after_it_was_signed_is_refused() {
    let (made, signer) = (plugin("acme.changed", &[]), Signer::new());
    signer.sign(&made);
    let request = request(&made, "acme.changed", &[&signer]);
    let good = made.bytes();
    made.write(&[&good[..], &[0]].concat());
    refused(&made, &request, Fault::Forged);
    made.write(&good);
    // Its comment is signed as well.
    let comment = signer.signature(&good, "acme.so").replace("file:acme.so", "file:good.so");
    put(&made, comment);
    refused(&made, &request, Fault::Forged);
}

#[test]
fn a_key_that_is_no_key_is_named_by_its_place_and_not_repeated() {
    let (made, signer) = (plugin("acme.key", &[]), Signer::new());
    signer.sign(&made);
    let request = request(&made, "acme.key", &[&signer]);
    let cut = signer.key()[..55].to_owned();
    for key in ["", "hunter2", &cut, "RWRTY0Iy", &signer.key().to_lowercase()] {
        let request = request.clone().signed_by([signer.key(), key.to_owned()]);
        let refusal = refused(&made, &request, Fault::Key);
        assert_eq!(refusal.entry, Some(1));
        assert!(key.is_empty() || !refusal.to_string().contains(key), "{refusal}");
    }
    let none = request.signed_by(Vec::<String>::new());
    says(&refused(&made, &none, Fault::Key), &["there is no key that may sign it"]);
}

#[test]
fn the_signature_is_checked_before_a_process_is_started() {
    let (made, signer) = (plugin("acme.apart", &[]), Signer::new());
    let runner = Some("/nowhere/larder-runner".into());
    let isolated =
        request(&made, "acme.apart", &[&signer]).isolation(Isolation::Process { runner });
    assert_eq!(loader().load(&isolated).unwrap_err().fault, Fault::NotSigned);
    Signer::new().sign(&made);
    assert_eq!(loader().load(&isolated).unwrap_err().fault, Fault::Signer);
    signer.sign(&made);
    assert_eq!(loader().load(&isolated).unwrap_err().fault, Fault::Runner);
}
