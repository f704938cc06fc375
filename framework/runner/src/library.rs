//! [`Library`]: the one that is loaded, what it is, and its instances.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use larder_core::library::{LibraryLoader as _, LibraryRequest, Refusal, Trust};
use larder_core::plugin::Factory;
use larder_core::{BuildContext, CacheError, Clock, Descriptor, ErrorKind, KeyPath, Result};
use larder_dynamic::process::CallClock;
use larder_dynamic::process::wire::{Described, Description, Load, Make, Question, Refused, Reply};
use larder_dynamic::{Component, Loader, Table};
use serde_json::Value;

use crate::part::Part;

/// The library, once it is loaded.
#[derive(Default)]
pub(crate) struct Library {
    descriptors: OnceLock<Vec<Descriptor>>,
    instances: Mutex<HashMap<u64, Instance>>,
}

/// An instance of a component, and the time of whoever uses it: two caches may disagree.
#[derive(Clone)]
pub(crate) struct Instance {
    pub(crate) part: Part,
    pub(crate) clock: Arc<CallClock>,
}

/// When something was asked, by the clock of the program, and how long that waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) now_us: i64,
    pub(crate) within: Duration,
}

impl Library {
    fn instances(&self) -> MutexGuard<'_, HashMap<u64, Instance>> {
        self.instances.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn instance(&self, number: u64) -> Option<Instance> {
        self.instances().get(&number).cloned()
    }

    pub(crate) fn is_unused(&self) -> bool {
        self.instances().is_empty()
    }

    /// Answers a question about a life; `None` if it has no answer.
    pub(crate) async fn ask(&self, asked: Asked, question: Question) -> Option<Result<Reply>> {
        Some(match question {
            Question::Load(load) => self.load(load).await,
            Question::Check(slot, kind, options) => {
                let checked = self.check(&slot, &kind, &options);
                tokio::time::timeout(asked.within, checked).await.unwrap_or_else(|_| {
                    let message = "the plugin did not check its options in time";
                    Err(CacheError::new(ErrorKind::Timeout, message))
                })
            }
            Question::Make(make) => self.make(asked.now_us, make).await,
            Question::End(number) => {
                let ended = self.instances().remove(&number);
                // To end may block.
                drop(tokio::task::spawn_blocking(move || drop(ended)).await);
                return None;
            }
            Question::Call(..) | Question::Cancel(_) => return None,
        })
    }

    async fn load(&self, load: Load) -> Result<Reply> {
        let loaded = tokio::task::spawn_blocking(move || open(&load)).await;
        Ok(match loaded.map_err(|_| plugin_panicked())? {
            Ok((description, descriptors)) => {
                self.descriptors.get_or_init(|| descriptors);
                Reply::Description(description)
            }
            Err(refusal) => Reply::Refused(refused(*refusal)),
        })
    }

    fn find(&self, slot: &str, kind: &str) -> Result<Descriptor> {
        let mut all = self.descriptors.get().into_iter().flatten();
        let found = all.find(|one| one.slot.as_str() == slot && one.kind == kind);
        found.copied().ok_or_else(|| {
            CacheError::new(ErrorKind::Plugin, "the library has no such component")
                .with("slot", slot)
                .with("kind", kind)
        })
    }

    async fn check(&self, slot: &str, kind: &str, options: &str) -> Result<Reply> {
        let descriptor = self.find(slot, kind)?;
        let options = read(options)?;
        let checked = tokio::task::spawn_blocking(move || {
            descriptor.factory.config().check(&options, &KeyPath::root())
        });
        let checked = checked.await.map_err(|_| plugin_panicked())?;
        let problems = checked.err().into_iter().flatten();
        let problems = problems
            .map(|problem| (problem.path.segments().to_vec(), problem.message, problem.help));
        Ok(Reply::Problems(problems.collect()))
    }

    async fn make(&self, now_us: i64, make: Make) -> Result<Reply> {
        let Make { instance, slot, kind, options, cache, max_value_bytes } = make;
        let descriptor = self.find(&slot, &kind)?;
        let clock = Arc::new(CallClock::new(now_us));
        let mut context = BuildContext::new(cache).clock(Arc::clone(&clock) as Arc<dyn Clock>);
        context.max_value_bytes = max_value_bytes;
        let part = Part::build(&descriptor.factory, read(&options)?, &context).await?;
        self.instances().insert(instance, Instance { part, clock });
        Ok(Reply::Done)
    }
}

fn read(options: &str) -> Result<Value> {
    serde_json::from_str(options).map_err(|error| CacheError::transparent(ErrorKind::Config, error))
}

fn plugin_panicked() -> CacheError {
    CacheError::new(ErrorKind::Plugin, "the call of the plugin panicked")
}

type Opened = (Description, Vec<Descriptor>);

fn open(load: &Load) -> Result<Opened, Box<Refusal>> {
    let Load { name, path, sha256 } = load;
    let request = LibraryRequest::new(name, path).trust(Trust::Pin(sha256.clone()));
    let loader = Loader::new();
    let library = loader.open(&request)?;
    let descriptors = loader.load(&request)?;
    let components = library.components.iter().map(|component| {
        let slot = component.table.slot();
        let mut used = descriptors.iter();
        described(component, used.find(|one| one.slot == slot && one.kind == component.name))
    });
    let version = library.version.to_owned();
    Ok((Description { version, components: components.collect() }, descriptors))
}

fn described(component: &Component, used: Option<&Descriptor>) -> Described {
    let role = used.and_then(|descriptor| match descriptor.factory {
        Factory::Wrapper(role, _) => Some(role.as_str().to_owned()),
        _ => None,
    });
    let number = match &component.table {
        Table::Codec(table) => u16::try_from(table.number).unwrap_or_default(),
        _ => 0,
    };
    Described {
        slot: component.table.slot().as_str().to_owned(),
        kind: component.name.to_owned(),
        summary: component.summary.to_owned(),
        capabilities: used.map_or(0, |descriptor| descriptor.capabilities.bits()),
        schema: component.schema.to_string(),
        checks: component.validate.is_some() && used.is_some(),
        role,
        number,
    }
}

fn refused(refusal: Refusal) -> Refused {
    let code = refusal.fault.code().to_owned();
    let Refusal { message, label, notes, help, .. } = refusal;
    Refused { code, message, label, notes, help }
}
