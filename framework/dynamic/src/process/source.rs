//! A component in a process of its own as a [`Descriptor`]: checked and built like any other.

use std::sync::Arc;

use async_trait::async_trait;
use larder_core::plugin::{BoxFactory, ConfigCheck, Factory};
use larder_core::{
    Backend, BuildContext, CacheError, Capabilities, Descriptor, ErrorKind, KeyPath, Problem,
    Problems, Resource, Result, Role, Serializer, Wrapper,
};
use schemars::Schema;
use serde_json::Value;

use super::backend::ProcessBackend;
use super::codec::ProcessCodec;
use super::instance::Instance;
use super::refused;
use super::supervisor::Supervisor;
use super::wire::{Described, Question, Reply};

/// Describes a component for the registry; `None` if it is of a kind that is unknown here.
pub(super) fn descriptor(
    supervisor: &'static Supervisor,
    described: &'static Described,
    version: &'static str,
) -> Option<Descriptor> {
    let schema = serde_json::from_str(&described.schema).unwrap_or_default();
    let component = Component { supervisor, described, schema };
    let component: &'static Component = Box::leak(Box::new(component));
    let capabilities = Capabilities::from_bits_truncate(described.capabilities);
    let parts: &'static Parts = Box::leak(Box::new(Parts(component)));
    let factory = match described.slot.as_str() {
        "backend" => Factory::Backend(parts),
        "serializer" => Factory::Serializer(parts),
        "wrapper" => {
            let word = described.role.as_deref();
            let role = Role::ALL.into_iter().find(|role| Some(role.as_str()) == word)?;
            Factory::Wrapper(role, parts)
        }
        slot => refused::factory(slot, parts)?,
    };
    let descriptor = Descriptor::loaded(&described.kind, &supervisor.plugin, version, factory);
    Some(descriptor.about(&described.summary, capabilities))
}

/// The factories of a component.
pub(super) struct Parts(pub(super) &'static Component);

/// A component, and the process that has it.
#[derive(Debug)]
pub(super) struct Component {
    supervisor: &'static Supervisor,
    pub(super) described: &'static Described,
    schema: Value,
}

impl Component {
    /// What the library says is wrong with options beyond their schema.
    fn ask(&self, options: &Value) -> Result<Vec<Problem>, String> {
        let Described { slot, kind, .. } = self.described;
        let question = Question::Check(slot.clone(), kind.clone(), options.to_string());
        let ask = || {
            let link = self.supervisor.ensure();
            let link =
                link.map_err(|refusal| CacheError::transparent(ErrorKind::Plugin, *refusal))?;
            link.ask_here(self.supervisor.due(), question.clone())
        };
        let answer = ask().or_else(|error| match error.kind() {
            // The process may have been about to end for want of instances.
            ErrorKind::Connection => ask(),
            _ => Err(error),
        });
        match answer.map_err(|error| error.to_string())? {
            Reply::Problems(problems) => Ok(problems
                .into_iter()
                .map(|(path, message, help)| {
                    let problem = Problem::new(KeyPath::from_segments(path), message);
                    if let Some(help) = help { problem.help(help) } else { problem }
                })
                .collect()),
            _ => Err("the runner gives no such answer".to_owned()),
        }
    }
}

impl ConfigCheck for Component {
    fn schema(&self) -> Schema {
        Schema::try_from(self.schema.clone()).unwrap_or_default()
    }

    fn check(&self, options: &Value, at: &KeyPath) -> Result<(), Problems> {
        if !self.described.checks {
            return Ok(());
        }
        let mut problems = Problems::new();
        match self.ask(options) {
            Ok(found) => {
                for mut problem in found {
                    let below = problem.path.segments();
                    problem.path = below.iter().fold(at.clone(), |path, one| path.join(one));
                    problems.push(problem);
                }
            }
            Err(error) => problems.push(Problem::new(at.clone(), error)),
        }
        problems.into_result()
    }

    fn resources(&self, _: &Value) -> Vec<Resource> {
        Vec::new()
    }
}

impl Parts {
    async fn instance(&self, options: &Value, context: &BuildContext) -> Result<Arc<Instance>> {
        let Described { slot, kind, .. } = self.0.described;
        Instance::new(self.0.supervisor, (slot, kind), options, context).await
    }

    async fn codec(&self, options: &Value, context: &BuildContext) -> Result<Arc<ProcessCodec>> {
        let instance = self.instance(options, context).await?;
        Ok(Arc::new(ProcessCodec::new(instance, self.0.described)))
    }
}

#[async_trait]
impl BoxFactory<dyn Backend> for Parts {
    fn config(&self) -> &'static dyn ConfigCheck {
        self.0
    }

    async fn build(&self, options: Value, context: &BuildContext) -> Result<Arc<dyn Backend>> {
        let instance = self.instance(&options, context).await?;
        let capabilities = Capabilities::from_bits_truncate(self.0.described.capabilities);
        Ok(Arc::new(ProcessBackend::new(instance, capabilities)))
    }
}

#[async_trait]
impl BoxFactory<dyn Serializer> for Parts {
    fn config(&self) -> &'static dyn ConfigCheck {
        self.0
    }

    async fn build(&self, options: Value, context: &BuildContext) -> Result<Arc<dyn Serializer>> {
        Ok(self.codec(&options, context).await?)
    }
}

#[async_trait]
impl BoxFactory<dyn Wrapper> for Parts {
    fn config(&self) -> &'static dyn ConfigCheck {
        self.0
    }

    async fn build(&self, options: Value, context: &BuildContext) -> Result<Arc<dyn Wrapper>> {
        Ok(self.codec(&options, context).await?)
    }
}
