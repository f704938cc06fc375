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

/// A library in a process. Its description stays for ever.
struct Isolated {
    ids: Vec<String>,
    descriptors: Vec<Descriptor>,
}

/// By what is loaded, under which name and from where, and by the runner: the process is started
/// again from there.
type ByLoad = HashMap<(Load, PathBuf), Isolated>;

static ISOLATED: LazyLock<Mutex<ByLoad>> = LazyLock::new(Mutex::default);

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
    let LibraryRequest { name, path, .. } = request;
    let (name, path) = (name.clone(), path.to_string_lossy().into_owned());
    let key = (Load { name, path, sha256: examined.sha256 }, runner);
    if !isolated.contains_key(&key) {
        let started = start(&key)?;
        isolated.insert(key.clone(), started);
    }
    let found = &isolated[&key];
    loader::provides(request, &found.ids)?;
    Ok(found.descriptors.clone())
}

fn start((load, runner): &(Load, PathBuf)) -> Answer<Isolated> {
    let supervisor = Supervisor::new(runner.clone(), load.clone(), SystemClock::shared());
    // It stays for ever, like the descriptors that refer to it.
    let supervisor: &'static Supervisor = Box::leak(Box::new(supervisor));
    let description = supervisor.describe()?;
    let components = &description.components;
    tracing::info!(
        target: TARGET,
        plugin = load.name,
        version = description.version,
        path = load.path,
        sha256 = load.sha256,
        components = components.len(),
        "{PLUGIN_LOADED}"
    );
    let ids = components.iter().map(|one| format!("{}:{}", one.slot, one.kind)).collect();
    let descriptors = components
        .iter()
        .filter_map(|component| source::descriptor(supervisor, component, &description.version));
    Ok(Isolated { ids, descriptors: descriptors.collect() })
}
