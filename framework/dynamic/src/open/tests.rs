use std::process::Command;

use larder_abi::Stamp;
use larder_abi::descriptor::unwinds;
use larder_core::library::{Fault, LibraryRequest};

use super::place::Place;
use super::{entry_of, load};

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
    let place = Place::copied(&compiled()).unwrap();
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
