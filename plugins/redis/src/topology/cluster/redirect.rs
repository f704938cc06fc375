//! Commands that met the wrong node, or a node that is not ready: sent again, to the right one,
//! as long as there is time.

use std::collections::BTreeMap;
use std::sync::Arc;

use larder_core::Result;
use redis::{Pipeline, Value};
use tokio::time::Instant;

use super::Cluster;
use crate::config::Address;
use crate::connection::Lane;
use crate::topology::answers::{Pauses, Trouble, part};

/// How often commands are sent on at once before there is a wait.
const QUICK_ROUNDS: u32 = 3;

/// How often commands are sent again to a cluster that says it is down: about a fifth of a second.
/// It may stay so for long, and callers have other places to go.
const HOPEFUL_ROUNDS: u32 = 4;

/// What was sent.
#[derive(Debug)]
pub(super) struct Sent<'a> {
    pub(super) lane: Lane,
    pub(super) affinity: usize,
    pub(super) commands: &'a Pipeline,
    pub(super) deadline: Instant,
}

/// Where commands go next, and whether each needs the leave to be there already.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Target {
    address: Address,
    is_asking: bool,
}

impl Cluster {
    /// Sends the commands again whose answers are about the cluster.
    ///
    /// # Errors
    ///
    /// The kinds of [`send`](Self::send).
    pub(super) async fn follow_up(
        self: &Arc<Self>,
        sent: &Sent<'_>,
        asked: &Address,
        mut answers: Vec<Value>,
    ) -> Result<Vec<Value>> {
        let mut pauses = Pauses::new(sent.deadline);
        let mut targets = vec![asked.clone(); answers.len()];
        for round in 0.. {
            let (again, mut has_to_wait) = self.again(&answers, &mut targets, round);
            // Nodes that keep sending us to each other have to agree first.
            has_to_wait |= round >= QUICK_ROUNDS;
            if again.is_empty() || (has_to_wait && !pauses.wait().await) {
                return Ok(answers);
            }
            if Instant::now() >= sent.deadline {
                return Ok(answers);
            }
            for (target, places) in again {
                let fresh = self.send_again(sent, &target, &places).await?;
                for (place, answer) in places.into_iter().zip(fresh) {
                    answers[place] = answer;
                }
            }
        }
        Ok(answers)
    }

    /// Which commands go where, and whether it is better to wait first.
    fn again(
        &self,
        answers: &[Value],
        targets: &mut [Address],
        round: u32,
    ) -> (BTreeMap<Target, Vec<usize>>, bool) {
        let mut again: BTreeMap<Target, Vec<usize>> = BTreeMap::new();
        let mut has_to_wait = false;
        for (place, answer) in answers.iter().enumerate() {
            let Some(trouble) = Trouble::of(answer, targets.get(place)) else {
                continue;
            };
            let mut is_asking = false;
            match trouble {
                Trouble::Moved(slot, address) => {
                    has_to_wait |= targets[place] == address;
                    self.welcome(&address);
                    self.learn(slot, &address);
                    targets[place] = address;
                }
                Trouble::Ask(address) => {
                    self.welcome(&address);
                    again.entry(Target { address, is_asking: true }).or_default().push(place);
                    is_asking = true;
                }
                Trouble::Down if round >= HOPEFUL_ROUNDS => {
                    self.bell.notify_one();
                    continue;
                }
                Trouble::Down | Trouble::Later | Trouble::Login | Trouble::Renew(_) => {
                    self.bell.notify_one();
                    has_to_wait = true;
                }
                Trouble::Stuck => {
                    self.bell.notify_one();
                    continue;
                }
            }
            if !is_asking {
                let address = targets[place].clone();
                again.entry(Target { address, is_asking: false }).or_default().push(place);
            }
        }
        (again, has_to_wait)
    }

    async fn send_again(
        &self,
        sent: &Sent<'_>,
        target: &Target,
        places: &[usize],
    ) -> Result<Vec<Value>> {
        let endpoint = self.node(&target.address);
        endpoint.note_retry();
        let commands = part(sent.commands, places);
        if !target.is_asking {
            return endpoint.send(sent.lane, sent.affinity, &commands, sent.deadline).await;
        }
        let mut asking = Pipeline::with_capacity(places.len() * 2);
        for command in commands.cmd_iter() {
            asking.cmd("ASKING").add_command(command.clone());
        }
        let answers = endpoint.send(sent.lane, sent.affinity, &asking, sent.deadline).await?;
        // Each command has two answers, of which the first is about the leave.
        Ok(answers.into_iter().skip(1).step_by(2).collect())
    }
}
