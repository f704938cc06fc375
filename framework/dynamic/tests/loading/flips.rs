//! Single bits that are wrong: of the headers of a library, which the system believes, and of its
//! stamp, which we do.

use std::path::Path;
use std::process::Command;

use larder_core::library::{Fault, LibraryRequest, Trust};

use crate::support::{loader, nothing, plugin, stamp_of};

/// Tells a child which library to change, and which of its bits.
const CHILD: &str = "LARDER_TEST_FLIPS";

/// How many bits a child changes, one after the other: what it loads stays.
const BATCH: usize = 500;

const NAME: &str = "acme.flips";

/// Where the bytes are that describe the rest: the header, the tables of segments and sections, and
/// the stamp.
fn headers(bytes: &[u8]) -> Vec<usize> {
    const HEADER: usize = 64;
    let long = |at: usize| u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
    let short = |at: usize| usize::from(u16::from_ne_bytes(bytes[at..at + 2].try_into().unwrap()));
    let (segments, sections, stamp) = (long(32), long(40), stamp_of(bytes));
    (0..HEADER)
        .chain(segments..segments + short(54) * short(56))
        .chain(sections..sections + short(58) * short(60))
        .chain(stamp..stamp + size_of::<larder_abi::Stamp>())
        .collect()
}

/// Some of them, the same ones in every run; with `LARDER_SOAK`, all.
#[cfg(target_pointer_width = "64")]
#[test]
fn no_wrong_bit_in_a_header_ends_the_process_or_passes_a_pin() {
    let made = plugin(NAME, &[]);
    let all = headers(&made.bytes()).len() * 8;
    assert!(all > 20_000, "{all}");
    let bits: Vec<usize> = if std::env::var_os("LARDER_SOAK").is_some() {
        (0..all).collect()
    } else {
        let mut random = fastrand::Rng::with_seed(7);
        (0..BATCH).map(|_| random.usize(..all)).collect()
    };
    let path = made.at("acme.so").display().to_string();
    for batch in bits.chunks(BATCH) {
        let bits: Vec<String> = batch.iter().map(usize::to_string).collect();
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "flips::each_is_refused_or_loaded_in_a_child", "--nocapture"])
            .env(CHILD, format!("{path} {}", bits.join(" ")))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&child.stdout);
        let at = said.lines().rfind(|line| line.starts_with("bit ")).unwrap_or_default();
        let error = String::from_utf8_lossy(&child.stderr);
        assert!(child.status.success(), "{} at {at} of {all}\n{error}", child.status);
        assert!(said.contains("1 passed"), "{said}");
    }
}

/// Does nothing unless it is started by the test above: it might not survive.
#[test]
fn each_is_refused_or_loaded_in_a_child() {
    let Ok(what) = std::env::var(CHILD) else { return };
    let (path, bits) = what.split_once(' ').unwrap();
    let good = LibraryRequest::new(NAME, Path::new(path)).trust(Trust::Path);
    let pin = Trust::Pin(loader().examine(&good).unwrap().sha256);
    let bytes = std::fs::read(path).unwrap();
    let headers = headers(&bytes);
    let place = nothing(NAME);
    for bit in bits.split(' ').map(|bit| bit.parse::<usize>().unwrap()) {
        println!("bit {bit}");
        let mut wrong = bytes.clone();
        wrong[headers[bit / 8]] ^= 1 << (bit % 8);
        place.write(&wrong);
        let refusal = loader().open(&place.request().trust(pin.clone())).unwrap_err();
        assert_eq!(refusal.fault, Fault::Pin, "{refusal}");
        // What nobody reads may be wrong, so some of these are loaded.
        drop(loader().open(&place.request()));
    }
}
