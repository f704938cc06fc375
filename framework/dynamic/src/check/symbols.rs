//! Whether the file itself exports the entry function and the stamp.
//!
//! A look-up in a loaded library also finds symbols of libraries that it needs, and data where a
//! function should be. The table in the file tells before anything is loaded.

use larder_abi::{ENTRY_SYMBOL, STAMP_SYMBOL, Stamp};
use larder_core::library::{Fault, LibraryRequest, Refusal};
use object::SymbolKind;
use object::read::{BinaryFormat, File, Object as _, ObjectSegment as _, ObjectSymbol as _};

use crate::refusal::{Answer, refused};

pub(super) fn are_exported(request: &LibraryRequest, bytes: &[u8], stamp: usize) -> Answer {
    let Ok(file) = File::parse(bytes) else {
        return Err(refuse(request, "no symbol can be read"));
    };
    // Other formats have other tables; there, the look-up after loading has to do.
    if file.format() != BinaryFormat::Elf {
        return Ok(());
    }
    let find = |name: &str| {
        let mut symbols = file.dynamic_symbols();
        symbols.find(|symbol| symbol.is_definition() && symbol.name() == Ok(name))
    };
    match find(ENTRY_SYMBOL) {
        None => return Err(refuse(request, &format!("it has no `{ENTRY_SYMBOL}`"))),
        Some(entry) if entry.kind() != SymbolKind::Text => {
            return Err(refuse(request, &format!("`{ENTRY_SYMBOL}` is no function")));
        }
        Some(_) => {}
    }
    let Some(symbol) = find(STAMP_SYMBOL) else {
        return Err(refuse(request, &format!("it has no `{STAMP_SYMBOL}`")));
    };
    let is_there = offset_of(&file, symbol.address()) == Some(stamp as u64);
    if is_there && symbol.size() == size_of::<Stamp>() as u64 {
        return Ok(());
    }
    Err(refuse(request, &format!("`{STAMP_SYMBOL}` is not the stamp that stands in the file")))
}

/// Where in the file an address comes from.
fn offset_of(file: &File<'_>, address: u64) -> Option<u64> {
    file.segments().find_map(|segment| {
        let (start, size) = segment.file_range();
        let within = address.checked_sub(segment.address()).filter(|within| *within < size)?;
        start.checked_add(within)
    })
}

fn refuse(request: &LibraryRequest, found: &str) -> Box<Refusal> {
    let LibraryRequest { name, path, .. } = request;
    let what = "does not export what a plugin exports";
    refused(Fault::Symbols, name, path, what, found)
        .note(format!("expected the function `{ENTRY_SYMBOL}` and the constant `{STAMP_SYMBOL}`"))
        .help(
            "link the library so that both are exported: no version script and no \
             `-fvisibility` that hides them",
        )
        .into()
}
