//! What the task of a server does: connect, serve until the connection is lost, wait, connect.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::Core;
use super::session::Session;
use crate::backoff::Backoff;
use crate::config::{Address, Credentials};
use crate::connection::State;
use crate::connection::greeting::{self, Facts};
use crate::connection::lanes::Lanes;
use crate::connection::link::{Link, Patience, Pulse};
use crate::error::{Failure, Reason};

/// The first wait before another attempt to connect is at most this long.
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// No wait is longer than this for a server that may be back at any time, so that it is used again
/// within a second of its return, whether somebody asks meanwhile or not: caches leave alone what
/// failed.
const LONGEST_WAIT: Duration = Duration::from_millis(700);

/// No wait is longer than this where somebody has to change something first.
const LONGEST_FOR_PEOPLE: Duration = Duration::from_secs(5);

/// No wait is longer than this while somebody asks for the server.
const WHILE_ASKED: Duration = Duration::from_millis(400);

/// How long to wait after the server refused the login. Each attempt may count against us.
const AFTER_REFUSAL: Duration = Duration::from_secs(30);

/// How often things are looked at that nobody tells of, such as the file with the password.
const LOOK: Duration = Duration::from_secs(1);

/// A connection that held for less does not make the next attempts quicker.
const SETTLED: Duration = Duration::from_secs(1);

/// How often the clock of the server is compared with ours.
const CLOCK_EVERY: Duration = Duration::from_secs(60);

/// How often a server that does not answer is asked whether it does again.
const PROBE_EVERY: Duration = Duration::from_millis(250);

/// Why the serving ended.
enum End {
    /// The connection is of no use any more.
    Lost(&'static str),
    /// There is another one already.
    Replaced(Arc<Session>),
}

/// Keeps a connection to the server until it is aborted.
pub(super) async fn live(core: Arc<Core>) {
    let mut backoff = Backoff::new(FIRST_WAIT);
    let mut was_up = false;
    let mut next: Option<Arc<Session>> = None;
    loop {
        let session = match next.take() {
            Some(session) => session,
            None => match core.connect().await {
                Ok(session) => Arc::new(session),
                Err((failure, credentials)) => {
                    core.down(&failure);
                    match (failure.reason, credentials) {
                        (Reason::Login, Some(refused)) => core.wait_for_login(&refused).await,
                        (Reason::Away, _) => core.pause(backoff.next(LONGEST_WAIT)).await,
                        _ => core.pause(backoff.next(LONGEST_FOR_PEOPLE)).await,
                    }
                    continue;
                }
            },
        };
        if std::mem::replace(&mut was_up, true) {
            core.settings.tally.note_reconnect();
        }
        core.set_session(Some(Arc::clone(&session)));
        core.up(&session.lanes);
        let began = Instant::now();
        match core.serve(&session).await {
            End::Replaced(session) => next = Some(session),
            End::Lost(why) => {
                core.set_session(None);
                core.lost(why);
            }
        }
        if began.elapsed() >= SETTLED {
            backoff.reset();
        } else {
            core.pause(backoff.next(LONGEST_WAIT)).await;
        }
    }
}

impl Core {
    /// Finds the server, connects and greets. The credentials that were used come with the
    /// failure.
    async fn connect(&self) -> Result<Session, (Failure, Option<Credentials>)> {
        let limit = self.settings.connect_timeout;
        let credentials = match self.settings.login.credentials().await {
            Ok(credentials) => credentials,
            Err(error) => return Err((Failure { reason: Reason::Setup, error }, None)),
        };
        let address = match timeout(limit * 4, self.source.find()).await {
            Ok(Ok(address)) => address,
            Ok(Err(failure)) => return Err((failure, None)),
            Err(_) => return Err((Failure::slow("asking the Sentinels"), None)),
        };
        self.status.send_modify(|status| status.address = Some(address.clone()));
        let opened = self.open(&address, &credentials).await;
        opened.map_err(|failure| (failure.at(&self.settings.name, &address), Some(credentials)))
    }

    /// Connects to a server and greets it.
    async fn open(&self, address: &Address, credentials: &Credentials) -> Result<Session, Failure> {
        let deadline = Instant::now() + self.settings.connect_timeout;
        let link =
            Link::open(address, self.settings.tls.as_ref(), Patience::Answers, deadline).await?;
        let facts = self.verify(&link, credentials, deadline).await?;
        let settings = Arc::clone(&self.settings);
        Ok(Session::new(Lanes::new(settings, address.clone(), facts, link)))
    }

    async fn verify(
        &self,
        link: &Link,
        credentials: &Credentials,
        deadline: Instant,
    ) -> Result<Facts, Failure> {
        if self.status.borrow().state == State::Connecting {
            self.enter(State::Verifying);
        }
        let db = self.settings.db;
        let mut facts = greeting::greet(link, credentials, db, self.expect, deadline).await?;
        let offset = greeting::clock_offset(link, &self.settings.clock).await;
        facts.clock_offset_micros = offset.unwrap_or_default();
        Ok(facts)
    }

    /// Watches the connection until it is of no use any more.
    async fn serve(&self, session: &Session) -> End {
        let (lanes, breaker) = (&session.lanes, &session.breaker);
        let link = lanes.first();
        let mut pulse = link.follow();
        // It may have died before anybody followed it, in the last step of the greeting.
        pulse.mark_changed();
        let mut compared = Instant::now();
        let mut moved = std::pin::pin!(self.source.moved_from(lanes.address()));
        loop {
            let is_any_open = breaker.is_open() || session.bulk_breaker.is_open();
            let tick = if is_any_open { PROBE_EVERY } else { LOOK };
            tokio::select! {
                _ = pulse.changed() => {}
                address = &mut moved => return self.follow(address).await,
                () = self.wake.notified() => {}
                () = tokio::time::sleep(tick) => {}
            }
            let felt = *pulse.borrow_and_update();
            if felt == Pulse::Dead {
                return End::Lost("the connection broke");
            }
            if let Some(why) = session.renewal() {
                return End::Lost(why);
            }
            if is_any_open
                && link.answers().await
                && (breaker.half_open() | session.bulk_breaker.half_open())
            {
                self.settings.tally.note_comeback();
            }
            let is_well = felt == Pulse::Alive && breaker.is_closed();
            self.enter(if is_well { State::Healthy } else { State::Suspect });
            if is_well && compared.elapsed() >= CLOCK_EVERY {
                compared = Instant::now();
                self.compare_clocks(link).await;
            }
        }
    }

    /// The Sentinels name another server. It replaces this one if it can be used.
    async fn follow(&self, address: Address) -> End {
        const WHY: &str = "the Sentinels name another server";
        let Ok(credentials) = self.settings.login.credentials().await else {
            return End::Lost(WHY);
        };
        let opened = self.open(&address, &credentials).await;
        opened.map_or(End::Lost(WHY), |session| End::Replaced(Arc::new(session)))
    }

    async fn compare_clocks(&self, link: &Link) {
        let Some(offset) = greeting::clock_offset(link, &self.settings.clock).await else {
            return;
        };
        self.status.send_modify(|status| {
            if let Some(facts) = &mut status.facts {
                facts.clock_offset_micros = offset;
            }
        });
    }

    /// Waits before the next attempt: not longer than [`WHILE_ASKED`] when somebody asks.
    async fn pause(&self, wait: Duration) {
        tokio::time::sleep(wait.min(WHILE_ASKED)).await;
        if wait > WHILE_ASKED {
            // Whether the time is over or somebody asks makes no difference.
            timeout(wait - WHILE_ASKED, self.asked.notified()).await.ok();
        }
    }

    /// Waits until it makes sense to try again after the server refused the login: until there is
    /// another password, or long enough that nobody takes it for an attack.
    async fn wait_for_login(&self, refused: &Credentials) {
        let until = Instant::now() + AFTER_REFUSAL;
        while Instant::now() < until {
            tokio::time::sleep(LOOK).await;
            let current = self.settings.login.credentials().await;
            if current.is_ok_and(|current| !current.is_same(refused)) {
                return;
            }
        }
    }
}
