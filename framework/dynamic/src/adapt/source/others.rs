//! Factories of what stands beside the tiers of a cache: invalidators, replicators, warmers.

use std::sync::Arc;

use async_trait::async_trait;
use larder_abi::table::{CancelFn, InvalidatorVt, PlainFn, ReplicatorVt, WarmerVt, cap};
use larder_core::invalidator::Invalidator;
use larder_core::plugin::{BoxFactory, ConfigCheck};
use larder_core::replicator::Replicator;
use larder_core::warmer::Warmer;
use larder_core::{BuildContext, Result};
use serde_json::Value;

use super::{Options, TIMEOUT};
use crate::adapt::instance::Recipe;
use crate::adapt::invalidator::ForeignInvalidator;
use crate::adapt::keeper::{Keeper, Manner};
use crate::adapt::replicator::ForeignReplicator;
use crate::adapt::warmer::ForeignWarmer;
use crate::host::sinks::{self, Hub};

/// Builds the components of one table.
pub(super) struct Others<V: 'static> {
    pub(super) options: &'static Options,
    pub(super) table: &'static V,
}

impl<V: Send + Sync> Others<V> {
    fn manner(
        &self,
        start: Option<PlainFn>,
        cancel: Option<CancelFn>,
        context: &BuildContext,
    ) -> Manner {
        let (caps, clock) = (self.options.0.caps, Arc::clone(&context.clock));
        Manner { caps, start, cancel, timeout: TIMEOUT, clock }
    }

    async fn kept(
        &self,
        recipe: Result<Recipe>,
        manner: Manner,
        context: &BuildContext,
    ) -> Result<Arc<Keeper<V>>> {
        let kept = Keeper::make(self.table, recipe?, manner).await;
        kept.map_err(|failure| self.options.error(failure, &context.cache))
    }
}

#[async_trait]
impl BoxFactory<dyn Invalidator> for Others<InvalidatorVt> {
    fn config(&self) -> &'static dyn ConfigCheck {
        self.options
    }

    async fn build(&self, options: Value, context: &BuildContext) -> Result<Arc<dyn Invalidator>> {
        let (table, hub) = (self.table, Hub::new(sinks::LIMIT));
        let functions = (table.create, table.destroy);
        let recipe = self.options.recipe(functions, &options, &context.cache, &context.clock);
        let recipe = recipe.map(|recipe| Recipe { sink: Some(Arc::clone(&hub)), ..recipe });
        let manner = self.manner(table.start, table.cancel, context);
        let keeper = self.kept(recipe, manner, context).await?;
        Ok(Arc::new(ForeignInvalidator::new(keeper, hub)))
    }
}

#[async_trait]
impl BoxFactory<dyn Replicator> for Others<ReplicatorVt> {
    fn config(&self) -> &'static dyn ConfigCheck {
        self.options
    }

    async fn build(&self, options: Value, context: &BuildContext) -> Result<Arc<dyn Replicator>> {
        let (table, hub) = (self.table, Hub::new(sinks::LIMIT));
        let functions = (table.create, table.destroy);
        let recipe = self.options.recipe(functions, &options, &context.cache, &context.clock);
        let recipe = recipe.map(|recipe| Recipe { sink: Some(Arc::clone(&hub)), ..recipe });
        let manner = self.manner(table.start, table.cancel, context);
        let keeper = self.kept(recipe, manner, context).await?;
        Ok(Arc::new(ForeignReplicator::new(keeper, hub, self.options.0.name)))
    }
}

#[async_trait]
impl BoxFactory<dyn Warmer> for Others<WarmerVt> {
    fn config(&self) -> &'static dyn ConfigCheck {
        self.options
    }

    async fn build(&self, options: Value, context: &BuildContext) -> Result<Arc<dyn Warmer>> {
        let functions = (self.table.create, self.table.destroy);
        let recipe = self.options.recipe(functions, &options, &context.cache, &context.clock);
        let mut manner = self.manner(None, self.table.cancel, context);
        if manner.cancel.is_none() {
            // An end could not be told from the middle of an answer that comes later.
            manner.caps |= cap::SYNC;
        }
        let keeper = self.kept(recipe, manner, context).await?;
        Ok(Arc::new(ForeignWarmer::new(keeper)))
    }
}
