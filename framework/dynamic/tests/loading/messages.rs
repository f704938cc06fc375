//! Every refusal as the operator reads it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::mem::offset_of;
use std::os::unix::fs::symlink;

use larder_abi::Stamp;
use larder_abi::descriptor::STAMP_MAGIC;
use larder_core::library::{Fault, Isolation, LibraryLoader as _, LibraryRequest, Refusal, Trust};

use crate::support::{Made, Signer, loader, nothing, plugin, set_mode, write};

/// From the request for a library to the one of an example.
type Change<'a> = &'a dyn Fn(LibraryRequest) -> LibraryRequest;

/// One library for each fault.
fn examples() -> Vec<(Made, LibraryRequest)> {
    let mut examples = Vec::new();
    let mut add = |made: Made, change: Change<'_>| {
        let request = change(made.request());
        examples.push((made, request));
    };
    let same = |request: LibraryRequest| request;
    let with = |name: &str, options: &[&str]| plugin(&format!("acme.say-{name}"), options);
    let patched = |name: &str, offset: usize, bytes: &[u8]| {
        let made = with(name, &[]);
        made.patch_stamp(offset, bytes);
        made
    };
    add(nothing("acme.say-missing"), &same);
    let link = nothing("acme.say-link");
    link.write(b"");
    std::fs::rename(link.at("acme.so"), link.at("real.so")).unwrap();
    symlink(link.at("real.so"), link.at("acme.so")).unwrap();
    add(link, &same);
    let open = with("open", &[]);
    set_mode(&open.at("acme.so"), 0o777);
    add(open, &same);
    let folder = nothing("acme.say-folder");
    std::fs::create_dir(folder.at("acme.so")).unwrap();
    add(folder, &same);
    add(with("pin", &[]), &|request| request.trust(Trust::Pin("0".repeat(64))));
    add(with("unpinned", &[]), &|request| request.trust(Trust::Undecided));
    signatures(&mut add);
    let text = nothing("acme.say-text");
    text.write(b"no library");
    add(text, &same);
    let short = with("short", &[]);
    short.write(&short.bytes()[..1024]);
    add(short, &same);
    add(patched("none", 0, &[0]), &same);
    let twice = with("twice", &[]);
    twice.write(&[&twice.bytes()[..], &STAMP_MAGIC].concat());
    add(twice, &same);
    add(patched("packed", offset_of!(Stamp, ptr_size), &[4]), &same);
    let newer = 9_u16.to_ne_bytes();
    add(patched("newer", offset_of!(Stamp, requires_host_minor), &newer), &same);
    let named = with("named", &[]);
    let other = LibraryRequest::new("acme.say-other", named.at("acme.so")).trust(Trust::Path);
    add(named, &move |_| other.clone());
    add(with("no-entry", &["-DENTRY=another"]), &same);
    let undefined = nothing("acme.say-undefined");
    std::fs::write(undefined.at("use.c"), "int gone(void); int use(void) { return gone(); }")
        .unwrap();
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/loading/plugin.c");
    undefined.compile(source, "acme.so", &[undefined.at("use.c").to_str().unwrap()]);
    add(undefined, &same);
    add(with("entry", &["-DFAILS"]), &same);
    add(with("rules", &["-DGET=0"]), &same);
    add(with("schema", &["-DSCHEMA=no_object"]), &same);
    add(with("provides", &[]), &|request| request.provides(["backend:acme.else"]));
    let first = with("taken", &[]);
    first.open().unwrap();
    add(with("thief", &["-DKIND=\"acme.say-taken\""]), &same);
    examples
}

/// What may be wrong with a signature.
fn signatures(add: &mut dyn FnMut(Made, Change<'_>)) {
    let (signer, other) = (Signer::new(), Signer::new());
    let with = |name: &str| plugin(&format!("acme.say-{name}"), &[]);
    let signed = |request: LibraryRequest| request.signed_by([signer.key()]);
    add(with("key"), &|request| request.signed_by(["hunter2"]));
    add(with("unsigned"), &signed);
    let cut = with("cut");
    write(&cut.at("acme.so.minisig"), b"untrusted comment: signature from minisign");
    add(cut, &signed);
    let stranger = with("stranger");
    other.sign(&stranger);
    add(stranger, &signed);
    let swapped = with("swapped");
    let signature = signer.signature(b"something else", "else.so");
    write(&swapped.at("acme.so.minisig"), signature.as_bytes());
    add(swapped, &signed);
}

/// The text as it is on every machine.
fn without_this_machine(mut text: String, sha256: Option<&str>) -> String {
    let folders = std::env::temp_dir().canonicalize().unwrap().join(".tmp");
    let folders = folders.to_str().unwrap();
    while let Some(start) = text.find(folders) {
        let length = text[start + folders.len()..].find('/').unwrap() + folders.len();
        text.replace_range(start..start + length, "[DIR]");
    }
    if let Some(sha256) = sha256 {
        text = text.replace(sha256, "[SHA256]");
    }
    // Keys of minisign, and how they begin.
    let is_key = |part: &str| part.starts_with("RW") && part.len() > 2;
    let parts = text.split('`').map(|part| if is_key(part) { "[KEY]" } else { part });
    let text = parts.collect::<Vec<_>>().join("`");
    text.replace(std::env::consts::ARCH, "[MACHINE]")
}

fn refusal_of(request: &LibraryRequest) -> Box<Refusal> {
    loader().open(request).unwrap_err()
}

/// A library that nobody can run.
fn without_a_runner() -> Box<Refusal> {
    let made = plugin("acme.say-apart", &[]);
    let runner = Some("/nowhere/larder-runner".into());
    let request = LibraryRequest::new("acme.say-apart", made.at("acme.so")).trust(Trust::Path);
    loader().load(&request.isolation(Isolation::Process { runner })).unwrap_err()
}

#[test]
fn every_refusal_says_what_was_found_and_what_to_do() {
    let mut texts = BTreeMap::new();
    for (made, request) in examples() {
        let refusal = refusal_of(&request);
        drop(made);
        let text = without_this_machine(format!("{refusal}\n"), refusal.sha256.as_deref());
        texts.insert(refusal.fault.code(), text);
    }
    let allowed = loader().only_below(["/opt/plugins"]);
    let request = LibraryRequest::new("acme.say-outside", "/srv/acme.so");
    let refusal = allowed.open(&request).unwrap_err();
    texts.insert(refusal.fault.code(), format!("{refusal}\n"));
    let refusal = without_a_runner();
    texts.insert(refusal.fault.code(), format!("{refusal}\n"));

    let mut all = String::new();
    for (code, text) in &texts {
        writeln!(all, "{code}: {text}").unwrap();
    }
    snapbox::assert_data_eq!(all, snapbox::file!["refusals.txt"].raw());
    // What this machine can load is not refused here, and has no example.
    let missing: Vec<_> =
        Fault::ALL.iter().filter(|fault| !texts.contains_key(fault.code())).collect();
    assert_eq!(missing, [&Fault::Unsupported]);
}
