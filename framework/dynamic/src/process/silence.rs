//! [`Silence`]: when a runner counts as hung.
//!
//! One call that takes long says nothing of the others. But when several callers in a row gave up,
//! and all that time there was no answer to anybody, nothing will come any more.

use std::time::Duration;

use larder_core::Moment;

/// So many callers must have given up.
const CALLERS: u32 = 3;

/// And so long must there have been no answer.
const LONGEST: Duration = Duration::from_secs(5);

/// How long nothing was heard, and by how many.
#[derive(Debug, Default)]
pub(super) struct Silence {
    given_up: u32,
    /// When the first of those who gave up had asked.
    since: Option<Moment>,
}

impl Silence {
    /// An answer came, to whomever.
    pub(super) const fn broken(&mut self) {
        (self.given_up, self.since) = (0, None);
    }

    /// A caller gives up who asked at this moment. Whether the runner is hung.
    pub(super) fn given_up(&mut self, asked: Moment, now: Moment) -> bool {
        self.given_up = self.given_up.saturating_add(1);
        let since = *self.since.get_or_insert(asked);
        self.given_up >= CALLERS && now.since(since) >= LONGEST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::default().after(Duration::from_secs(seconds))
    }

    #[test]
    fn it_takes_several_callers_and_a_long_silence() {
        let mut silence = Silence::default();
        assert!(!silence.given_up(at(0), at(30)), "one slow call");
        assert!(!silence.given_up(at(1), at(31)));
        assert!(silence.given_up(at(2), at(32)));
        silence.broken();
        for caller in 0..100 {
            assert!(!silence.given_up(at(100), at(104)), "{caller}: a short stall");
        }
        assert!(silence.given_up(at(104), at(105)));
    }
}
