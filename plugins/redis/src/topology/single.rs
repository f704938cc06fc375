//! Sending to a server of its own.

use larder_core::Result;
use redis::{Pipeline, Value};
use tokio::time::Instant;

use super::answers::{Pauses, Trouble, part};
use crate::connection::Lane;
use crate::supervisor::Endpoint;

/// Sends commands. Those that met a server which is about to be replaced are sent again, as long
/// as there is time.
///
/// # Errors
///
/// The kinds of [`Endpoint::send`].
pub(crate) async fn send(
    endpoint: &Endpoint,
    lane: Lane,
    affinity: usize,
    commands: &Pipeline,
    deadline: Instant,
) -> Result<Vec<Value>> {
    let mut answers = endpoint.send(lane, affinity, commands, deadline).await?;
    if commands.is_transaction() || !has_trouble(&answers) {
        return Ok(answers);
    }
    let mut pauses = Pauses::new(deadline);
    loop {
        let again: Vec<usize> = (0..answers.len())
            .filter(|place| {
                let trouble = Trouble::of(&answers[*place], None);
                trouble.as_ref().is_some_and(|trouble| {
                    report(endpoint, trouble);
                    trouble.is_passing()
                })
            })
            .collect();
        if again.is_empty() || !pauses.wait().await {
            return Ok(answers);
        }
        let fresh = endpoint.send(lane, affinity, &part(commands, &again), deadline).await?;
        for (place, answer) in again.into_iter().zip(fresh) {
            answers[place] = answer;
        }
    }
}

/// Whether an answer says something about the server. Cheap, for it is asked of every answer.
pub(crate) fn has_trouble(answers: &[Value]) -> bool {
    answers.iter().any(|answer| matches!(answer, Value::ServerError(_)))
}

/// Has a connection made anew that is of no use any more.
fn report(endpoint: &Endpoint, trouble: &Trouble) {
    match trouble {
        Trouble::Renew(why) => endpoint.renew(why),
        Trouble::Login => endpoint.renew("the login is not valid any more"),
        // Greeting it again finds out that it is a node of a cluster, and says so.
        Trouble::Moved(..) | Trouble::Ask(_) => endpoint.renew("the server is part of a cluster"),
        // The Sentinels are asked once a second in any case.
        Trouble::Down | Trouble::Later | Trouble::Stuck => {}
    }
}
