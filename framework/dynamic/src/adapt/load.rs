//! [`Loader`] as the framework uses it: from a request to descriptors.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use larder_core::Descriptor;
#[cfg(unix)]
use larder_core::library::Isolation;
use larder_core::library::{LibraryLoader, LibraryRequest, Refusal};

use super::descriptor;
use crate::host;
use crate::loader::Loader;

/// What libraries register, by their SHA-256: a description stays for ever, so one is enough.
type Described = HashMap<String, Vec<Descriptor>>;

static DESCRIBED: LazyLock<Mutex<Described>> = LazyLock::new(Mutex::default);

impl Loader {
    /// A loader that offers the [host](crate::host) of this process.
    #[must_use]
    pub fn new() -> Self {
        Self::with_host(host::table())
    }
}

impl Default for Loader {
    fn default() -> Self {
        Self::new()
    }
}

impl LibraryLoader for Loader {
    fn load(&self, request: &LibraryRequest) -> Result<Vec<Descriptor>, Box<Refusal>> {
        #[cfg(unix)]
        if let Isolation::Process { runner } = &request.isolation {
            return crate::process::load(self, request, runner.as_deref());
        }
        let library = self.open(request)?;
        let mut described = DESCRIBED.lock().unwrap_or_else(PoisonError::into_inner);
        let descriptors = described.entry(library.sha256.clone()).or_insert_with(|| {
            let components = library.components.iter();
            components.filter_map(|component| descriptor(component, library.version)).collect()
        });
        Ok(descriptors.clone())
    }
}
