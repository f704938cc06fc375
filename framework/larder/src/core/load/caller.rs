//! Who waits for a load, and for how long.

use std::sync::Arc;
use std::thread::{self, ThreadId};
use std::time::Duration;

use larder_core::{Clock, Moment};

use super::attempt::{Plan, Purpose};
use super::patience::Patience;
use crate::options::LoadOptions;
use crate::settings::{Settings, Terms};

/// A call that runs its loader on its own thread, which does nothing else meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::core) struct Runner {
    thread: ThreadId,
    call: u64,
}

impl Runner {
    /// A call on this thread.
    pub(super) fn here() -> Self {
        Self { thread: thread::current().id(), call: fastrand::u64(..) }
    }

    /// Whether who asks from this thread would wait for itself, as it was called by the loader.
    pub(in crate::core) fn waits_for(self, who: Option<Self>) -> bool {
        self.thread == thread::current().id() && who != Some(self)
    }
}

/// Who waits for a load, and for how long.
pub(in crate::core) struct Caller<V> {
    pub(in crate::core) terms: Terms,
    pub(super) default: Option<V>,
    pub(super) takes_stale: bool,
    /// Whether it began the load, so that it is the one to report that it takes too long.
    pub(super) is_leader: bool,
    /// Who it is if it runs the loader itself.
    pub(in crate::core) runner: Option<Runner>,
    /// That of those who wait for the load that it began, if they have a limit.
    pub(super) patience: Option<Arc<Patience>>,
    /// Whether another process was at it, and there was nothing to fall back on.
    pub(super) is_patient: bool,
    /// When it takes a stale value.
    pub(super) soft: Option<Moment>,
    /// When it does not wait any longer. The same for all that it waits for, one after the other.
    pub(in crate::core) hard: Option<Moment>,
}

impl<V> Caller<V> {
    /// The caller with these options, who takes its default out of them and waits from now on.
    pub(in crate::core) fn new(
        options: &mut LoadOptions<V>,
        settings: &Settings,
        clock: &dyn Clock,
    ) -> Self {
        let default = options.default.take();
        let caller = Self::since(options, settings, || clock.now());
        options.set.is_aging |= caller.terms.refresh_ahead.is_some();
        Self { default, ..caller }
    }

    /// A caller without a default, who waits since then.
    pub(super) fn since(
        options: &LoadOptions<V>,
        settings: &Settings,
        begun: impl FnOnce() -> Moment,
    ) -> Self {
        let terms = options.terms(settings);
        let takes_stale = options.takes_stale && terms.keep_stale();
        let soft = terms
            .soft_timeout
            .filter(|soft| takes_stale && *soft < terms.hard_timeout.unwrap_or(Duration::MAX));
        let begun = soft.or(terms.hard_timeout).map(|_| begun());
        let at = |limit: Option<Duration>| Some(begun?.after(limit?));
        Self {
            takes_stale,
            default: None,
            is_leader: false,
            runner: None,
            patience: None,
            is_patient: !takes_stale,
            soft: at(soft),
            hard: at(terms.hard_timeout),
            terms,
        }
    }

    /// A caller that runs the loader itself, and so cannot leave it.
    pub(in crate::core) fn on_its_own(mut self) -> Self {
        self.terms.background = false;
        self.terms.soft_timeout = None;
        (self.soft, self.runner) = (None, Some(Runner::here()));
        self
    }

    /// What a load that it begins is to know of its limit; nothing if the loader cannot be left.
    pub(in crate::core) fn patience(&self) -> Option<Arc<Patience>> {
        self.hard.filter(|_| self.runner.is_none()).map(Patience::until)
    }

    /// The caller begins the load.
    pub(in crate::core) fn lead(&mut self, patience: Option<Arc<Patience>>) {
        (self.is_leader, self.patience) = (true, patience);
    }

    /// The caller ran the loader, however long that took: its limit is of no use any more.
    pub(super) fn has_loaded(&mut self) {
        self.hard = None;
    }

    /// How it loads the key.
    pub(in crate::core) fn plan(&self, takes_negative: bool) -> Plan {
        let (terms, is_patient, patience) = (self.terms, self.is_patient, self.patience.clone());
        Plan { terms, purpose: Purpose::Miss, patience, is_patient, takes_negative }
    }
}
