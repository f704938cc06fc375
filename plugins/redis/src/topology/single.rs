//! Sending to a server of its own.

use larder_core::Result;
use redis::{Pipeline, Value};
use tokio::time::Instant;

use super::answers::{Pauses, Trouble, from, has_trouble};
use crate::connection::Lane;
use crate::supervisor::Endpoint;

/// Sends commands. When one met a server that is about to be replaced, it is sent again with all
/// that follow it, as long as there is time.
///
/// Those that follow may have been answered well, but by a server that knew nothing any more: a
/// primary that became a replica in the middle answers what it is asked, from before. The last
/// command mostly asks whether the others were of use, so its answer has to be of after them.
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
        let is_passing =
            |answer| Trouble::of(answer, None).is_some_and(|trouble| trouble.is_passing());
        let Some(first) = answers.iter().position(is_passing) else {
            return Ok(answers);
        };
        if !pauses.wait().await {
            return Ok(answers);
        }
        endpoint.note_retry();
        let again = endpoint.send(lane, affinity, &from(commands, first), deadline).await?;
        answers.truncate(first);
        answers.extend(again);
    }
}
