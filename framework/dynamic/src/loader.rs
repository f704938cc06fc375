//! [`Loader`]: the chain of all checks, and the libraries of this process.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use larder_abi::{Host, Stamp};
use larder_core::library::{Fault, LibraryRequest, Refusal, Trust};
use larder_core::telemetry;

use crate::check::{self, Checked};
use crate::library::describe::describe;
use crate::library::{Component, Library, panics};
use crate::refusal::{Answer, refused};
use crate::{ending, open, trust};

/// Checks libraries and loads them.
///
/// The same bytes are loaded once in a process, whoever asks for them and under whatever path; and
/// they stay. Other bytes of the same name are loaded beside them: what was built from a library
/// belongs to that one until it is dropped. While a library starts, nobody else can load one.
#[derive(Clone, Debug)]
pub struct Loader {
    host: Exported,
    folders: Option<Vec<PathBuf>>,
}

/// The table of the host, which is for all threads.
#[derive(Clone, Copy, Debug)]
struct Exported(&'static Host);

// SAFETY: its one pointer that is no function is to a number that any thread may read, as the
// header says, and all its functions may be called from any thread.
unsafe impl Send for Exported {}
// SAFETY: as above.
unsafe impl Sync for Exported {}

/// What is known of a library whose code did not run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Examined {
    /// The SHA-256 of its bytes, in hexadecimal digits.
    pub sha256: String,
    /// How many bytes it has.
    pub size: u64,
    /// The stamp in its file.
    pub stamp: Stamp,
    /// The key that signed it, if the request asks for a signature.
    pub signed_by: Option<String>,
}

impl Examined {
    /// What the stamp says that it was built for.
    #[must_use]
    pub fn target(&self) -> &str {
        check::target_of(&self.stamp).unwrap_or_default()
    }

    /// What its panics do, in words.
    #[must_use]
    pub const fn panics(&self) -> &'static str {
        panics(&self.stamp)
    }
}

impl Loader {
    /// A loader that offers this to libraries, and takes them from any directory that passes the
    /// checks.
    #[must_use]
    pub const fn with_host(host: &'static Host) -> Self {
        Self { host: Exported(host), folders: None }
    }

    /// Takes libraries only from below these directories, whatever the config says. With none of
    /// them it takes no library at all.
    #[must_use]
    pub fn only_below<I, P>(mut self, folders: I) -> Self
    where
        I: IntoIterator<Item = P>,
        P: Into<PathBuf>,
    {
        self.folders = Some(folders.into_iter().map(Into::into).collect());
        self
    }

    /// Does all checks for which no code of the library has to run.
    ///
    /// # Errors
    ///
    /// The first check that the library did not pass.
    pub fn examine(&self, request: &LibraryRequest) -> Answer<Examined> {
        let (bytes, checked) = self.checked(request)?;
        let Checked { sha256, stamp, signed_by } = checked;
        Ok(Examined { sha256, size: bytes.len() as u64, stamp, signed_by })
    }

    /// A request for a file whose name is in its stamp, trusted because of its path.
    ///
    /// # Errors
    ///
    /// The first check that the library did not pass.
    pub fn identify(&self, path: &Path) -> Answer<LibraryRequest> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let nameless = LibraryRequest::new(name, path).trust(Trust::Path);
        self.is_allowed(&nameless)?;
        let read = trust::read(&nameless)?;
        let name = check::name(&nameless, &read.library)?;
        Ok(LibraryRequest::new(name, path).trust(Trust::Path))
    }

    /// Checks a library and loads it, unless these bytes are loaded already.
    ///
    /// # Errors
    ///
    /// The first check that the library did not pass. If that is one of what it says about itself,
    /// it stays in memory, and is never used.
    pub fn open(&self, request: &LibraryRequest) -> Answer<&'static Library> {
        let (bytes, checked) = self.checked(request)?;
        // Held until it is there, so that the same bytes do not start twice.
        let mut loaded = loaded();
        let known = loaded.libraries.get(&checked.sha256);
        let library = match known {
            Some(known) => known.clone()?,
            None => {
                let sha256 = checked.sha256.clone();
                let (opened, size) = (open::open(request, &bytes, &checked), bytes.len() as u64);
                if let Err(refusal) = &opened
                    && matches!(refusal.fault, Fault::Link | Fault::Unsupported)
                {
                    // It is not in memory, and may be taken when the cause is mended.
                    return Err(refusal.clone());
                }
                let started = opened
                    .and_then(|entry| describe(request, checked, size, entry, self.host.0))
                    .and_then(|library| loaded.admit(request, library));
                loaded.libraries.insert(sha256, started.clone());
                started?
            }
        };
        drop(loaded);
        let found: Vec<String> = library.components.iter().map(Component::id).collect();
        provides(request, &found)?;
        Ok(library)
    }

    fn checked(&self, request: &LibraryRequest) -> Answer<(Vec<u8>, Checked)> {
        self.is_allowed(request)?;
        let read = trust::read(request)?;
        let checked = check::bytes(request, &read)?;
        Ok((read.library, checked))
    }

    fn is_allowed(&self, request: &LibraryRequest) -> Answer {
        let LibraryRequest { name, path, .. } = request;
        let Some(folders) = &self.folders else { return Ok(()) };
        let path_by_name = trust::by_name(path);
        if folders.iter().any(|folder| path_by_name.starts_with(folder)) {
            return Ok(());
        }
        let what = "is in a directory from which this program loads none";
        let refusal = refused(Fault::Outside, name, path, what, "not in an allowed directory");
        let folders: Vec<String> =
            folders.iter().map(|folder| format!("`{}`", folder.display())).collect();
        Err(match folders.is_empty() {
            true => refusal
                .note("this program loads no libraries at all")
                .help("take the section out, or ask who wrote the program"),
            false => refusal
                .note(format!("allowed: {}", folders.join(", ")))
                .help("put the library there"),
        }
        .into())
    }
}

/// The libraries of this process.
#[derive(Default)]
struct Loaded {
    /// By SHA-256. One that was refused after it was loaded is not started again.
    libraries: HashMap<String, Answer<&'static Library>>,
    /// Which library had a component last, by `slot:kind`.
    components: HashMap<String, &'static Library>,
}

fn loaded() -> MutexGuard<'static, Loaded> {
    static LOADED: LazyLock<Mutex<Loaded>> = LazyLock::new(Mutex::default);
    // Nothing is left half done when a thread panics with the lock.
    LOADED.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Loaded {
    /// Takes a library in, unless one of another name has a component of the same kind. One of the
    /// same name is another version of it, and takes its place for what is built from now on.
    fn admit(&mut self, request: &LibraryRequest, library: Library) -> Answer<&'static Library> {
        for component in &library.components {
            if let Some(other) = self.components.get(&component.id())
                && other.name != library.name
            {
                return Err(taken(request, component, other));
            }
        }
        // It stays for ever, like the code that it points to.
        let library: &'static Library = Box::leak(Box::new(library));
        ending::register(library);
        for component in &library.components {
            self.components.insert(component.id(), library);
        }
        tracing::info!(
            target: telemetry::TARGET,
            plugin = library.name,
            version = library.version,
            path = %library.path.display(),
            sha256 = library.sha256,
            components = library.components.len(),
            "{}", telemetry::PLUGIN_LOADED
        );
        self.say_replaced(library);
        Ok(library)
    }

    /// Nothing is ever unloaded, so somebody has to know how much has come together.
    fn say_replaced(&self, library: &'static Library) {
        let loaded = self.libraries.values().filter_map(|loaded| loaded.as_ref().ok());
        let before: Vec<_> = loaded.filter(|other| other.name == library.name).collect();
        if before.is_empty() {
            return;
        }
        let bytes: u64 = before.iter().map(|other| other.size).sum();
        let instances: usize = before.iter().map(|other| other.instances()).sum();
        tracing::info!(
            target: telemetry::TARGET,
            plugin = library.name,
            version = library.version,
            before = before.len(),
            bytes,
            instances,
            "{}", telemetry::PLUGIN_REPLACED
        );
    }
}

fn taken(request: &LibraryRequest, component: &Component, other: &Library) -> Box<Refusal> {
    let LibraryRequest { name, path, .. } = request;
    let id = component.id();
    let what = format!("brings `{id}`, which another library brought to this process");
    refused(Fault::Taken, name, path, what, format!("brings `{id}` once more"))
        .note(format!("the other one is `{}` {}", other.path.display(), other.version))
        .help(
            "libraries stay, and only one of the same name takes the place of another: give this \
             one the same name, or restart the program to use it instead",
        )
        .into()
}

/// Whether a library brings what the config says, and nothing else.
pub(crate) fn provides(request: &LibraryRequest, found: &[String]) -> Answer {
    let LibraryRequest { name, path, provides: Some(wanted), .. } = request else {
        return Ok(());
    };
    let list = |ids: &[String]| match ids {
        [] => "nothing".to_owned(),
        ids => ids.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", "),
    };
    let (what, label) = if let Some(extra) = found.iter().find(|id| !wanted.contains(id)) {
        (format!("brings `{extra}`, which `provides` does not list"), "does not list all")
    } else if let Some(missing) = wanted.iter().find(|id| !found.contains(id)) {
        (format!("does not bring `{missing}`, which `provides` lists"), "lists what is not there")
    } else {
        return Ok(());
    };
    let quoted: Vec<String> = found.iter().map(|id| format!("\"{id}\"")).collect();
    Err(refused(Fault::Provides, name, path, what, label)
        .note(format!("it brings {}", list(found)))
        .help(format!("if all of it is wanted, write `provides = [{}]`", quoted.join(", ")))
        .into())
}
