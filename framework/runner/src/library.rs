//! [`Library`]: the one that is loaded, what it is, and its instances.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use larder_core::library::{LibraryLoader as _, LibraryRequest, Refusal, Trust};
use larder_core::plugin::Factory;
use larder_core::{
    Backend, BuildContext, CacheError, Clock, Descriptor, ErrorKind, KeyPath, Result,
};
use larder_dynamic::Loader;
use larder_dynamic::process::CallClock;
use larder_dynamic::process::wire::{Described, Description, Load, Make, Question, Refused, Reply};
use serde_json::Value;

/// The library, once it is loaded.
#[derive(Default)]
pub(crate) struct Library {
    descriptors: OnceLock<Vec<Descriptor>>,
    instances: Mutex<HashMap<u64, Instance>>,
}

/// An instance of a component, and the time of whoever uses it: two caches may disagree.
#[derive(Clone)]
pub(crate) struct Instance {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) clock: Arc<CallClock>,
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
    pub(crate) async fn ask(&self, now_us: i64, question: Question) -> Option<Result<Reply>> {
        Some(match question {
            Question::Load(load) => self.load(load).await,
            Question::Check(slot, kind, options) => self.check(&slot, &kind, &options).await,
            Question::Make(make) => self.make(now_us, make).await,
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
        let Factory::Backend(factory) = descriptor.factory else {
            let message = "the component cannot be used from a process of its own";
            return Err(CacheError::new(ErrorKind::Unsupported, message));
        };
        let backend = factory.build(read(&options)?, &context).await?;
        self.instances().insert(instance, Instance { backend, clock });
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
        let used = used.find(|one| one.slot == slot && one.kind == component.name);
        Described {
            slot: slot.as_str().to_owned(),
            kind: component.name.to_owned(),
            summary: component.summary.to_owned(),
            capabilities: used.map_or(0, |descriptor| descriptor.capabilities.bits()),
            schema: component.schema.to_string(),
            checks: component.validate.is_some() && used.is_some(),
        }
    });
    let version = library.version.to_owned();
    Ok((Description { version, components: components.collect() }, descriptors))
}

fn refused(refusal: Refusal) -> Refused {
    let code = refusal.fault.code().to_owned();
    let Refusal { message, label, notes, help, .. } = refusal;
    Refused { code, message, label, notes, help }
}
