//! What becomes of an instance that panicked: it is given up, and after a pause another takes its
//! place.

use std::sync::atomic::Ordering;
use std::sync::{Arc, TryLockError};
use std::time::Duration;

use larder_abi::Status;
use larder_core::Moment;
use larder_core::telemetry::{PLUGIN_DOWN, PLUGIN_UP, TARGET};

use super::{Keeper, on_a_blocking_thread};
use crate::adapt::failure::Failure;
use crate::adapt::instance::Instance;
use crate::adapt::output::Answer;
use crate::host::instances::Identity;

/// The first pause before another instance is made.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// No pause is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// An instance that works for so long is sound: the next pause is a first one again.
const SOUND_AFTER: Duration = Duration::from_secs(300);

/// How often the end of running calls is looked for before the next attempt.
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
    pub(super) fn refuse<O>(self: &Arc<Self>) -> Answer<O> {
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
                    runtime.spawn(Arc::clone(self).replace());
                }
            }
            Some(_) => {}
        }
        Answer::Failed(Failure::ours(Status::PANICKED, "in an earlier call"))
    }

    async fn replace(self: Arc<Self>) {
        let replaced = self.make_another().await;
        let now = self.manner.clock.now();
        let identity = self.identity();
        let mut recovery = self.recovery();
        recovery.is_running = false;
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
    }

    async fn make_another(&self) -> Result<(), Failure> {
        let recipe = self.recipe.clone();
        let made = Arc::new(on_a_blocking_thread(move || recipe.make()).await??);
        let is_started = self.is_started.load(Ordering::Acquire);
        if is_started && let Answer::Failed(failure) = self.start_one(&made).await {
            return Err(failure);
        }
        for _ in 0..LOOKS {
            let Some(old) = self.swap(&made) else {
                tokio::task::yield_now().await;
                continue;
            };
            // To destroy it may block.
            return on_a_blocking_thread(move || drop(old)).await;
        }
        Err(Failure::ours(Status::BUSY, "a call of the old instance does not end"))
    }

    /// Puts another instance in the place of the old one, unless a call is running there: to wait
    /// for one that hangs would let all others wait as well.
    fn swap(&self, made: &Arc<Instance>) -> Option<Arc<Instance>> {
        match self.instance.try_write() {
            Ok(mut instance) => Some(std::mem::replace(&mut *instance, Arc::clone(made))),
            Err(TryLockError::Poisoned(error)) => {
                Some(std::mem::replace(&mut *error.into_inner(), Arc::clone(made)))
            }
            Err(TryLockError::WouldBlock) => None,
        }
    }
}
