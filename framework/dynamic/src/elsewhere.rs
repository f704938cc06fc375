//! Systems whose files and libraries this release does not know how to check: none is loaded.

use larder_core::library::{Fault, LibraryRequest, Refusal};

use crate::refusal::refused;

fn unsupported(request: &LibraryRequest) -> Box<Refusal> {
    let what = format!("cannot be loaded: libraries are not loaded on {}", std::env::consts::OS);
    refused(Fault::Unsupported, &request.name, &request.path, what, "cannot be loaded here")
        .help("link the plugin into the program")
        .into()
}

/// In place of the checks of who can change a file.
pub(crate) mod trust {
    use std::path::{Path, PathBuf};

    use larder_core::library::LibraryRequest;

    use crate::check;
    use crate::refusal::Answer;

    pub(crate) fn by_name(path: &Path) -> PathBuf {
        path.to_owned()
    }

    pub(crate) fn read(request: &LibraryRequest) -> Answer<check::Read> {
        Err(super::unsupported(request))
    }
}

/// In place of what tells libraries of the end.
pub(crate) mod ending {
    use crate::library::Library;

    pub(crate) const fn register(_: &Library) {}
}

/// In place of the loader of the system.
pub(crate) mod open {
    use larder_abi::EntryV1;
    use larder_core::library::LibraryRequest;

    use crate::check::Checked;
    use crate::refusal::Answer;

    pub(crate) fn open(request: &LibraryRequest, _: &[u8], _: &Checked) -> Answer<EntryV1> {
        Err(super::unsupported(request))
    }
}
