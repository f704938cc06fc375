//! In which order instances are made and ended.
//!
//! Each does that in a task of its own, so that one that hangs holds up no other. But what is
//! about one instance happens in the order in which it was asked; and one is made after those have
//! ended that were to end before, for it may need a file or a port that one of them had.

use std::collections::HashMap;
use std::time::Duration;

use larder_dynamic::process::wire::{Make, Question};
use tokio::sync::watch;

/// How long one that is made waits for the end of others. A plugin may not return from that.
const ENDING: Duration = Duration::from_secs(5);

/// What was asked and is not over yet.
#[derive(Debug, Default)]
pub(crate) struct Order {
    /// The last question about each instance.
    last: HashMap<u64, Over>,
    ends: Vec<Over>,
}

/// Something that goes on, or is over.
#[derive(Clone, Debug)]
struct Over(watch::Receiver<()>);

impl Over {
    /// It goes on until what is returned is dropped.
    fn new() -> (watch::Sender<()>, Self) {
        let (going_on, over) = watch::channel(());
        (going_on, Self(over))
    }

    fn is_over(&self) -> bool {
        self.0.has_changed().is_err()
    }

    async fn wait(mut self) {
        while self.0.changed().await.is_ok() {}
    }
}

/// What has to be over before a question may be answered.
#[derive(Debug)]
pub(crate) struct Turn {
    own: Option<Over>,
    ends: Vec<Over>,
    /// Dropped when it is answered.
    _going_on: watch::Sender<()>,
}

impl Turn {
    /// Waits until it has come.
    pub(crate) async fn come(&self) {
        if let Some(own) = &self.own {
            own.clone().wait().await;
        }
        let ended = async {
            for end in &self.ends {
                end.clone().wait().await;
            }
        };
        drop(tokio::time::timeout(ENDING, ended).await);
    }
}

impl Order {
    /// The turn of a question, after all that were asked before.
    pub(crate) fn turn(&mut self, question: &Question) -> Turn {
        self.last.retain(|_, last| !last.is_over());
        self.ends.retain(|end| !end.is_over());
        let (going_on, over) = Over::new();
        let mut turn = Turn { own: None, ends: Vec::new(), _going_on: going_on };
        match question {
            Question::Make(Make { instance, .. }) => {
                turn.own = self.last.insert(*instance, over);
                turn.ends.clone_from(&self.ends);
            }
            Question::End(instance) => {
                turn.own = self.last.insert(*instance, over.clone());
                self.ends.push(over);
            }
            _ => {}
        }
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make(instance: u64) -> Question {
        let text = String::new;
        let (slot, kind, options, cache) = (text(), text(), text(), text());
        let make = Make { instance, slot, kind, options, cache, max_value_bytes: None };
        Question::Make(make)
    }

    async fn has_come(turn: &Turn) -> bool {
        tokio::time::timeout(Duration::from_millis(1), turn.come()).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn instances_are_made_at_once_and_each_ends_after_it_was_made() {
        let mut order = Order::default();
        let first = order.turn(&make(1));
        let second = order.turn(&make(2));
        let end = order.turn(&Question::End(1));
        assert!(has_come(&first).await && has_come(&second).await);
        assert!(!has_come(&end).await, "it is still being made");
        drop(first);
        assert!(has_come(&end).await);
    }

    #[tokio::test(start_paused = true)]
    async fn an_instance_is_made_after_the_end_of_others_unless_that_hangs() {
        let mut order = Order::default();
        let end = order.turn(&Question::End(1));
        assert!(!has_come(&order.turn(&make(2))).await, "the other one has not ended");
        let begun = tokio::time::Instant::now();
        order.turn(&make(3)).come().await;
        assert!(begun.elapsed() >= ENDING, "it did not wait");
        drop(end);
        assert!(has_come(&order.turn(&make(4))).await);
    }
}
