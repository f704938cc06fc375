//! [`Supervisor`], one library in a process of its own: started when somebody needs it, started
//! again when it ended, and told to end with its last instance.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use larder_core::library::{Fault, Refusal};
use larder_core::telemetry::{PLUGIN_DOWN, PLUGIN_UP, TARGET};
use larder_core::{Clock, Result};

use super::instance::Instance;
use super::link::{Due, Link, ended};
use super::pause::Pause;
use super::wire::{Description, Load, Question, Refused, Reply};
use super::{child, find};
use crate::refusal::{Answer, refused};

/// How long a step of a start may take: to load the library, or to make an instance.
pub(super) const STEP: Duration = Duration::from_secs(30);

/// How many instances are made at a time.
const MOST_MADE: usize = 8;

/// A library, its process, and the instances in it.
#[derive(Debug)]
pub(super) struct Supervisor {
    pub(super) plugin: Arc<str>,
    runner: PathBuf,
    load: Load,
    clock: Arc<dyn Clock>,
    /// What the library said of itself the first time, and has to say every time.
    description: OnceLock<Description>,
    state: Mutex<State>,
    /// A start has ended, well or not.
    settled: Condvar,
}

#[derive(Debug)]
struct State {
    link: Option<Arc<Link>>,
    is_starting: bool,
    pause: Pause,
    /// Why there is no process, if one ended.
    why: Option<String>,
    instances: Vec<Weak<Instance>>,
}

impl Supervisor {
    pub(super) fn new(runner: PathBuf, load: Load, clock: Arc<dyn Clock>) -> Self {
        let pause = Pause::new(fastrand::Rng::new());
        let (link, is_starting, why, instances) = (None, false, None, Vec::new());
        let state = Mutex::new(State { link, is_starting, pause, why, instances });
        let plugin = load.name.as_str().into();
        let (description, settled) = (OnceLock::new(), Condvar::new());
        Self { plugin, runner, load, clock, description, state, settled }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time for its pauses.
    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// The process, if it is there. If it is not, the first caller after the pause begins to start
    /// another, and none waits for it.
    pub(super) fn link(&'static self) -> Result<Arc<Link>> {
        let mut state = self.lock();
        if let Some(link) = state.living() {
            return Ok(link);
        }
        let lost = self.note_end(&mut state, "it is gone");
        let error = ended(state.why.as_deref().unwrap_or("nobody used it"));
        let is_due = !state.is_starting && state.pause.is_over(self.clock.now());
        if is_due {
            state.is_starting = true;
        }
        drop(state);
        self.say_down(&lost);
        if is_due {
            let starting = Starting(self);
            let revived = child::thread("start").spawn(move || self.revive(starting));
            if revived.is_err() {
                self.lock().pause.failed(self.clock.now());
            }
        }
        Err(error)
    }

    /// The process; started if it is not there. May block.
    pub(super) fn ensure(&'static self) -> Answer<Arc<Link>> {
        let mut state = self.lock();
        while state.is_starting {
            state = self.settled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if let Some(link) = state.living() {
            return Ok(link);
        }
        let lost = self.note_end(&mut state, "it is gone");
        state.is_starting = true;
        drop(state);
        let starting = Starting(self);
        self.say_down(&lost);
        let link = self.launch()?;
        let mut state = self.lock();
        state.link = Some(Arc::clone(&link));
        state.pause.works(self.clock.now());
        drop(state);
        drop(starting);
        Ok(link)
    }

    /// What the library is; started if that is not known. May block.
    pub(super) fn describe(&'static self) -> Answer<&'static Description> {
        if self.description.get().is_none() {
            self.ensure()?;
        }
        Ok(self.description.get().expect("it is known since the first start"))
    }

    fn launch(&'static self) -> Answer<Arc<Link>> {
        let on_end = |link: &Arc<Link>, why: &str| self.ended(link, why);
        let opened = Link::open(&self.runner, &self.plugin, Arc::clone(&self.clock), on_end);
        let link = opened.map_err(|wrong| find::unusable(&self.runner, &wrong.to_string()))?;
        match link.ask_here(self.due(), Question::Load(self.load.clone())) {
            Ok(Reply::Description(found)) => {
                if self.description.get_or_init(|| found.clone()) == &found {
                    return Ok(link);
                }
                link.kill();
                Err(self.failed("says something else of itself than the first time"))
            }
            Ok(Reply::Refused(refused)) => {
                link.close();
                Err(refusal(refused).into())
            }
            Ok(_) => {
                link.kill();
                Err(self.failed("cannot be loaded there: the runner gives no such answer"))
            }
            Err(error) => {
                link.kill();
                Err(self.failed(&format!("cannot be loaded there: {}", error.message())))
            }
        }
    }

    fn failed(&self, what: &str) -> Box<Refusal> {
        let path = std::path::Path::new(&self.load.path);
        let what = format!("{what} (it has a process of its own)");
        refused(Fault::Entry, &self.plugin, path, what, "cannot be loaded")
            .help("the log has what it said; try it without `isolation` to find out more")
            .into()
    }

    /// A question of ours, about no time of an entry.
    pub(super) fn due(&self) -> Due {
        Due { now: self.clock.wall(), within: STEP }
    }

    /// Starts a process in the place of one that ended, with all instances in it. Each is used as
    /// soon as it is there.
    fn revive(&'static self, starting: Starting) {
        let launched = self.launch();
        let mut state = self.lock();
        let instances = state.instances();
        match launched {
            Ok(link) if instances.is_empty() => link.close(),
            Ok(link) => {
                state.pause.works(self.clock.now());
                state.link = Some(Arc::clone(&link));
                drop(state);
                drop(starting);
                self.make_again(&link, &instances);
            }
            Err(refusal) => {
                let why = refusal.to_string();
                state.pause.failed(self.clock.now());
                state.why = Some(why.clone());
                drop(state);
                let lost = instances.into_iter().map(|one| (one, why.clone()));
                self.say_down(&lost.collect::<Vec<_>>());
            }
        }
    }

    /// Makes instances in another process, a few at a time.
    fn make_again(&self, link: &Link, instances: &[Arc<Instance>]) {
        let next = AtomicUsize::new(0);
        let make = || {
            while let Some(instance) = instances.get(next.fetch_add(1, Ordering::Relaxed)) {
                if let Err(error) = instance.make_again(link) {
                    self.say_down(&[(Arc::clone(instance), error.to_string())]);
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..instances.len().min(MOST_MADE) {
                // Without a thread the others make them.
                drop(child::thread("make").spawn_scoped(scope, make));
            }
            make();
        });
    }

    /// A process has ended.
    fn ended(&'static self, link: &Arc<Link>, why: &str) {
        let mut state = self.lock();
        let is_ours = state.link.as_ref().is_some_and(|ours| ours.number == link.number);
        let lost = if is_ours { self.note_end(&mut state, why) } else { Vec::new() };
        drop(state);
        self.say_down(&lost);
    }

    /// Takes note that the process has ended, once. Returns who was in it.
    fn note_end(&self, state: &mut State, why: &str) -> Vec<(Arc<Instance>, String)> {
        let Some(link) = state.link.take() else { return Vec::new() };
        let why = link.why().unwrap_or_else(|| why.to_owned());
        let instances = state.instances();
        if !instances.is_empty() {
            state.pause.failed(self.clock.now());
        }
        let lost = instances.into_iter().map(|one| (one, why.clone())).collect();
        state.why = Some(why);
        lost
    }

    /// An instance is to be made.
    pub(super) fn join(&self, instance: &Arc<Instance>) {
        self.lock().instances.push(Arc::downgrade(instance));
    }

    /// An instance is gone. The process ends with the last of them.
    pub(super) fn leave(&self, number: u64) {
        let mut state = self.lock();
        let link = state.living();
        if let Some(link) = &link {
            link.tell(Question::End(number));
        }
        if !state.is_used() {
            state.link = None;
            link.inspect(|link| link.close());
        }
    }

    fn say_down(&self, lost: &[(Arc<Instance>, String)]) {
        for (instance, error) in lost {
            let (plugin, component, cache) = (&*self.plugin, instance.kind(), instance.cache());
            tracing::warn!(target: TARGET, plugin, component, cache, error, "{PLUGIN_DOWN}");
        }
    }

    /// It was made again.
    pub(super) fn say_up(&self, instance: &Instance) {
        let (plugin, component, cache) = (&*self.plugin, instance.kind(), instance.cache());
        tracing::info!(target: TARGET, plugin, component, cache, "{PLUGIN_UP}");
    }
}

impl State {
    fn living(&self) -> Option<Arc<Link>> {
        self.link.as_ref().filter(|link| link.is_alive()).cloned()
    }

    /// Whether there is an instance.
    fn is_used(&self) -> bool {
        self.instances.iter().any(|instance| instance.strong_count() > 0)
    }

    /// The instances that are used; the others are forgotten. Whoever gets them must not hold the
    /// lock when they are dropped: the last reference to one takes it.
    fn instances(&mut self) -> Vec<Arc<Instance>> {
        self.instances.retain(|instance| instance.strong_count() > 0);
        self.instances.iter().filter_map(Weak::upgrade).collect()
    }
}

/// A start that goes on until this is dropped, also when it panics.
struct Starting(&'static Supervisor);

impl Drop for Starting {
    fn drop(&mut self) {
        self.0.lock().is_starting = false;
        self.0.settled.notify_all();
    }
}

/// What a runner says of a library that it refused.
fn refusal(refused: Refused) -> Refusal {
    let Refused { code, message, label, notes, help } = refused;
    let fault = Fault::ALL.iter().find(|fault| fault.code() == code);
    let mut refusal = Refusal::new(fault.copied().unwrap_or(Fault::Entry), message, label);
    refusal.notes = notes;
    refusal.help = help;
    refusal
}
