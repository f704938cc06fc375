//! From a request for a library in a process of its own to descriptors.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};

use larder_core::library::LibraryRequest;
use larder_core::telemetry::{PLUGIN_LOADED, TARGET};
use larder_core::{Descriptor, SystemClock};

use super::supervisor::Supervisor;
use super::wire::Load;
use super::{find, source};
use crate::loader::{self, Loader};
use crate::refusal::Answer;

/// A library in a process, by its SHA-256 and its runner. Its description stays for ever.
struct Isolated {
    ids: Vec<String>,
    descriptors: Vec<Descriptor>,
}

type ByBytes = HashMap<(String, PathBuf), Isolated>;

static ISOLATED: LazyLock<Mutex<ByBytes>> = LazyLock::new(Mutex::default);

/// Checks a library here, has a runner load it, and says what it has.
///
/// What was checked is what is loaded, now and whenever the process is started again: the runner
/// is told the SHA-256.
pub(crate) fn load(
    loader: &Loader,
    request: &LibraryRequest,
    runner: Option<&Path>,
) -> Answer<Vec<Descriptor>> {
    let examined = loader.examine(request)?;
    let runner = find::find(runner)?;
    // Held until it is there, so that nobody starts the same runner twice.
    let mut isolated = ISOLATED.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (examined.sha256, runner);
    if !isolated.contains_key(&key) {
        let started = start(request, &key)?;
        isolated.insert(key.clone(), started);
    }
    let found = &isolated[&key];
    loader::provides(request, &found.ids)?;
    Ok(found.descriptors.clone())
}

fn start(request: &LibraryRequest, (sha256, runner): &(String, PathBuf)) -> Answer<Isolated> {
    let LibraryRequest { name, path, .. } = request;
    let load = Load {
        name: name.clone(),
        path: path.to_string_lossy().into_owned(),
        sha256: sha256.clone(),
    };
    let supervisor = Supervisor::new(runner.clone(), load, SystemClock::shared());
    // It stays for ever, like the descriptors that refer to it.
    let supervisor: &'static Supervisor = Box::leak(Box::new(supervisor));
    let description = supervisor.describe()?;
    let components = &description.components;
    tracing::info!(
        target: TARGET,
        plugin = name,
        version = description.version,
        path = %path.display(),
        sha256,
        components = components.len(),
        "{PLUGIN_LOADED}"
    );
    let ids = components.iter().map(|one| format!("{}:{}", one.slot, one.kind)).collect();
    let descriptors = components
        .iter()
        .filter_map(|component| source::descriptor(supervisor, component, &description.version));
    Ok(Isolated { ids, descriptors: descriptors.collect() })
}
