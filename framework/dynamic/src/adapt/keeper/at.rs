//! Calls to one instance, which stays the same from one call to the next.

use std::sync::Arc;
use std::time::Duration;

use super::{Keeper, Run};
use crate::adapt::args::Args;
use crate::adapt::instance::Instance;
use crate::adapt::output::{Answer, Output};
use crate::host::sinks::lent;

impl<V: Send + Sync> Keeper<V> {
    /// The instance that is in use.
    ///
    /// # Errors
    ///
    /// The answer of one that is given up.
    pub(crate) fn current<O>(self: &Arc<Self>) -> Result<Arc<Instance>, Answer<O>> {
        self.instance().ok_or_else(|| self.refuse())
    }

    /// How long a call may take, if nobody says otherwise.
    pub(crate) fn limit(&self) -> Duration {
        self.manner.timeout
    }

    /// Calls a function of the table and waits for its answer, within this limit.
    ///
    /// # Cancellation
    ///
    /// The library is told that nobody waits any more, and its answer is refused.
    pub(crate) async fn ask_at<O: Output>(
        self: &Arc<Self>,
        instance: &Arc<Instance>,
        limit: Duration,
        args: Args<'_>,
        run: Run<V, O>,
    ) -> Answer<O> {
        if instance.identity().is_poisoned() {
            return self.refuse();
        }
        let due = self.due_after(limit);
        let outcome = if self.may_block() {
            let (keeper, instance) = (Arc::clone(self), Arc::clone(instance));
            let args = args.into_owned();
            self.there(due, move || keeper.call_with(&instance, due, &args, run)).await
        } else {
            lent(|| self.call_with(instance, due, &args, run))
        };
        self.finish(outcome, due).await
    }

    /// The same for the instance that is in use, within the usual limit.
    ///
    /// # Cancellation
    ///
    /// As of [`ask_at`](Self::ask_at).
    pub(crate) async fn ask_now<O: Output>(
        self: &Arc<Self>,
        args: Args<'_>,
        run: Run<V, O>,
    ) -> Answer<O> {
        match self.current() {
            Ok(instance) => self.ask_at(&instance, self.limit(), args, run).await,
            Err(refused) => refused,
        }
    }
}
