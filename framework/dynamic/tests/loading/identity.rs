//! Which bytes are loaded: those that were checked, once, and those that were meant.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};

use larder_core::library::{Fault, LibraryRequest, Trust};

use crate::support::{loader, nothing, plugin, write};

#[test]
fn the_same_bytes_are_loaded_once() {
    let made = plugin("acme.same", &[]);
    let first = made.open().unwrap();
    std::fs::hard_link(made.at("acme.so"), made.at("linked.so")).unwrap();
    write(&made.at("copied.so"), &made.bytes());
    for file in ["acme.so", "linked.so", "copied.so"] {
        let request = LibraryRequest::new("acme.same", made.at(file)).trust(Trust::Path);
        assert!(std::ptr::eq(loader().open(&request).unwrap(), first), "{file}");
    }
    assert_eq!(made.ran(), "ce");
}

#[test]
fn threads_that_ask_at_once_share_one_library() {
    let made = plugin("acme.threads", &[]);
    let (request, barrier) = (made.request(), Barrier::new(8));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                barrier.wait();
                loader().open(&request).unwrap();
            });
        }
    });
    assert_eq!(made.ran(), "ce");
}

#[test]
fn a_kind_that_another_library_brought_is_taken() {
    let first = plugin("acme.taken", &[]);
    first.open().unwrap();
    let second = plugin("acme.thief", &["-DKIND=\"acme.taken\""]);
    let text = second.refused_after_it_ran(Fault::Taken);
    assert!(text.contains("brings `backend:acme.taken`"), "{text}");
    // The first one is as good as before.
    first.open().unwrap();
}

#[test]
fn other_bytes_of_the_same_name_are_another_version_beside_the_first() {
    let first = plugin("acme.again", &[]);
    let second = plugin("acme.again", &["-DCAPS=0"]);
    let (old, new) = (first.open().unwrap(), second.open().unwrap());
    assert!(!std::ptr::eq(old, new));
    assert_eq!((old.components[0].id(), old.instances()), (new.components[0].id(), 0));
    assert_eq!(new.size, second.bytes().len() as u64);
    // And back: nothing is loaded twice.
    assert!(std::ptr::eq(first.open().unwrap(), old));
    assert_eq!((first.ran(), second.ran()), ("ce".to_owned(), "ce".to_owned()));
}

#[test]
fn a_pin_decides_which_bytes_run() {
    let made = plugin("acme.pin", &[]);
    let undecided = LibraryRequest::new("acme.pin", made.at("acme.so"));
    let refusal = loader().open(&undecided).unwrap_err();
    assert_eq!(refusal.fault, Fault::NotPinned, "{refusal}");
    let found = refusal.sha256.unwrap();
    assert!(refusal.help.unwrap().contains(&format!("sha256 = \"{found}\"")));

    let other = undecided.clone().trust(Trust::Pin("0".repeat(64)));
    let refusal = loader().open(&other).unwrap_err();
    assert_eq!(refusal.fault, Fault::Pin, "{refusal}");
    assert_eq!(refusal.sha256.as_ref(), Some(&found));
    assert_eq!(made.ran(), "");

    let pinned = undecided.trust(Trust::Pin(format!(" {}\n", found.to_uppercase())));
    assert_eq!(loader().open(&pinned).unwrap().sha256, found);
}

#[test]
fn a_library_brings_what_the_config_lists() {
    let made = plugin("acme.lists", &[]);
    let request = |provides: &[&str]| made.request().provides(provides.iter().copied());
    let missing = ["backend:acme.lists", "policy:acme.lists"];
    for (provides, said) in [
        (&[][..], "brings `backend:acme.lists`, which `provides` does not list"),
        (&missing[..], "does not bring `policy:acme.lists`, which `provides` lists"),
    ] {
        let refusal = loader().open(&request(provides)).unwrap_err();
        assert_eq!(refusal.fault, Fault::Provides, "{refusal}");
        assert!(refusal.to_string().contains(said), "{refusal}");
    }
    loader().open(&request(&missing[..1])).unwrap();
}

/// A thread puts a good and a bad library in place of each other as fast as it can.
#[test]
fn a_library_that_is_swapped_after_the_check_does_not_run() {
    const LOADS: usize = 1000;
    let (good, bad) = (plugin("acme.swap", &[]), plugin("acme.swap", &["-DCAPS=0"]));
    let sha256 = loader().examine(&good.request()).unwrap().sha256;
    let place = nothing("acme.swap");
    let request = LibraryRequest::new("acme.swap", place.at("acme.so")).trust(Trust::Pin(sha256));
    let sources = [("good.so", good.bytes()), ("bad.so", bad.bytes())];
    for (file, bytes) in &sources {
        write(&place.at(file), bytes);
    }
    place.write(&good.bytes());
    let is_done = AtomicBool::new(false);
    let (mut loaded, mut refused) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                for (file, _) in &sources {
                    std::fs::hard_link(place.at(file), place.at("next.so")).unwrap();
                    std::fs::rename(place.at("next.so"), place.at("acme.so")).unwrap();
                    // A rename of a file to a link of itself does nothing and leaves both.
                    drop(std::fs::remove_file(place.at("next.so")));
                }
            }
        });
        for _ in 0..LOADS {
            match loader().open(&request) {
                Ok(_) => loaded += 1,
                Err(refusal) => {
                    assert_eq!(refusal.fault, Fault::Pin, "{refusal}");
                    refused += 1;
                }
            }
        }
        is_done.store(true, Ordering::Relaxed);
    });
    assert_eq!(bad.ran(), "", "the bad library ran");
    assert_eq!(loaded + refused, LOADS);
    assert!(loaded == 0 || good.ran() == "ce");
}

/// The system takes a library for one that it has if the name is the same.
#[test]
fn each_of_many_libraries_is_the_right_one() {
    let made = plugin("acme.n000", &[]);
    let good = made.bytes();
    for number in 1..=200 {
        let name = format!("acme.n{number:03}");
        let bytes = replaced(&good, b"acme.n000", name.as_bytes());
        made.write(&bytes);
        let request = LibraryRequest::new(&name, made.at("acme.so")).trust(Trust::Path);
        let library = loader().open(&request).unwrap();
        assert_eq!((library.name, library.components[0].name), (&*name, &*name));
    }
    assert_eq!(made.ran(), "ce".repeat(200));
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let places: Vec<usize> = bytes
        .windows(from.len())
        .enumerate()
        .filter(|(_, window)| *window == from)
        .map(|(at, _)| at)
        .collect();
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to);
    }
    bytes
}
