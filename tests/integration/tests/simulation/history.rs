//! What happened in a simulation, and which answers that allows: the reference model.
//!
//! Every value is a number of its own, so an answer tells which write or load made it. A cache may
//! always miss. It may answer with a value as long as no change that undoes it was acknowledged
//! before the question: on the node that made the change at once, on others within a bound.

use std::fmt;

/// Instants are counted in events; virtual time is in milliseconds.
pub(crate) type Event = u64;

/// Where a value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Under a lease, or without.
    Load {
        is_leased: bool,
    },
    Set,
}

/// A value that some call tried to store.
#[derive(Clone, Debug)]
pub(crate) struct Value {
    pub(crate) key: usize,
    pub(crate) tag: Option<usize>,
    pub(crate) node: usize,
    pub(crate) source: Source,
    began: Event,
    began_at: u64,
    /// When the call that stores it was over; nobody may undo a set for good before.
    ended: Option<Event>,
    undone: Option<Undone>,
    /// The first of these that reached all tiers at once.
    delivered: Option<Undone>,
    /// When its life is over, if it was told how long to live.
    deadline: Option<u64>,
}

/// The acknowledgement of a change that undoes a value.
#[derive(Clone, Copy, Debug)]
struct Undone {
    by: usize,
    event: Event,
    at: u64,
}

/// A question that was asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question {
    pub(crate) node: usize,
    pub(crate) key: usize,
    event: Event,
    at: u64,
}

/// A change that was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    pub(crate) node: usize,
    began: Event,
}

/// How old answers may be, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// On other nodes than that of the change, while all links are up.
    pub(crate) coherence: u64,
    /// The same after links failed.
    pub(crate) outage: u64,
    /// Past the end of its life, when loading fails.
    pub(crate) stale: u64,
    /// How long a look-up may be under way that several callers share.
    pub(crate) in_flight: u64,
}

/// An answer that must not be.
#[derive(Debug)]
pub(crate) struct Violation {
    invariant: &'static str,
    question: Question,
    value: Value,
    number: u64,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { invariant, question, value, number } = self;
        write!(f, "{invariant}\n  asked {question:?}\n  got {number}: {value:?}")
    }
}

/// Everything that is known.
#[derive(Debug, Default)]
pub(crate) struct History {
    event: Event,
    /// Virtual time in milliseconds.
    pub(crate) now: u64,
    values: Vec<Value>,
    /// The last instant at which a link was not up.
    pub(crate) last_fault: Option<u64>,
    /// What clients saw, by node and key: the newest values, and since when.
    seen: Vec<Seen>,
    /// Loads that run.
    loading: Vec<Load>,
    /// Changes that run.
    changes: usize,
    last_change: Event,
}

#[derive(Debug)]
struct Seen {
    node: usize,
    key: usize,
    number: u64,
    at: u64,
}

#[derive(Debug)]
struct Load {
    node: usize,
    key: usize,
    asked: Event,
    is_tagged: bool,
}

impl History {
    fn tick(&mut self) -> Event {
        self.event += 1;
        self.event
    }

    /// A value comes into being: from now on it may be answered.
    pub(crate) fn make(
        &mut self,
        (node, key): (usize, usize),
        tag: Option<usize>,
        source: Source,
        ttl: Option<u64>,
    ) -> u64 {
        let began = self.tick();
        self.values.push(Value {
            key,
            tag,
            node,
            source,
            began,
            began_at: self.now,
            ended: None,
            undone: None,
            delivered: None,
            deadline: ttl.map(|ttl| self.now + ttl),
        });
        self.values.len() as u64 - 1
    }

    /// The call that stores a value is over, whether it stored it or not.
    pub(crate) fn end(&mut self, number: u64) {
        let now = self.tick();
        self.values[number as usize].ended.get_or_insert(now);
    }

    pub(crate) fn begin_change(&mut self, node: usize) -> Change {
        self.changes += 1;
        Change { node, began: self.tick() }
    }

    /// A change is over, however it went.
    pub(crate) fn forget_change(&mut self) {
        self.changes -= 1;
        self.last_change = self.tick();
    }

    /// A change was acknowledged: it undid what matches and was stored, or began to be loaded,
    /// before it began. Of what ran beside it nothing is known.
    pub(crate) fn end_change(
        &mut self,
        change: Change,
        is_delivered: bool,
        matches: impl Fn(&Value) -> bool,
    ) {
        let undone = Undone { by: change.node, event: self.tick(), at: self.now };
        for value in self.values.iter_mut().filter(|value| matches(value)) {
            let is_own = value.node == change.node;
            let is_before = match value.source {
                // Without a lease, or one that the change has yet to end, it may be stored at any
                // time after.
                Source::Load { is_leased } if !(is_own || is_leased && is_delivered) => false,
                Source::Load { .. } => value.began < change.began,
                Source::Set => value.ended.is_some_and(|ended| ended < change.began),
            };
            if is_before {
                value.undone.get_or_insert(undone);
            }
            if is_before && is_delivered {
                value.delivered.get_or_insert(undone);
            }
        }
    }

    pub(crate) fn ask(&mut self, node: usize, key: usize) -> Question {
        Question { node, key, event: self.tick(), at: self.now }
    }

    /// Whether this answer may be given to this question.
    pub(crate) fn check(
        &mut self,
        question: Question,
        number: u64,
        bounds: &Bounds,
    ) -> Result<(), Box<Violation>> {
        let fail = |invariant, value: &Value| {
            Err(Box::new(Violation { invariant, question, value: value.clone(), number }))
        };
        let Some(value) = self.values.get(number as usize).cloned() else {
            panic!("{question:?} was answered with {number}, which nobody made");
        };
        if value.key != question.key {
            return fail("I1: a value of another key", &value);
        }
        if value.deadline.is_some_and(|end| end + bounds.stale <= question.at) {
            return fail("I2: a value whose life was over", &value);
        }
        if let Some(undone) = value.undone.filter(|undone| undone.event < question.event) {
            if undone.by == question.node {
                return fail("I3: a value that this node had undone", &value);
            }
            let had_faults = self.last_fault.is_some_and(|last| last >= value.began_at);
            let bound = if had_faults { bounds.outage } else { bounds.coherence };
            if question.at > undone.at + bound {
                return fail("I2: a value that another node had undone long ago", &value);
            }
        }
        self.check_order(question, number, &value, bounds.in_flight)
    }

    /// A node that saw a value does not see one again that was undone before that came to be, but
    /// for callers who share a look-up that began before.
    fn check_order(
        &mut self,
        question: Question,
        number: u64,
        value: &Value,
        in_flight: u64,
    ) -> Result<(), Box<Violation>> {
        let Question { node, key, at, .. } = question;
        let of_client = |seen: &&Seen| (seen.node, seen.key) == (node, key);
        let mut before = self.seen.iter().filter(of_client).filter(|seen| seen.at + in_flight < at);
        let is_older = |seen: &Seen| {
            let newer = &self.values[seen.number as usize];
            value.undone.is_some_and(|undone| undone.event < newer.began)
        };
        if before.any(is_older) {
            let invariant = "I4: an older value than was seen before";
            let value = value.clone();
            return Err(Box::new(Violation { invariant, question, value, number }));
        }
        let is_known = self.seen.iter().any(|seen| (seen.node, seen.number) == (node, number));
        if !is_known {
            self.seen.push(Seen { node, key, number, at: self.now });
        }
        Ok(())
    }

    /// A process ended: what it had begun is over, and what it saw is forgotten.
    pub(crate) fn restart(&mut self, node: usize) {
        let now = self.tick();
        for value in self.values.iter_mut().filter(|value| value.node == node) {
            value.ended.get_or_insert(now);
        }
        // What it had not delivered yet nobody will.
        for value in &mut self.values {
            if value.undone.is_some_and(|undone| undone.by == node) {
                value.undone = value.delivered;
            }
        }
        self.seen.retain(|seen| seen.node != node);
        self.loading.retain(|load| load.node != node);
        // The changes of this process may have been anything.
        self.last_change = now;
    }

    /// The loader of a question begins. One for its key runs on the node already only if something
    /// changed since that was asked, or if it has tags: the node may hear of those at any time.
    pub(crate) fn begin_load(
        &mut self,
        question: Question,
        tag: Option<usize>,
    ) -> Result<(), String> {
        let Question { node, key, event, .. } = question;
        let is_calm = |load: &Load| {
            let is_same = load.node == node && load.key == key;
            is_same && !load.is_tagged && load.asked > self.last_change
        };
        let is_calm_now = self.changes == 0 && event > self.last_change;
        if is_calm_now && self.loading.iter().any(is_calm) {
            return Err(format!("I7: node {node} loads key {key} twice at a time"));
        }
        self.loading.push(Load { node, key, asked: event, is_tagged: tag.is_some() });
        Ok(())
    }

    pub(crate) fn end_load(&mut self, question: Question) {
        let Question { node, key, event, .. } = question;
        let is_it = |load: &Load| (load.node, load.key, load.asked) == (node, key, event);
        if let Some(at) = self.loading.iter().position(is_it) {
            self.loading.swap_remove(at);
        }
    }

    /// Whether a value is known to be undone.
    pub(crate) fn is_undone(&self, number: u64) -> bool {
        self.values[number as usize].undone.is_some()
    }
}
