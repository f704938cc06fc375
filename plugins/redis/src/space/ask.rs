//! Commands for keys, done under the generation that is current when they are done.

use futures_util::future::{join, join_all};
use larder_core::{Bytes, Result};
use redis::{Cmd, Pipeline, Value};

use super::{ATTEMPTS, Names, Space, restless};
use crate::answer;
use crate::connection::{Lane, Route};
use crate::scripts::By;

impl Space {
    /// Does commands for one key under the current generation; see [`each`](Self::each).
    pub(crate) async fn only(
        &self,
        lane: Lane,
        key: &str,
        commands: impl Fn(&Names, By) -> Vec<Cmd>,
    ) -> Result<Vec<Value>> {
        let mut answers = self.each(lane, &[key], |_, names, by| commands(names, by)).await?;
        answers.pop().unwrap_or_else(|| Ok(Vec::new()))
    }

    /// Does commands for each of these keys under the current generation; answers in their order.
    /// What fails for the keys of one node of a cluster is the answer for these keys alone.
    ///
    /// `commands` is told the number of the key, the names of its entry and its lease, and how to
    /// call scripts. All it returns must have the same meaning when they are done twice.
    pub(crate) async fn each(
        &self,
        lane: Lane,
        keys: &[&str],
        commands: impl Fn(usize, &Names, By) -> Vec<Cmd>,
    ) -> Result<Vec<Result<Vec<Value>>>> {
        let mut by = By::Hash;
        let mut attempts = 0;
        let mut outdated: Vec<Names> = Vec::new();
        while attempts < ATTEMPTS {
            attempts += 1;
            let generation = self.generation().await?;
            let names: Vec<Names> = keys.iter().map(|key| self.names(generation, key)).collect();
            let wanted: Vec<Vec<Cmd>> = names
                .iter()
                .enumerate()
                .map(|(at, names)| {
                    let clean = outdated.get(at).map(unlink_both);
                    clean.into_iter().chain(commands(at, names, by)).collect()
                })
                .collect();
            let skipped = usize::from(!outdated.is_empty());
            let (mut answers, control) = self.ask(lane, &names, wanted).await?;
            if by == By::Hash && answers.iter().flatten().flatten().any(answer::is_unknown_script) {
                by = By::Text;
                continue;
            }
            if self.is_current(generation, control).await? {
                answers.iter_mut().flatten().for_each(|answers| drop(answers.drain(..skipped)));
                return Ok(answers);
            }
            // What was written under that name would stay for ever.
            outdated = names;
        }
        Err(restless())
    }

    /// Sends the commands of some keys, and asks for the generation after them.
    async fn ask(
        &self,
        lane: Lane,
        names: &[Names],
        commands: Vec<Vec<Cmd>>,
    ) -> Result<(Vec<Result<Vec<Value>>>, Option<Bytes>)> {
        if self.connection.is_cluster() {
            return self.ask_cluster(lane, names, commands).await;
        }
        let counts: Vec<usize> = commands.iter().map(Vec::len).collect();
        let mut pipeline = Pipeline::with_capacity(counts.iter().sum::<usize>() + 1);
        for command in commands.into_iter().flatten() {
            pipeline.add_command(command);
        }
        pipeline.add_command(self.ask_control());
        let answers = self.connection.send(lane, Route::Key(&self.keys.control), pipeline).await?;
        let mut answers = answers.into_iter();
        let parts = counts.iter().map(|&count| Ok(answers.by_ref().take(count).collect()));
        Ok((parts.collect(), answer::bytes(answers.next())?))
    }

    async fn ask_cluster(
        &self,
        lane: Lane,
        names: &[Names],
        commands: Vec<Vec<Cmd>>,
    ) -> Result<(Vec<Result<Vec<Value>>>, Option<Bytes>)> {
        let per_key = names.iter().zip(commands).map(|(names, commands)| async move {
            let mut pipeline = Pipeline::with_capacity(commands.len());
            for command in commands {
                pipeline.add_command(command);
            }
            let answers = self.connection.send(lane, Route::Key(&names.entry), pipeline).await;
            answers.map_err(|error| self.of_a_node(error))
        });
        let control =
            self.send_one(Lane::Small, Route::Key(&self.keys.control), self.ask_control());
        // All are sent and waited for, also if one fails.
        let (answers, control) = join(join_all(per_key), control).await;
        Ok((answers, answer::bytes(Some(control?))?))
    }
}

fn unlink_both(names: &Names) -> Cmd {
    let mut command = Cmd::new();
    command.arg("UNLINK").arg(&names.entry).arg(&names.lease);
    command
}
