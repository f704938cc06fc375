//! Stamps that do not fit, none of which let any code of the library run.

use std::mem::offset_of;

use larder_abi::Stamp;
use larder_abi::descriptor::STAMP_MAGIC;
use larder_core::library::{Fault, LibraryRequest, Trust};

use crate::support::{loader, plugin, stamp_of};

#[test]
fn numbers_that_do_not_fit_are_refused() {
    let made = plugin("acme.stamp", &[]);
    let good = made.bytes();
    let layout = offset_of!(Stamp, layout);
    let third = layout + 3 * 4;
    let at = stamp_of(&good) + third;
    let grown = u32::from_ne_bytes(good[at..at + 4].try_into().unwrap()) + 8;
    let cases: [(usize, &[u8], Fault, &str); 7] = [
        (offset_of!(Stamp, abi_major), &2_u16.to_ne_bytes(), Fault::Abi, "speaks plugin ABI 2.0"),
        (
            offset_of!(Stamp, requires_host_minor),
            &99_u16.to_ne_bytes(),
            Fault::HostTooOld,
            "needs a host that speaks plugin ABI 1.99 or newer",
        ),
        (offset_of!(Stamp, ptr_size), &[4], Fault::Layout, "pointers of 4 bytes"),
        (offset_of!(Stamp, big_endian), &[2], Fault::Layout, "big-endian numbers"),
        (third, &grown.to_ne_bytes(), Fault::Layout, "`larder_kv` has 40 bytes there"),
        (offset_of!(Stamp, stamp_size), &9_u32.to_ne_bytes(), Fault::Stamp, "9 bytes long"),
        (offset_of!(Stamp, name), &[b'x'; 64], Fault::Stamp, "its name is no text"),
    ];
    for (offset, with, fault, said) in cases {
        made.write(&good);
        made.patch_stamp(offset, with);
        let text = made.refused(fault);
        assert!(text.contains(said), "{text}");
    }
}

#[test]
fn a_library_of_a_newer_minor_version_is_loaded_if_it_can_do_without() {
    let made = plugin("acme.newer", &[]);
    made.patch_stamp(offset_of!(Stamp, abi_minor), &u16::MAX.to_ne_bytes());
    let kv = offset_of!(Stamp, layout) + 3 * 4;
    let library = made.open().unwrap();
    assert_eq!((library.name, library.stamp.abi_minor), ("acme.newer", u16::MAX));

    // What never changes may not have changed there either.
    let made = plugin("acme.newer-other", &[]);
    made.patch_stamp(offset_of!(Stamp, abi_minor), &u16::MAX.to_ne_bytes());
    made.patch_stamp(kv, &40_u32.to_ne_bytes());
    made.refused(Fault::Layout);
}

#[test]
fn a_file_has_one_stamp() {
    let made = plugin("acme.stamps", &[]);
    let good = made.bytes();
    let mut twice = good.clone();
    twice.extend(STAMP_MAGIC);
    made.write(&twice);
    assert!(made.refused(Fault::Stamp).contains("several stamps"));

    made.write(&good);
    made.patch_stamp(0, &[0]);
    assert!(made.refused(Fault::Abi).contains("no plugin ABI stamp"));

    // The end of the file is within the second one, which is the only one that is whole enough.
    let mut cut = made.bytes();
    cut.extend(STAMP_MAGIC);
    cut.extend([0; 84]);
    made.write(&cut);
    assert!(made.refused(Fault::Stamp).contains("the file ends within it"));
}

#[test]
fn a_library_that_talks_about_stamps_is_no_plugin() {
    let made = plugin("acme.talk", &["-DNO_PLUGIN"]);
    let source = made.at("talk.c");
    let text = "const char talk[400] = \"\\x89LDR-PLUGIN\\r\\n\\x1a\\n\\0\";";
    std::fs::write(&source, text).unwrap();
    made.compile(source.to_str().unwrap(), "acme.so", &[]);
    made.refused(Fault::Layout);
}

#[test]
fn the_name_is_that_of_the_section() {
    let made = plugin("acme.mine", &[]);
    let request = LibraryRequest::new("acme.yours", made.at("acme.so")).trust(Trust::Path);
    let refusal = loader().open(&request).unwrap_err();
    assert_eq!(refusal.fault, Fault::Name);
    assert!(refusal.to_string().contains("rename the section to `[plugins.\"acme.mine\"]`"));
    assert_eq!(made.ran(), "");
}
