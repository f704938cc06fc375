//! [`ForeignReplicator`], a `larder_replicator_vt` as a [`Replicator`].

use std::ffi::c_void;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use larder_abi::Status;
use larder_abi::call::{Call, Error};
use larder_abi::table::ReplicatorVt;
use larder_abi::value::{self, Bytes};
use larder_core::replicator::{Mutation, MutationSink, Replicator, TargetStatus};
use larder_core::{CacheError, ErrorKind, Result};
use serde_json::Value;

use super::args::{Args, More};
use super::keeper::Keeper;
use super::output::Answer;
use crate::borrow;
use crate::change::Change;
use crate::host::sinks::{Hub, Sink, lent};

/// A replicator in a library.
#[derive(Debug)]
pub(crate) struct ForeignReplicator {
    keeper: Arc<Keeper<ReplicatorVt>>,
    hub: Arc<Hub>,
    component: &'static str,
}

impl ForeignReplicator {
    pub(crate) fn new(
        keeper: Arc<Keeper<ReplicatorVt>>,
        hub: Arc<Hub>,
        component: &'static str,
    ) -> Self {
        Self { keeper, hub, component }
    }

    /// What the library says, or why it says nothing.
    fn asked(&self) -> Result<Vec<TargetStatus>, String> {
        let Ok(instance) = self.keeper.current::<()>() else {
            return Err("the plugin panicked in an earlier call".to_owned());
        };
        let Some(status) = self.keeper.table().status else { return Ok(Vec::new()) };
        let mut out = Bytes::EMPTY;
        // SAFETY: the table was checked when it was loaded; the place is ours.
        let said = lent(|| unsafe { status(instance.this(), &raw mut out) });
        // Whatever it said: what the output owns would be lost otherwise.
        let json = borrow::take(&out, "the status");
        if said == Status::PANICKED {
            instance.identity().poison();
        }
        if said != Status::OK {
            return Err(format!("the plugin answered `{said}`"));
        }
        let json = json.map_err(|garbage| garbage.to_string())?;
        listed(&json)
    }
}

/// The targets of `[{"target": "eu", "queued": 0, …}, …]`.
fn listed(json: &[u8]) -> Result<Vec<TargetStatus>, String> {
    let unreadable = |what: &str| format!("the plugin's status cannot be read: {what}");
    let listed: Value = match json {
        [] => return Ok(Vec::new()),
        json => serde_json::from_slice(json).map_err(|error| unreadable(&error.to_string()))?,
    };
    let targets = listed.as_array().ok_or_else(|| unreadable("it is no list"))?;
    let read = |target: &Value| {
        let number = |name: &str| target.get(name).and_then(Value::as_u64).unwrap_or(0);
        let text = |name: &str| target.get(name).and_then(Value::as_str).map(str::to_owned);
        let mut status = TargetStatus::default();
        status.target = text("target").unwrap_or_default();
        status.queued = number("queued");
        status.lag = Duration::from_micros(number("lag_us"));
        status.dirty = target.get("dirty").and_then(Value::as_bool).unwrap_or(false);
        status.error = text("error");
        status
    };
    Ok(targets.iter().map(read).collect())
}

type A<'a, 'b> = &'a Args<'b>;

fn send(
    vt: &ReplicatorVt,
    this: *mut c_void,
    call: *const Call,
    args: A<'_, '_>,
    _: *mut (),
    error: *mut Error,
) -> Status {
    let Some(run) = vt.send else { return Status::UNSUPPORTED };
    let Some(More::Changes(changes)) = args.more.as_deref() else { return Status::BROKEN };
    let lent: Option<Vec<value::Mutation>> = changes.iter().map(Change::lend).collect();
    let Some(lent) = lent else { return Status::UNSUPPORTED };
    // SAFETY: the table was checked when it was loaded; what is passed lives during the call.
    unsafe { run(this, call, lent.as_ptr(), lent.len(), error) }
}

fn stop(
    vt: &ReplicatorVt,
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
impl Replicator for ForeignReplicator {
    async fn start(&self, sink: Arc<dyn MutationSink>) -> Result<()> {
        self.hub.open(Sink::Mutations(sink));
        let started = self.keeper.start().await.done("start", &self.keeper.identity());
        if started.is_err() {
            self.hub.close().await;
        }
        started
    }

    async fn send(&self, batch: Vec<Mutation>) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        let changes: Result<Vec<Change>, _> = batch.into_iter().map(Change::new).collect();
        let changes = changes.map_err(|error| {
            CacheError::transparent(ErrorKind::Serialization, error).during("send")
        })?;
        let answer: Answer<()> =
            self.keeper.ask_now(Args::more(More::Changes(changes)), send).await;
        answer.done("send", &self.keeper.identity())
    }

    fn status(&self) -> Vec<TargetStatus> {
        self.asked().unwrap_or_else(|error| {
            let mut unknown = TargetStatus::default();
            unknown.target = self.component.to_owned();
            unknown.error = Some(error);
            vec![unknown]
        })
    }

    async fn stop(&self, limit: Duration) -> Result<()> {
        self.keeper.note_stop();
        let answer: Answer<()> = match self.keeper.current() {
            Ok(instance) => self.keeper.ask_at(&instance, limit, Args::default(), stop).await,
            Err(refused) => refused,
        };
        self.hub.close().await;
        answer.done("stop", &self.keeper.identity())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_as_far_as_it_goes() {
        assert_eq!(listed(b"").unwrap(), []);
        let json = br#"[{"target": "eu", "queued": 3, "lag_us": 1500, "dirty": true,
                         "error": "away", "more": 1}, {"queued": "many"}]"#;
        let targets = listed(json).unwrap();
        assert_eq!((targets[0].target.as_str(), targets[0].queued), ("eu", 3));
        assert_eq!((targets[0].lag, targets[0].dirty), (Duration::from_micros(1500), true));
        assert_eq!(targets[0].error.as_deref(), Some("away"));
        assert_eq!(targets[1], TargetStatus::default());
        for wrong in [&b"{"[..], b"{}"] {
            let said = listed(wrong).unwrap_err();
            assert!(said.contains("cannot be read"), "{said}");
        }
    }
}
