//! A [`Component`] of a library as a [`Descriptor`]: checked and built like one that is linked in.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use async_trait::async_trait;
use larder_abi::table::{BackendVt, CreateFn, DestroyFn, cap, codec};
use larder_abi::{Status, UNLIMITED};
use larder_core::plugin::{BoxFactory, BuildPolicy, ConfigCheck, Factory};
use larder_core::{
    Backend, BuildContext, CacheError, Capabilities, Clock, Descriptor, ErrorKind, KeyPath,
    PolicyFactory, Problem, Problems, Resource, Result, Role, Serializer, SystemClock, Wrapper,
};
use schemars::Schema;
use serde_json::Value;
use tracing::Dispatch;
use tracing::dispatcher::{get_default, with_default};

use super::aside::aside;
use super::backend::{self, ForeignBackend};
use super::codec::ForeignCodec;
use super::failure::{self, Failure};
use super::instance::{PATIENCE, Recipe};
use super::keeper::{self, Keeper, Manner};
use super::policy::ForeignPolicies;
use crate::host::instances::Identity;
use crate::host::lend;
use crate::library::{Component, Table, Validate};

mod others;

use others::Others;

/// How long a call may take; a tier gives up earlier if its own time is shorter.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Describes a component for the registry; `None` if it is a codec of a model that is unknown.
///
/// Some memory for the description stays for ever, as the library does.
#[must_use]
pub fn descriptor(component: &'static Component, version: &'static str) -> Option<Descriptor> {
    let options: &'static Options = Box::leak(Box::new(Options(component)));
    let mut capabilities = Capabilities::empty();
    let factory = match &component.table {
        Table::Backend(table) => {
            capabilities = backend::capabilities(component.caps, table);
            Factory::Backend(Box::leak(Box::new(Backends { options, table })))
        }
        Table::Policy(table) => Factory::Policy(Box::leak(Box::new(Policies { options, table }))),
        Table::Codec(table) => {
            let codecs: &'static Codecs = Box::leak(Box::new(Codecs { options, table }));
            match table.model {
                codec::SERIALIZER => Factory::Serializer(codecs),
                codec::COMPRESS => Factory::Wrapper(Role::Compress, codecs),
                codec::ENCRYPT => Factory::Wrapper(Role::Encrypt, codecs),
                codec::ENCODE => Factory::Wrapper(Role::Encode, codecs),
                _ => return None,
            }
        }
        Table::Invalidator(table) => {
            Factory::Invalidator(Box::leak(Box::new(Others { options, table })))
        }
        Table::Replicator(table) => {
            Factory::Replicator(Box::leak(Box::new(Others { options, table })))
        }
        Table::Warmer(table) => Factory::Warmer(Box::leak(Box::new(Others { options, table }))),
    };
    let descriptor = Descriptor::loaded(component.name, component.plugin, version, factory);
    Some(descriptor.about(component.summary, capabilities))
}

/// The options of a component.
#[derive(Debug)]
struct Options(&'static Component);

impl ConfigCheck for Options {
    fn schema(&self) -> Schema {
        Schema::try_from(self.0.schema.clone()).unwrap_or_default()
    }

    fn check(&self, options: &Value, at: &KeyPath) -> Result<(), Problems> {
        let Some(validate) = self.0.validate else { return Ok(()) };
        validated(validate, options.to_string(), TIMEOUT).map_err(|failure| problems(&failure, at))
    }

    fn resources(&self, _: &Value) -> Vec<Resource> {
        Vec::new()
    }
}

/// Whether a library takes options. It is asked on another thread, which is left behind if it does
/// not return in time.
pub(super) fn validated(
    validate: Validate,
    options: String,
    limit: Duration,
) -> Result<(), Failure> {
    let listener = get_default(Dispatch::clone);
    let (sender, answer) = mpsc::sync_channel(1);
    let asked = aside(move || {
        with_default(&listener, || drop(sender.send(ask(validate, &options))));
    });
    asked.map_err(|error| Failure::ours(Status::BUSY, error.to_string()))?;
    answer.recv_timeout(limit).unwrap_or_else(|_| {
        let message = format!("the plugin did not check its options within `{limit:?}`");
        Err(Failure::ours(Status::TIMEOUT, message))
    })
}

fn ask(validate: Validate, options: &str) -> Result<(), Failure> {
    let json = lend(options);
    let mut error = failure::blank();
    // SAFETY: the function was checked when it was loaded; both arguments live during the call.
    let status = unsafe { validate(&raw const json, &raw mut error) };
    // SAFETY: the error is ours, and read for the first time.
    let failure = unsafe { Failure::taken(status, &raw const error) };
    if status == Status::OK { Ok(()) } else { Err(failure) }
}

/// What a library says is wrong with options, each at the option that it points to.
fn problems(failure: &Failure, at: &KeyPath) -> Problems {
    let mut problems = Problems::new();
    let listed: Value = serde_json::from_str(&failure.problems).unwrap_or_default();
    for problem in listed.as_array().into_iter().flatten() {
        let text = |name: &str| problem.get(name).and_then(Value::as_str);
        let path = pointed(at, text("pointer").unwrap_or_default());
        let message = text("message").unwrap_or("the plugin does not say what is wrong");
        problems.push(Problem::new(path, message.to_owned()));
    }
    if problems.iter().next().is_none() {
        problems.push(Problem::new(at.clone(), failure.message_or_status()));
    }
    problems
}

/// The option that a JSON pointer (RFC 6901) names.
fn pointed(at: &KeyPath, pointer: &str) -> KeyPath {
    let segments = pointer.split('/').skip(1);
    segments
        .fold(at.clone(), |path, segment| path.join(segment.replace("~1", "/").replace("~0", "~")))
}

impl Options {
    fn recipe(
        &self,
        functions: (Option<CreateFn>, Option<DestroyFn>),
        options: &Value,
        cache: &str,
        clock: &Arc<dyn Clock>,
    ) -> Result<Recipe> {
        let (Some(create), Some(destroy)) = functions else {
            return Err(CacheError::new(ErrorKind::Plugin, "the plugin cannot be created")
                .with("plugin", self.0.plugin)
                .with("component", self.0.name));
        };
        Ok(Recipe {
            create,
            destroy,
            plugin: self.0.plugin,
            component: self.0.name,
            cache: cache.to_owned(),
            options: options.to_string(),
            sink: None,
            max_value_bytes: UNLIMITED,
            entries: UNLIMITED,
            weight: UNLIMITED,
            clock: Arc::clone(clock),
            may_block: self.0.caps & cap::BLOCKING != 0,
            patience: PATIENCE,
        })
    }

    fn error(&self, failure: Failure, cache: &str) -> CacheError {
        failure.into_error("create", &Identity::new(self.0.plugin, self.0.name, cache))
    }
}

struct Backends {
    options: &'static Options,
    table: &'static BackendVt,
}

#[async_trait]
impl BoxFactory<dyn Backend> for Backends {
    fn config(&self) -> &'static dyn ConfigCheck {
        self.options
    }

    async fn build(&self, options: Value, context: &BuildContext) -> Result<Arc<dyn Backend>> {
        let functions = (self.table.create, self.table.destroy);
        let mut recipe =
            self.options.recipe(functions, &options, &context.cache, &context.clock)?;
        recipe.max_value_bytes = context.max_value_bytes.unwrap_or(UNLIMITED);
        let caps = self.options.0.caps;
        let manner = Manner {
            caps,
            start: self.table.start,
            cancel: self.table.cancel,
            timeout: TIMEOUT,
            clock: Arc::clone(&context.clock),
        };
        let kept = Keeper::make(self.table, recipe, manner).await;
        let keeper = kept.map_err(|failure| self.options.error(failure, &context.cache))?;
        Ok(Arc::new(ForeignBackend::new(keeper, caps)))
    }
}

struct Policies {
    options: &'static Options,
    table: &'static larder_abi::table::PolicyVt,
}

impl BuildPolicy for Policies {
    fn config(&self) -> &'static dyn ConfigCheck {
        self.options
    }

    fn build(&self, options: Value) -> Result<Arc<dyn PolicyFactory>> {
        let functions = (self.table.create, self.table.destroy);
        let recipe = self.options.recipe(functions, &options, "", &SystemClock::shared())?;
        Ok(Arc::new(ForeignPolicies::new(self.table, recipe)))
    }
}

struct Codecs {
    options: &'static Options,
    table: &'static larder_abi::table::CodecVt,
}

impl Codecs {
    async fn open(&self, options: &Value, context: &BuildContext) -> Result<ForeignCodec> {
        let cache = &context.cache;
        let functions = (self.table.create, self.table.destroy);
        let recipe = self.options.recipe(functions, options, cache, &context.clock)?;
        let made = keeper::made(&recipe, TIMEOUT).await;
        let made = made.map_err(|failure| self.options.error(failure, cache))?;
        Ok(ForeignCodec::new(self.table, made, recipe.component))
    }
}

#[async_trait]
impl BoxFactory<dyn Serializer> for Codecs {
    fn config(&self) -> &'static dyn ConfigCheck {
        self.options
    }

    async fn build(&self, options: Value, context: &BuildContext) -> Result<Arc<dyn Serializer>> {
        Ok(Arc::new(self.open(&options, context).await?))
    }
}

#[async_trait]
impl BoxFactory<dyn Wrapper> for Codecs {
    fn config(&self) -> &'static dyn ConfigCheck {
        self.options
    }

    async fn build(&self, options: Value, context: &BuildContext) -> Result<Arc<dyn Wrapper>> {
        Ok(Arc::new(self.open(&options, context).await?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_stand_at_the_options_they_point_to() {
        let mut failure = Failure::ours(Status::CONFIG, "two mistakes");
        failure.problems = r#"[{"pointer": "/a~1b/0", "message": "too small"}, {}]"#.to_owned();
        let at = KeyPath::from_segments(["caches", "users"]);
        let found = problems(&failure, &at);
        let shown = "`caches.users.a/b.0`: too small; \
                     `caches.users`: the plugin does not say what is wrong";
        assert_eq!(found.to_string().replace('"', ""), shown);
        failure.problems = "no JSON".to_owned();
        assert_eq!(problems(&failure, &at).to_string(), "`caches.users`: two mistakes");
    }
}
