//! Loads the very bytes that were checked, and finds the entry function in them.
//!
//! A path would be looked up again by the system, which may then find another file. So the bytes
//! go to a file in memory that is sealed against changes and is loaded by its number; where the
//! system does not run such files, to a private directory below one of several. The number is
//! never used again: the system remembers libraries by the name that they were loaded with, and
//! would take the next file of that name for this one.

use std::ffi::{CStr, OsStr, c_void};
use std::mem::ManuallyDrop;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use larder_abi::{ENTRY_SYMBOL, EntryV1, STAMP_SYMBOL, Stamp};
use larder_core::library::{Fault, LibraryRequest, Refusal};
use libloading::os::unix::Library;

use self::place::Place;
use crate::check::Checked;
use crate::refusal::{Answer, refused, shown_path};

mod hints;
mod place;
#[cfg(test)]
mod tests;

/// All symbols are looked up at once, so that a missing one is found here and not in the middle of
/// a call; they are not offered to other libraries; and the library is never unloaded.
const FLAGS: libc::c_int = libc::RTLD_NOW | libc::RTLD_LOCAL | libc::RTLD_NODELETE;

/// Loads checked bytes and returns their entry function. The constructors of the library run here.
pub(crate) fn open(request: &LibraryRequest, bytes: &[u8], checked: &Checked) -> Answer<EntryV1> {
    if cfg!(all(target_env = "musl", target_feature = "crt-static")) {
        return Err(unsupported(request));
    }
    let in_memory = Place::in_memory(bytes, &request.name).map_err(|error| error.to_string());
    let loaded = match in_memory.and_then(loaded) {
        Err(text) if hints::is_about_the_place(&text) => {
            copied(bytes, &checked.sha256, &place::folders(), text)
        }
        loaded => loaded.map_err(|text| vec![text]),
    };
    let (place, library) = loaded.map_err(|texts| not_linked(request, &texts))?;
    let path = place.keep();
    entry_of(request, &library, &path, &checked.stamp)
}

type Loaded = (Place, ManuallyDrop<Library>);

fn loaded(place: Place) -> Result<Loaded, String> {
    load(&place).map(|library| (place, library))
}

/// Loads a copy from the first of these directories that it can be loaded from. What was said
/// about the place before comes first in what is said if there is none.
fn copied(
    bytes: &[u8],
    sha256: &str,
    folders: &[PathBuf],
    before: String,
) -> Result<Loaded, Vec<String>> {
    let mut texts = vec![before];
    for folder in folders {
        let text = match Place::copied(bytes, sha256, folder) {
            Err(text) => text,
            Ok(place) => match loaded(place) {
                Ok(loaded) => return Ok(loaded),
                // Another place does not help.
                Err(text) if !hints::is_about_the_place(&text) => return Err(vec![text]),
                Err(text) => format!("`{}`: {text}", shown_path(folder)),
            },
        };
        texts.push(text);
    }
    Err(texts)
}

/// Loads a file. The error is the text of the system, with the name of the file taken out.
fn load(place: &Place) -> Result<ManuallyDrop<Library>, String> {
    // SAFETY: the constructors of the library run. That these bytes may run was decided before,
    // by who wrote the config; that they do what the header says is up to their author.
    let loaded = unsafe { Library::open(Some(place.path()), FLAGS) };
    loaded.map(ManuallyDrop::new).map_err(|error| {
        let text = match std::error::Error::source(&error) {
            Some(source) => source.to_string(),
            None => error.to_string(),
        };
        text.replace(&format!("{}: ", place.path().display()), "")
    })
}

fn entry_of(
    request: &LibraryRequest,
    library: &Library,
    path: &Path,
    stamp: &Stamp,
) -> Answer<EntryV1> {
    let find = |symbol: &str| {
        let address = address_of(library, symbol);
        let address = address.filter(|address| is_of(path, *address));
        address.ok_or_else(|| not_exported(request, symbol))
    };
    let entry = find(ENTRY_SYMBOL)?;
    let in_memory: *const Stamp = find(STAMP_SYMBOL)?.cast();
    // SAFETY: the address is in this library, where the file has the stamp: `check::symbols` has
    // compared place and size. No reference is made, so alignment does not matter.
    let in_memory = unsafe { in_memory.read_unaligned() };
    if in_memory != *stamp {
        return Err(not_exported(request, STAMP_SYMBOL));
    }
    // SAFETY: the file says that this is a function, and the header of the major version in its
    // name says of which type.
    Ok(unsafe { std::mem::transmute::<*mut c_void, EntryV1>(entry) })
}

fn address_of(library: &Library, symbol: &str) -> Option<*mut c_void> {
    // SAFETY: only the address is taken, which has no type yet.
    let found = unsafe { library.get::<*mut c_void>(symbol) }.ok()?;
    let address = found.as_raw_ptr();
    (!address.is_null()).then_some(address)
}

/// Whether an address lies in the library that was loaded from a path, and not in one it needs.
fn is_of(path: &Path, address: *mut c_void) -> bool {
    let mut found = std::mem::MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: `found` has room for the answer; any address may be asked about.
    if unsafe { libc::dladdr(address, found.as_mut_ptr()) } == 0 {
        return false;
    }
    // SAFETY: zero is valid for all fields, and `dladdr` filled in the rest.
    let found = unsafe { found.assume_init() };
    if found.dli_fname.is_null() {
        return false;
    }
    // SAFETY: the name that the library was loaded with, which stays as long as the library.
    let name = unsafe { CStr::from_ptr(found.dli_fname) };
    OsStr::from_bytes(name.to_bytes()) == path.as_os_str()
}

fn unsupported(request: &LibraryRequest) -> Box<Refusal> {
    let what = "cannot be loaded: this program is linked statically with musl";
    refused(Fault::Unsupported, &request.name, &request.path, what, "cannot be loaded here")
        .help("build the program with `-C target-feature=-crt-static`, or link the plugin in")
        .into()
}

fn not_linked(request: &LibraryRequest, texts: &[String]) -> Box<Refusal> {
    let what = "could not be loaded by the system";
    let mut refusal =
        refused(Fault::Link, &request.name, &request.path, what, "could not be loaded");
    for text in texts {
        refusal = refusal.note(format!("the system says: {}", crate::refusal::shown(text)));
    }
    let hint = match texts {
        [only] => hints::hint(only),
        _ => hints::NO_PLACE,
    };
    refusal.help(hint).into()
}

fn not_exported(request: &LibraryRequest, symbol: &str) -> Box<Refusal> {
    let what = "does not export what a plugin exports";
    let label = format!("`{symbol}` is not its own");
    refused(Fault::Symbols, &request.name, &request.path, what, label.clone())
        .note(label)
        .help("another library that is loaded has a symbol of this name: link the plugin anew")
        .into()
}
