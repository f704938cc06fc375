use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use larder_abi::Stamp;
use larder_abi::descriptor::unwinds;
use larder_core::library::{Fault, LibraryRequest};

use super::place::Place;
use super::{copied, entry_of, load, not_linked};

const SOURCE: &str = "#include \"larder_plugin.h\"\n\
    LARDER_DEFINE_STAMP(\"acme.copy\", \"here\", 0);\n\
    int32_t larder_entry_v1(const larder_host *host, const larder_plugin **out,\n\
    larder_error *error) { (void)host, (void)out, (void)error; return LARDER_ERROR; }\n";

fn compiled() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("copy.c"), folder.path().join("copy.so"));
    std::fs::write(&from, SOURCE).unwrap();
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let include = concat!("-I", env!("CARGO_MANIFEST_DIR"), "/../abi/include");
    let arguments = ["-shared", "-fPIC", include, "-o"];
    let status = Command::new(&compiler).args(arguments).args([&to, &from]).status();
    assert!(status.unwrap().success(), "{compiler} cannot make a library");
    std::fs::read(to).unwrap()
}

/// What is done where the system does not run files in memory.
#[test]
fn a_copy_is_loaded_and_then_removed() {
    let below = tempfile::tempdir().unwrap();
    let place = Place::copied(&compiled(), "abc", below.path()).unwrap();
    let library = load(&place).unwrap();
    let path = place.keep();
    assert!(!path.exists());
    let request = LibraryRequest::new("acme.copy", "/acme.so");
    let stamp = Stamp { unwinds: unwinds::NOT_RUST, ..Stamp::new("acme.copy", "here", 0) };
    entry_of(&request, &library, &path, &stamp).unwrap();

    // The stamp in memory is compared with that of the file, and the name with that of the load.
    let other = Stamp { requires_host_minor: 1, ..stamp };
    let elsewhere = std::path::Path::new("/elsewhere.so");
    for (path, stamp) in [(&*path, &other), (elsewhere, &stamp)] {
        let refusal = entry_of(&request, &library, path, stamp).unwrap_err();
        assert_eq!(refusal.fault, Fault::Symbols, "{refusal}");
    }
}

#[test]
fn a_place_that_others_can_change_is_passed_over_for_the_next_one() {
    let (shared, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::set_permissions(shared.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let folders = [shared.path().to_owned(), own.path().canonicalize().unwrap()];
    let before = || "failed to map segment from shared object".to_owned();
    let (place, _) = copied(&compiled(), "abc", &folders, before()).unwrap();
    assert!(place.path().starts_with(&folders[1]), "{place:?}");

    let texts = copied(&compiled(), "abc", &folders[..1], before()).unwrap_err();
    let refusal = not_linked(&LibraryRequest::new("acme.copy", "/acme.so"), &texts).to_string();
    for part in ["failed to map segment", "everybody can write to", "set `TMPDIR`"] {
        assert!(refusal.contains(part), "{part} is not in {refusal}");
    }

    // What is wrong with the library itself is not said once for each place.
    let texts = copied(b"no library", "abc", &folders, before()).unwrap_err();
    assert_eq!(texts.len(), 1, "{texts:?}");
}
