//! Components that are not used from a process of their own.
//!
//! They are registered all the same, so that a config that names one hears the reason (C0624) and
//! not that there is no such kind.

use std::any::Any;
use std::sync::Arc;

use async_trait::async_trait;
use larder_core::plugin::{BoxFactory, BuildPolicy, ConfigCheck, Factory};
use larder_core::{
    BuildContext, CacheError, ErrorKind, Invalidator, PolicyFactory, Replicator, Result, Warmer,
};
use serde_json::Value;

use super::source::Parts;

/// The factory of a component that cannot be built; `None` if its slot is unknown here.
pub(super) fn factory(slot: &str, parts: &'static Parts) -> Option<Factory> {
    Some(match slot {
        "connection" => Factory::Connection(parts),
        "invalidator" => Factory::Invalidator(parts),
        "policy" => Factory::Policy(parts),
        "replicator" => Factory::Replicator(parts),
        "warmer" => Factory::Warmer(parts),
        _ => return None,
    })
}

impl Parts {
    fn refuse(&self) -> CacheError {
        let described = self.0.described;
        let message = "a plugin of this kind cannot be used from a process of its own";
        CacheError::new(ErrorKind::Unsupported, message)
            .with("slot", &described.slot)
            .with("kind", &described.kind)
            .hint("remove `isolation = \"process\"` of its library")
    }
}

impl BuildPolicy for Parts {
    fn config(&self) -> &'static dyn ConfigCheck {
        self.0
    }

    fn build(&self, _: Value) -> Result<Arc<dyn PolicyFactory>> {
        Err(self.refuse())
    }
}

macro_rules! refuse {
    ($($object:ty),*) => {$(
        #[async_trait]
        impl BoxFactory<$object> for Parts {
            fn config(&self) -> &'static dyn ConfigCheck {
                self.0
            }

            async fn build(&self, _: Value, _: &BuildContext) -> Result<Arc<$object>> {
                Err(self.refuse())
            }
        }
    )*};
}

refuse!(dyn Any + Send + Sync, dyn Invalidator, dyn Replicator, dyn Warmer);
