//! Where the runner is, and whether it may be run.
//!
//! It gets all that the library may see, so it is looked at like one: it must be a file that
//! nobody but root and the user of this process can change, or put another one in the place of.

use std::ffi::OsString;
use std::fs::Metadata;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use larder_core::library::{Fault, Refusal};
use rustix::process::geteuid;

use crate::refusal::{Answer, shown_path};

/// Its name beside the program.
const NAME: &str = "larder-runner";

/// Names it, if the config does not.
const VARIABLE: &str = "LARDER_RUNNER";

/// Write permission of the group and of all others.
const OTHERS_WRITE: u32 = 0o022;

/// Only its owner may rename or remove an entry of the folder.
const STICKY: u32 = 0o1000;

/// The runner: the one that the config names, that the variable names, or that is beside the
/// program.
pub(super) fn find(configured: Option<&Path>) -> Answer<PathBuf> {
    let program = std::env::current_exe().ok();
    let named = std::env::var_os(VARIABLE).filter(|path| !path.is_empty());
    let path = candidate(configured, named, program.as_deref())?;
    let real = path.canonicalize().map_err(|error| {
        let reason = match error.kind() {
            std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
            _ => error.to_string(),
        };
        unusable(&path, &format!("cannot be found: {reason}"))
    })?;
    is_ours(&real)?;
    Ok(real)
}

fn candidate(
    configured: Option<&Path>,
    named: Option<OsString>,
    program: Option<&Path>,
) -> Answer<PathBuf> {
    let beside = || program.and_then(Path::parent).map(|folder| folder.join(NAME));
    let found = configured.map(Path::to_owned).or_else(|| named.map(PathBuf::from));
    let Some(path) = found.or_else(beside) else {
        return Err(unusable(Path::new(NAME), "cannot be found: this program has no path"));
    };
    // A name alone would be looked for in places that others may fill.
    if path.is_relative() {
        return Err(unusable(&path, "is not named by an absolute path"));
    }
    Ok(path)
}

fn is_ours(path: &Path) -> Answer {
    let found = look(path, path)?;
    if !found.is_file() || found.permissions().mode() & 0o111 == 0 {
        return Err(unusable(path, "is no program"));
    }
    belongs_to_us(path, path, &found, false)?;
    for (index, folder) in path.ancestors().skip(1).enumerate() {
        belongs_to_us(path, folder, &look(path, folder)?, index > 0)?;
    }
    Ok(())
}

fn look(runner: &Path, path: &Path) -> Answer<Metadata> {
    path.metadata().map_err(|error| unusable(runner, &format!("cannot be looked at: {error}")))
}

fn belongs_to_us(runner: &Path, path: &Path, found: &Metadata, is_further_up: bool) -> Answer {
    let is_ours = found.uid() == 0 || found.uid() == geteuid().as_raw();
    let is_guarded = is_further_up && found.mode() & STICKY != 0;
    if is_ours && (found.mode() & OTHERS_WRITE == 0 || is_guarded) {
        return Ok(());
    }
    let what = format!("can be changed by others, because of `{}`", shown_path(path));
    Err(unusable(runner, &what))
}

/// The runner cannot be used.
pub(super) fn unusable(path: &Path, what: &str) -> Box<Refusal> {
    let message = format!("the runner `{}` {what}", shown_path(path));
    let label = "needs `larder-runner`, which cannot be used";
    Refusal::new(Fault::Runner, message, label)
        .help(format!(
            "install `larder-runner` of the release of this program beside it \
             (`cargo install larder-runner`), or name it with `runner` or `{VARIABLE}`"
        ))
        .into()
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use super::*;

    #[test]
    fn the_config_goes_before_the_variable_and_the_variable_before_the_neighbour() {
        let (configured, named) = (Path::new("/a/r"), Some(OsString::from("/b/r")));
        let program = Some(Path::new("/c/program"));
        let found = |configured, named| candidate(configured, named, program).unwrap();
        assert_eq!(found(Some(configured), named.clone()), configured);
        assert_eq!(found(None, named), Path::new("/b/r"));
        assert_eq!(found(None, None), Path::new("/c/larder-runner"));
        let relative = candidate(Some(Path::new("r")), None, None).unwrap_err();
        assert!(relative.message.contains("absolute"), "{relative}");
    }

    #[test]
    fn a_runner_that_others_can_change_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().canonicalize().unwrap().join(NAME);
        let missing = find(Some(&path)).unwrap_err();
        assert!(missing.message.contains("there is no such file"), "{missing}");
        fs::write(&path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert!(find(Some(&path)).unwrap_err().message.contains("is no program"));
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        assert_eq!(find(Some(&path)).unwrap(), path);
        fs::set_permissions(&path, Permissions::from_mode(0o775)).unwrap();
        let refusal = find(Some(&path)).unwrap_err();
        assert_eq!(refusal.fault, Fault::Runner);
        assert!(refusal.message.contains("can be changed by others"), "{refusal}");
        assert!(refusal.to_string().contains("LARDER_RUNNER"), "{refusal}");
    }
}
