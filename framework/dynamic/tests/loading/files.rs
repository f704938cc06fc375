//! Files that are no library of this machine, or not the whole of one.

use std::process::Command;

use larder_core::library::Fault;

use crate::support::{Made, nothing, plugin};

#[test]
fn what_is_no_library_is_refused() {
    let made = nothing("acme.none");
    let random: Vec<u8> =
        (0..8192_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let files: [(&[u8], &str); 4] = [
        (b"", "is empty"),
        (&[0; 4096], "is no library at all"),
        (&random, "is no library at all"),
        (b"#!/bin/sh\nexit 0\n", "is no library at all"),
    ];
    for (bytes, said) in files {
        made.write(bytes);
        let text = made.refused(Fault::Format);
        assert!(text.contains(said), "{text}");
    }
}

#[test]
fn what_is_no_file_is_refused_without_a_wait() {
    let made = nothing("acme.none");
    std::fs::create_dir(made.at("acme.so")).unwrap();
    assert!(made.refused(Fault::NotAFile).contains("is a directory"));
    std::fs::remove_dir(made.at("acme.so")).unwrap();

    let fifo = Command::new("mkfifo").args(["-m", "600"]).arg(made.at("acme.so")).status();
    assert!(fifo.unwrap().success());
    assert!(made.refused(Fault::NotAFile).contains("is a pipe"));

    let null = larder_core::library::LibraryRequest::new("acme.none", "/dev/null");
    let refusal = crate::support::loader().examine(&null).unwrap_err();
    assert_eq!(refusal.fault, Fault::NotAFile, "{refusal}");
    assert!(refusal.to_string().contains("is a device"), "{refusal}");
}

#[test]
fn a_file_that_would_fill_the_memory_is_not_read() {
    let made = nothing("acme.none");
    made.write(b"");
    let file = std::fs::OpenOptions::new().write(true).open(made.at("acme.so")).unwrap();
    file.set_len(300 << 20).unwrap();
    assert!(made.refused(Fault::NotAFile).contains("larger than 256 MiB"));
}

#[test]
fn a_library_for_another_machine_is_named_as_that() {
    let made = plugin("acme.machine", &[]);
    let good = made.bytes();
    // Class, order of bytes, type (twice) and machine in the header of ELF.
    let patches: [(usize, u8, &str); 5] = [
        (4, 1, "is for 32-bit programs"),
        (5, 2, "is for machines with the other order of bytes"),
        (16, 2, "is a program"),
        (16, 1, "is an object file"),
        (18, if cfg!(target_arch = "s390x") { 62 } else { 22 }, "is for another machine"),
    ];
    for (at, value, said) in patches {
        let mut bytes = good.clone();
        bytes[at] = value;
        made.write(&bytes);
        let text = made.refused(Fault::Format);
        assert!(text.contains(said), "{text}");
    }
}

/// Tells the child which part it plays.
const CHILD: &str = "LARDER_TEST_TRUNCATE";

#[test]
fn a_truncated_library_never_ends_the_process() {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "files::every_truncation_is_refused_in_a_child"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    assert!(child.status.success(), "{}\n{child:?}", child.status);
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(said.contains("1 passed"), "{said}");
}

/// Does nothing unless it is started by the test above: it might not survive.
#[test]
fn every_truncation_is_refused_in_a_child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let made = plugin("acme.short", &[]);
    let good = made.bytes();
    for length in (512..good.len()).step_by(512) {
        made.write(&good[..length]);
        made.refused(Fault::Truncated);
    }
    made.write(&good);
    made.open().unwrap();
}

/// As `llvm-strip -R` leaves it: the segments of the notes are still there.
#[cfg(target_pointer_width = "64")]
#[test]
fn a_library_whose_notes_were_removed_is_loaded() {
    const NOTE: [u8; 4] = 7_u32.to_ne_bytes();
    let made = plugin("acme.noteless", &["-Wl,--build-id"]);
    let mut bytes = made.bytes();
    let long = |at: usize| u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
    let short = |at: usize| usize::from(u16::from_ne_bytes(bytes[at..at + 2].try_into().unwrap()));
    let (start, size, count) = (long(40), short(58), short(60));
    let headers = (0..count).map(|index| start + index * size);
    let notes: Vec<usize> = headers.filter(|at| bytes[at + 4..at + 8] == NOTE).collect();
    assert!(!notes.is_empty(), "it has no notes");
    for at in notes {
        bytes[at..at + size].fill(0);
    }
    made.write(&bytes);
    made.open().unwrap_or_else(|refusal| panic!("{refusal}"));
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let made: Made = nothing("acme.none");
    assert!(made.refused(Fault::Unreadable).contains("there is no such file"));
}
