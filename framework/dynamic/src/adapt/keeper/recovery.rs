//! What becomes of an instance that panicked: it is given up, and after a pause another takes its
//! place.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use larder_abi::Status;
use larder_core::Moment;
use larder_core::telemetry::{PLUGIN_DOWN, PLUGIN_UP, TARGET};

use super::{Keeper, before, made, on_a_blocking_thread};
use crate::adapt::failure::Failure;
use crate::adapt::output::Answer;
use crate::host::instances::Identity;

/// The first pause before another instance is made.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// No pause is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// An instance that works for so long is sound: the next pause is a first one again.
const SOUND_AFTER: Duration = Duration::from_secs(300);

/// How often the end of running calls is looked for before another instance is made.
const LOOKS: usize = 10_000;

/// How often the instance was given up, and when another may be made.
#[derive(Debug)]
pub(super) struct Recovery {
    in_a_row: u32,
    /// When the instance that is in use was made.
    since: Moment,
    /// Set while the instance is given up.
    retry_at: Option<Moment>,
    is_running: bool,
}

impl Recovery {
    pub(super) const fn new(now: Moment) -> Self {
        Self { in_a_row: 0, since: now, retry_at: None, is_running: false }
    }

    /// The pause that begins now.
    fn pause(&mut self, now: Moment) -> Duration {
        if self.in_a_row > 0 && now.since(self.since) > SOUND_AFTER {
            self.in_a_row = 0;
        }
        let factor = 1 << self.in_a_row.min(16);
        self.in_a_row = self.in_a_row.saturating_add(1);
        let pause = FIRST_PAUSE.saturating_mul(factor).min(LONGEST_PAUSE);
        self.retry_at = Some(now.after(pause));
        pause
    }
}

fn say_down(of: &Identity, error: impl std::fmt::Display, pause: Duration) {
    let Identity { plugin, component, cache, .. } = of;
    tracing::warn!(target: TARGET, plugin, component, %cache, %error, ?pause, "{PLUGIN_DOWN}");
}

impl<V: Send + Sync> Keeper<V> {
    /// The answer of an instance that was given up. One caller after the pause begins to make
    /// another, and none waits for it.
    pub(in crate::adapt) fn refuse<O>(self: &Arc<Self>) -> Answer<O> {
        let now = self.manner.clock.now();
        let mut recovery = self.recovery();
        match recovery.retry_at {
            None => {
                let pause = recovery.pause(now);
                drop(recovery);
                say_down(&self.identity(), "a call panicked", pause);
            }
            Some(at) if at <= now && !recovery.is_running => {
                if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                    recovery.is_running = true;
                    drop(recovery);
                    let running = Running(Arc::clone(self));
                    runtime.spawn(Arc::clone(self).replace(running));
                }
            }
            Some(_) => {}
        }
        Answer::Failed(Failure::ours(Status::PANICKED, "in an earlier call"))
    }

    async fn replace(self: Arc<Self>, running: Running<V>) {
        let replaced = self.make_another().await;
        let now = self.manner.clock.now();
        let identity = self.identity();
        let mut recovery = self.recovery();
        match replaced {
            Ok(()) => {
                (recovery.retry_at, recovery.since) = (None, now);
                let Identity { plugin, component, cache, .. } = &*identity;
                tracing::info!(target: TARGET, plugin, component, %cache, "{PLUGIN_UP}");
            }
            Err(failure) => {
                let pause = recovery.pause(now);
                let error = failure.into_error("create", &identity);
                say_down(&identity, error, pause);
            }
        }
        drop(recovery);
        drop(running);
    }

    async fn make_another(self: &Arc<Self>) -> Result<(), Failure> {
        self.end_the_old().await;
        let made = Arc::new(made(&self.recipe, self.manner.timeout).await?);
        let is_started = self.is_started.load(Ordering::Acquire);
        if is_started && let Answer::Failed(failure) = self.start_one(&made).await {
            return Err(failure);
        }
        drop(self.instance.exchange(Some(made)));
        if let Some(hub) = &self.recipe.sink {
            hub.lost_track().await;
        }
        Ok(())
    }

    /// Destroys the instance that was given up before another is made, which may need a lock or a
    /// port that it has. A call that hangs does not hold that up: the instance ends after it.
    async fn end_the_old(&self) {
        let Some(mut old) = self.instance.exchange(None) else { return };
        for _ in 0..LOOKS {
            match old.try_into_inner() {
                Ok(ended) => {
                    let ending = Box::pin(on_a_blocking_thread(move || ended.end()));
                    let due = self.manner.clock.now().after(self.manner.timeout);
                    before(&self.manner.clock, due, ending).await;
                    return;
                }
                Err(used) => old = used,
            }
            tokio::task::yield_now().await;
        }
    }
}

/// Another instance is being made, until this is dropped: also when the runtime ends before that.
struct Running<V: 'static>(Arc<Keeper<V>>);

impl<V> Drop for Running<V> {
    fn drop(&mut self) {
        self.0.recovery.lock().unwrap_or_else(PoisonError::into_inner).is_running = false;
    }
}
