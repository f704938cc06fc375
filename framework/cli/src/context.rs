//! [`Context`], what every command works with, and where the config comes from.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use larder::config::check::{Checked, check, libraries};
use larder::config::loader::{Loader, Resolved};
use larder::config::model::Config;
use larder::{CacheManager, Registry};
use tracing::instrument::WithSubscriber as _;
use tracing::subscriber::NoSubscriber;

use crate::args::Common;
use crate::exit::{Exit, Failure};
use crate::output::Output;

/// The variable that names the config file.
const CONFIG_VARIABLE: &str = "LARDER_CONFIG";

/// Where the config is looked for when nobody says.
const DEFAULT_FILES: [&str; 3] = ["caches.toml", "caches.yaml", "caches.yml"];

/// What every command works with.
pub(crate) struct Context<'a> {
    pub(crate) common: Common,
    pub(crate) output: &'a mut Output,
    pub(crate) registry: Registry,
    variables: BTreeMap<String, String>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        common: Common,
        variables: BTreeMap<String, String>,
        output: &'a mut Output,
    ) -> Self {
        Self { common, output, registry: larder::registry(), variables }
    }

    /// The config file, which is there and can be read.
    pub(crate) fn file(&self) -> Result<PathBuf, Failure> {
        let variable = self.variables.get(CONFIG_VARIABLE).filter(|name| !name.is_empty());
        let named = self.common.config.clone().or_else(|| variable.map(PathBuf::from));
        let found = || DEFAULT_FILES.iter().map(PathBuf::from).find(|file| file.exists());
        let Some(file) = named.or_else(found) else {
            let names = DEFAULT_FILES.map(|name| format!("`{name}`")).join(", ");
            return Err(Failure::new(
                Exit::NoInput,
                format!(
                    "there is no config: none of {names} is in this directory; \
                     hint: name a file with `--config`, or set `{CONFIG_VARIABLE}`"
                ),
            ));
        };
        readable(&file)?;
        Ok(file)
    }

    /// A config with all layers applied.
    pub(crate) fn resolve(&self, file: &Path, profile: Option<&str>) -> Resolved {
        let loader = Loader::new()
            .file(file)
            .environment(self.variables.clone())
            .profile(profile.map(str::to_owned));
        let overrides = self.common.overrides.iter();
        overrides.fold(loader, |loader, argument| loader.set(argument)).resolve()
    }

    /// What the checks say to a resolved config, on this machine.
    pub(crate) fn check(&self, resolved: &Resolved) -> Checked {
        check(resolved, &self.registry, &larder::environment())
    }

    /// The config that the arguments and the environment choose.
    pub(crate) fn resolved(&self) -> Result<(PathBuf, Resolved), Failure> {
        let file = self.file()?;
        let resolved = self.resolve(&file, self.common.profile.as_deref());
        Ok((file, resolved))
    }

    /// The plugins of this command with those of the libraries that the config names, if there is
    /// a config, and whether all of them could be loaded; what was wrong is said on stderr.
    pub(crate) fn plugins(&mut self) -> Result<(Registry, bool), Failure> {
        let resolved = match self.resolved() {
            Ok((_, resolved)) if !libraries(&resolved).is_empty() => resolved,
            Err(failure) if self.common.config.is_some() => return Err(failure),
            Ok(_) | Err(_) => return Ok((self.registry.clone(), true)),
        };
        let checked = self.check(&resolved);
        let options = self.output.render_options();
        let refused = checked.report.diagnostics().iter();
        let refused: Vec<_> = refused.filter(|one| one.code.starts_with("C06")).collect();
        for diagnostic in &refused {
            self.output.note(&checked.report.render_one(diagnostic, options));
        }
        let are_all_loaded = refused.is_empty();
        Ok((checked.registry, are_all_loaded))
    }

    /// The config that the arguments and the environment choose, without errors, and the plugins
    /// it was checked against: those of its libraries as well.
    pub(crate) fn config(&self) -> Result<(PathBuf, Config, Registry), Failure> {
        let (file, resolved) = self.resolved()?;
        let mut checked = self.check(&resolved);
        let registry = std::mem::take(&mut checked.registry);
        match checked.into_config() {
            Ok((config, _)) => Ok((file, config, registry)),
            Err(error) => Err(Failure::Config(Box::new(error.report().clone()))),
        }
    }

    /// Some caches of a config file, built and started. The others may be broken.
    pub(crate) async fn caches(
        &self,
        file: &Path,
        names: &[String],
    ) -> Result<CacheManager, Failure> {
        let mut builder = CacheManager::builder()
            .file(file)
            .only(names)
            .without_persist()
            .environment(self.variables.clone())
            .registry(self.registry.clone());
        if let Some(profile) = &self.common.profile {
            builder = builder.profile(profile);
        }
        let overrides = self.common.overrides.iter();
        let builder = overrides.fold(builder, |builder, argument| builder.set(argument));
        let building = builder.build();
        // What is doubtful about the config is for `larder check` to say, not for every command.
        let built = match self.common.verbose {
            0 => building.with_subscriber(NoSubscriber::new()).await,
            _ => building.await,
        };
        Ok(built?)
    }
}

/// Whether a config file can be read, before messages about its content.
pub(crate) fn readable(file: &Path) -> Result<(), Failure> {
    match File::open(file).and_then(|file| file.metadata()) {
        Ok(found) if found.is_dir() => {
            Err(Failure::reading(file, &io::ErrorKind::IsADirectory.into()))
        }
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let message = format!(
                "there is no `{}`; hint: check the path, or name another file with `--config`",
                file.display()
            );
            Err(Failure::new(Exit::NoInput, message))
        }
        Err(error) => Err(Failure::reading(file, &error)),
    }
}
