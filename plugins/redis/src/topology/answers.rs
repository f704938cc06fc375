//! What answers say about the servers, rather than about values, and sending the commands again
//! that were answered so.

use std::time::Duration;

use redis::{Pipeline, Value};
use tokio::time::Instant;

use super::slots::SLOTS;
use crate::config::Address;
use crate::connection::greeting::Expect;

/// The first wait before commands are sent again; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// No wait is longer than this.
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// What an answer says about the server that gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The key is on its way to another node, which has to be asked for it.
    Ask(Address),
    /// The cluster as a whole does not serve.
    Down,
    /// The server cannot serve at this moment, but keeps its place.
    Later,
    /// The login is not valid any more.
    Login,
    /// The slot is at another node.
    Moved(u16, Address),
    /// The server is not the one that should be talked to any more.
    Renew(&'static str),
    /// It takes no writes; another one may have to take its place.
    Stuck,
}

impl Trouble {
    /// What an answer of the server at `asked` says about it; mostly nothing.
    pub(crate) fn of(answer: &Value, asked: Option<&Address>) -> Option<Self> {
        let Value::ServerError(error) = answer else {
            return None;
        };
        let said = error.details().unwrap_or_default();
        Some(match error.code() {
            "ASK" => Self::Ask(redirection(said, asked)?.1),
            "MOVED" => redirection(said, asked).map(|(slot, to)| Self::Moved(slot, to))?,
            "CLUSTERDOWN" => Self::Down,
            "TRYAGAIN" => Self::Later,
            "LOADING" => Self::Renew("the server is loading its data"),
            "MASTERDOWN" => Self::Renew("the server has lost its primary"),
            "READONLY" => Self::Renew("the server takes no writes any more"),
            "MISCONF" | "NOREPLICAS" => Self::Stuck,
            "NOAUTH" => Self::Login,
            _ => return None,
        })
    }

    /// Whether it makes sense to send the command again.
    pub(crate) const fn is_passing(&self) -> bool {
        !matches!(self, Self::Stuck)
    }

    /// Why the connection to a server that was taken for this one has to be made anew, if it has.
    pub(crate) fn ends_connection(&self, expect: Expect) -> Option<&'static str> {
        match self {
            Self::Renew(why) => Some(why),
            Self::Login => Some("the login is not valid any more"),
            // Greeting it again finds out that it is a node of a cluster, and says so.
            Self::Ask(_) | Self::Moved(..) if expect != Expect::Cluster => {
                Some("the server is part of a cluster")
            }
            Self::Ask(_) | Self::Down | Self::Later | Self::Moved(..) | Self::Stuck => None,
        }
    }
}

/// Whether an answer says something about the server. Cheap, for it is asked of every answer.
pub(crate) fn has_trouble(answers: &[Value]) -> bool {
    answers.iter().any(|answer| matches!(answer, Value::ServerError(_)))
}

/// `SLOT HOST:PORT`; without a host it is the one that was asked.
fn redirection(said: &str, asked: Option<&Address>) -> Option<(u16, Address)> {
    let mut words = said.split_ascii_whitespace();
    let slot = words.next()?.parse().ok().filter(|slot| *slot < SLOTS)?;
    let to = Address::parse(words.next()?)?;
    match (to.host(), &to, asked.and_then(Address::host)) {
        (Some("" | "?"), Address::Tcp { port, .. }, Some(host)) => {
            Some((slot, Address::tcp(host, *port)))
        }
        _ => Some((slot, to)),
    }
}

/// The commands of these places, to be sent again.
pub(crate) fn part(commands: &Pipeline, places: &[usize]) -> Pipeline {
    let mut part = Pipeline::with_capacity(places.len());
    let mut wanted = places.iter().peekable();
    for (place, command) in commands.cmd_iter().enumerate() {
        if wanted.next_if(|wanted| **wanted == place).is_some() {
            part.add_command(command.clone());
        }
    }
    part
}

/// The commands from this place on.
pub(crate) fn from(commands: &Pipeline, first: usize) -> Pipeline {
    let places: Vec<usize> = (first..commands.len()).collect();
    part(commands, &places)
}

/// Waits between attempts: short ones at first, never beyond the deadline.
#[derive(Debug)]
pub(crate) struct Pauses {
    next: Duration,
    deadline: Instant,
}

impl Pauses {
    pub(crate) const fn new(deadline: Instant) -> Self {
        Self { next: FIRST_PAUSE, deadline }
    }

    /// Waits; whether there is time for another attempt.
    pub(crate) async fn wait(&mut self) -> bool {
        let pause = self.next.mul_f64(0.5 + fastrand::f64() / 2.0);
        self.next = (self.next * 2).min(LONGEST_PAUSE);
        if Instant::now() + pause >= self.deadline {
            return false;
        }
        tokio::time::sleep(pause).await;
        true
    }
}

#[cfg(test)]
mod tests {
    use redis::{ErrorKind, RedisError, ServerError};

    use super::*;

    fn answer(code: &str, said: &str) -> Value {
        let line = format!("-{code} {said}\r\n");
        let parsed: Result<Value, RedisError> = redis::parse_redis_value(line.as_bytes());
        let Ok(value @ Value::ServerError(ServerError { .. })) = parsed else {
            panic!("not an error: {:?}", ErrorKind::Parse);
        };
        value
    }

    #[test]
    fn answers_about_the_server_are_told_from_those_about_values() {
        let asked = Address::tcp("asked", 1);
        let of = |code, said| Trouble::of(&answer(code, said), Some(&asked));
        assert_eq!(of("MOVED", "3 b:7"), Some(Trouble::Moved(3, Address::tcp("b", 7))));
        assert_eq!(of("MOVED", "3 :7"), Some(Trouble::Moved(3, Address::tcp("asked", 7))));
        assert_eq!(of("ASK", "3 ::1:7"), Some(Trouble::Ask(Address::tcp("::1", 7))));
        assert_eq!(of("MOVED", "16384 b:7"), None, "no such slot");
        assert_eq!(of("MOVED", "nonsense"), None);
        assert_eq!(of("TRYAGAIN", "x"), Some(Trouble::Later));
        assert_eq!(of("CLUSTERDOWN", "x"), Some(Trouble::Down));
        assert_eq!(of("MISCONF", "x"), Some(Trouble::Stuck));
        assert_eq!(of("NOAUTH", "x"), Some(Trouble::Login));
        assert!(matches!(of("READONLY", "x"), Some(Trouble::Renew(_))));
        assert!(matches!(of("LOADING", "x"), Some(Trouble::Renew(_))));
        for code in ["ERR", "WRONGTYPE", "NOSCRIPT", "OOM", "NOPERM"] {
            assert_eq!(of(code, "x"), None, "{code}");
        }
        assert_eq!(Trouble::of(&Value::Nil, None), None);
    }

    #[test]
    fn a_part_has_the_commands_of_its_places() {
        let mut commands = redis::pipe();
        commands.cmd("A").cmd("B").cmd("C");
        let packed = part(&commands, &[0, 2]).get_packed_pipeline();
        assert_eq!(packed, redis::pipe().cmd("A").cmd("C").get_packed_pipeline());
        let packed = from(&commands, 1).get_packed_pipeline();
        assert_eq!(packed, redis::pipe().cmd("B").cmd("C").get_packed_pipeline());
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_and_end_before_the_deadline() {
        let deadline = Instant::now() + Duration::from_secs(1);
        let mut pauses = Pauses::new(deadline);
        let mut attempts = 0;
        while pauses.wait().await {
            attempts += 1;
        }
        assert!((6..20).contains(&attempts), "{attempts}");
        // A timer of tokio ends with the millisecond.
        assert!(Instant::now() <= deadline + Duration::from_millis(1));
    }
}
