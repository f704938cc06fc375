//! [`Part`], an instance of a component, whatever it is.

use std::sync::Arc;
use std::time::Duration;

use larder_core::plugin::Factory;
use larder_core::{
    Backend, BuildContext, CacheError, ErrorKind, Result, Serializer, WrapContext, Wrapper,
};
use larder_dynamic::process::wire::{Call, Place, Reply, frame};
use larder_dynamic::process::{decode, encode};
use serde_json::Value;

use crate::call;

/// What is called.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    Backend(Arc<dyn Backend>),
    Serializer(Arc<dyn Serializer>),
    Wrapper(Arc<dyn Wrapper>),
}

impl Part {
    pub(crate) async fn build(
        factory: &Factory,
        options: Value,
        context: &BuildContext,
    ) -> Result<Self> {
        Ok(match factory {
            Factory::Backend(factory) => Self::Backend(factory.build(options, context).await?),
            Factory::Serializer(factory) => {
                Self::Serializer(factory.build(options, context).await?)
            }
            Factory::Wrapper(_, factory) => Self::Wrapper(factory.build(options, context).await?),
            _ => {
                let message = "the component cannot be used from a process of its own";
                return Err(CacheError::new(ErrorKind::Unsupported, message));
            }
        })
    }

    /// Makes a call; `None` when its time is over.
    ///
    /// A serializer or a wrapper has its own thread for that, and cannot be stopped: the program
    /// ends this process if it takes too long.
    pub(crate) async fn call(self, call: Call, within: Duration) -> Option<Result<Reply>> {
        if let Self::Backend(backend) = self {
            return tokio::time::timeout(within, call::run(&*backend, call)).await.ok();
        }
        let called = tokio::task::spawn_blocking(move || self.code(call)).await;
        let panicked = || CacheError::new(ErrorKind::Plugin, "the call of the plugin panicked");
        Some(called.unwrap_or_else(|_| Err(panicked())))
    }

    fn code(&self, call: Call) -> Result<Reply> {
        let coded = match (self, call) {
            (Self::Serializer(serializer), Call::Encode { value }) => encode(serializer, &value.0),
            (Self::Serializer(serializer), Call::Decode { bytes }) => {
                decode(serializer, &bytes.0, frame::LONGEST)
            }
            (Self::Wrapper(wrapper), Call::Wrap { bytes, place }) => {
                wrapper.wrap(&bytes.0, &context(&place))
            }
            (Self::Wrapper(wrapper), Call::Undo { bytes, place }) => {
                wrapper.undo(&bytes.0, &context(&place))
            }
            _ => return Err(unfit_for("serializer or wrapper")),
        };
        Ok(Reply::Bytes(coded?.into()))
    }
}

fn context(place: &Place) -> WrapContext<'_> {
    let max_size = usize::try_from(place.max_size).unwrap_or(usize::MAX);
    WrapContext::new(&place.cache, &place.key, place.format).inner(&place.inner).max_size(max_size)
}

/// The error about a call of another kind of component.
pub(crate) fn unfit_for(what: &str) -> CacheError {
    CacheError::new(ErrorKind::Unsupported, format!("a {what} has no such function"))
}
