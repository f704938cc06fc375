//! [`Progress`], a bar on the terminal that says how far the simulation is.

use std::fmt;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How many steps are told at once, so that telling costs nothing.
const STRIDE: u64 = 1 << 14;

/// A bar on stderr, which goes away in the end, or nothing at all.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// A bar, if anybody sees it.
    pub(crate) fn new(is_shown: bool) -> Self {
        let target =
            if is_shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self(ProgressBar::with_draw_target(None, target))
    }

    /// Says that a trace is read for the first time, whose length is not known.
    pub(crate) fn reading(&self, name: &str) {
        self.0.set_style(style(" {msg}  {human_pos} requests"));
        self.0.set_message(name.to_owned());
    }

    /// Says that a trace of so many requests is replayed so many times.
    pub(crate) fn replaying(&self, trace: &str, combinations: &str, requests: u64, times: usize) {
        self.0.reset();
        self.0.set_length(requests.saturating_mul(times as u64));
        self.0.set_style(style(" {prefix}  {bar:26} {percent:>3}%  {msg}  {elapsed}"));
        self.0.set_prefix(trace.to_owned());
        self.0.set_message(combinations.to_owned());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Progress({})", self.0.position())
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates here are valid")
}

/// Counts the steps of one piece of work and tells them from time to time.
#[derive(Debug)]
pub(crate) struct Pace<'a> {
    progress: &'a Progress,
    steps: u64,
}

impl<'a> Pace<'a> {
    pub(crate) const fn new(progress: &'a Progress) -> Self {
        Self { progress, steps: 0 }
    }

    /// One step more.
    pub(crate) fn step(&mut self) {
        self.steps += 1;
        if self.steps.is_multiple_of(STRIDE) {
            self.progress.0.inc(STRIDE);
        }
    }

    /// How many steps there were.
    pub(crate) const fn steps(&self) -> u64 {
        self.steps
    }
}
