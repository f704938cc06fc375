//! The stamp that a C compiler writes is the one that Rust reads, in a file that was stripped.

use std::fs;

use larder_abi::Stamp;
use larder_abi::descriptor::{STAMP_MAGIC, unwinds};

use crate::compile::{LANGUAGES, compile};

const SOURCE: &str = "#include \"larder_plugin.h\"\n\
    LARDER_DEFINE_STAMP(\"acme.tiny\", \"x86_64-unknown-linux-gnu\", 0);\n";

#[test]
fn a_library_carries_one_stamp_however_it_is_built() {
    let options: [&[&str]; 3] = [
        &["-shared", "-fPIC", "-O0", "-g"],
        &["-shared", "-fPIC", "-O2", "-fvisibility=hidden"],
        &["-shared", "-fPIC", "-O2", "-s", "-fdata-sections"],
    ];
    for language in LANGUAGES {
        for options in options {
            let dir = tempfile::tempdir().unwrap();
            let bytes = fs::read(compile(language, options, SOURCE, dir.path())).unwrap();
            let starts: Vec<usize> = bytes
                .windows(STAMP_MAGIC.len())
                .enumerate()
                .filter(|(_, window)| *window == STAMP_MAGIC)
                .map(|(at, _)| at)
                .collect();
            let [at] = starts[..] else { panic!("{options:?}: stamps at {starts:?}") };
            let found = &bytes[at..at + size_of::<Stamp>()];
            assert_eq!(found, bytes_of(expected()), "{language:?} {options:?}");
        }
    }
}

fn expected() -> Stamp {
    let stamp = Stamp::new("acme.tiny", "x86_64-unknown-linux-gnu", 0);
    Stamp { unwinds: unwinds::NOT_RUST, ..stamp }
}

/// The bytes as they lie in memory, field by field.
fn bytes_of(stamp: Stamp) -> Vec<u8> {
    let mut bytes = stamp.magic.to_vec();
    bytes.extend(stamp.stamp_size.to_ne_bytes());
    for half in [stamp.abi_major, stamp.abi_minor, stamp.requires_host_minor] {
        bytes.extend(half.to_ne_bytes());
    }
    bytes.extend([stamp.ptr_size, stamp.big_endian, stamp.unwinds]);
    bytes.extend(stamp.reserved);
    bytes.extend(stamp.layout.iter().flat_map(|size| size.to_ne_bytes()));
    bytes.extend(stamp.target);
    bytes.extend(stamp.name);
    bytes
}

#[test]
fn a_stamp_of_rust_says_what_its_panics_do() {
    let stamp = Stamp::new("acme", "here", 0);
    let expected = if cfg!(panic = "unwind") { unwinds::YES } else { unwinds::ABORT };
    assert_eq!(stamp.unwinds, expected);
    assert_eq!(&stamp.name[..5], b"acme\0");
}

#[test]
#[should_panic(expected = "does not fit")]
fn a_name_without_room_for_its_end_is_refused() {
    assert_eq!(Stamp::new(&"x".repeat(64), "here", 0).name[63], b'x');
}
