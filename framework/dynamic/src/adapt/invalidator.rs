//! [`ForeignInvalidator`], a `larder_invalidator_vt` as an [`Invalidator`].
//!
//! What the library hears it delivers to the [`Hub`] of the plugin. An instance that panicked may
//! have missed something, so the cache is told when another one takes its place.

use std::ffi::c_void;
use std::sync::Arc;

use async_trait::async_trait;
use larder_abi::Status;
use larder_abi::call::{Call, Error};
use larder_abi::table::InvalidatorVt;
use larder_abi::value::Slice;
use larder_core::invalidator::{Invalidation, InvalidationSink, Invalidator};
use larder_core::{Result, key};

use super::args::{Args, More};
use super::keeper::Keeper;
use super::output::Answer;
use crate::change;
use crate::host::lend;
use crate::host::sinks::{Hub, Sink, lent};

/// An invalidator in a library.
#[derive(Debug)]
pub(crate) struct ForeignInvalidator {
    keeper: Arc<Keeper<InvalidatorVt>>,
    hub: Arc<Hub>,
}

impl ForeignInvalidator {
    pub(crate) fn new(keeper: Arc<Keeper<InvalidatorVt>>, hub: Arc<Hub>) -> Self {
        Self { keeper, hub }
    }
}

type A<'a, 'b> = &'a Args<'b>;

fn publish(
    vt: &InvalidatorVt,
    this: *mut c_void,
    call: *const Call,
    args: A<'_, '_>,
    _: *mut (),
    error: *mut Error,
) -> Status {
    let Some(run) = vt.publish else { return Status::UNSUPPORTED };
    let Some(More::Invalidation(invalidation)) = args.more.as_deref() else {
        return Status::BROKEN;
    };
    let Some(event) = change::lend(invalidation) else { return Status::UNSUPPORTED };
    // SAFETY: the table was checked when it was loaded; what is passed lives during the call.
    unsafe { run(this, call, &raw const event, error) }
}

fn stop(
    vt: &InvalidatorVt,
    this: *mut c_void,
    call: *const Call,
    _: A<'_, '_>,
    _: *mut (),
    error: *mut Error,
) -> Status {
    let Some(run) = vt.stop else { return Status::OK };
    // SAFETY: the table was checked when it was loaded; what is passed lives during the call.
    unsafe { run(this, call, error) }
}

#[async_trait]
impl Invalidator for ForeignInvalidator {
    async fn start(&self, sink: Arc<dyn InvalidationSink>) -> Result<()> {
        self.hub.open(Sink::Invalidations(sink));
        let started = self.keeper.start().await.done("start", &self.keeper.identity());
        if started.is_err() {
            self.hub.close().await;
        }
        started
    }

    async fn publish(&self, invalidation: &Invalidation) -> Result<()> {
        let args = Args::more(More::Invalidation(invalidation.clone()));
        let answer: Answer<()> = self.keeper.ask_now(args, publish).await;
        answer.done("publish", &self.keeper.identity())
    }

    fn matches(&self, pattern: &str, key: &str) -> bool {
        let Some(matches) = self.keeper.table().matches else {
            return key::glob_matches(pattern, key);
        };
        // Its language is unknown here: what cannot be asked about is taken for a match.
        let Ok(instance) = self.keeper.current::<()>() else { return true };
        let (pattern, key): (Slice, Slice) = (lend(pattern), lend(key));
        // SAFETY: the table was checked when it was loaded; what is passed lives during the call.
        let said = lent(|| unsafe { matches(instance.this(), &raw const pattern, &raw const key) });
        said != 0 || instance.identity().is_poisoned()
    }

    async fn stop(&self) -> Result<()> {
        self.keeper.note_stop();
        let answer: Answer<()> = self.keeper.ask_now(Args::default(), stop).await;
        self.hub.close().await;
        answer.done("stop", &self.keeper.identity())
    }
}
