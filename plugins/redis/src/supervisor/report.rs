//! Changes of the state of a server: kept for those who ask, told to those who listen.

use larder_core::telemetry;

use super::Core;
use crate::connection::State;
use crate::connection::lanes::Lanes;
use crate::error::Failure;

impl Core {
    /// The server can be used.
    pub(super) fn up(&self, lanes: &Lanes) {
        let (address, facts) = (lanes.address(), lanes.facts());
        self.status.send_modify(|status| {
            status.state = State::Healthy;
            status.address = Some(address.clone());
            status.facts = Some(facts.clone());
            (status.error, status.reason) = (None, None);
        });
        self.settings.tally.note_comeback();
        tracing::info!(
            target: telemetry::TARGET,
            connection = self.settings.name, server = %address, version = facts.version,
            "{}", telemetry::CONNECTION_UP
        );
        if let Some(policy) = &facts.evicts {
            tracing::info!(
                target: telemetry::TARGET,
                connection = self.settings.name, server = %address, policy,
                "{}", telemetry::CONNECTION_EVICTS
            );
        }
        self.bell.notify_one();
    }

    /// The server cannot be used. Said once for each reason in a row.
    pub(super) fn down(&self, failure: &Failure) {
        let error = self.told(failure.error.clone());
        let said = error.to_string();
        let mut is_news = false;
        self.status.send_modify(|status| {
            let known = status.error.replace(error.clone());
            is_news = known.is_none_or(|known| known.to_string() != said);
            status.state = State::Down;
            status.reason = Some(failure.reason);
        });
        if is_news {
            tracing::warn!(
                target: telemetry::TARGET,
                connection = self.settings.name, %error, "{}", telemetry::CONNECTION_DOWN
            );
        }
        self.bell.notify_one();
    }

    /// The server is in a state that is neither up nor down.
    pub(super) fn enter(&self, state: State) {
        let is_news = self.status.send_if_modified(|status| {
            let is_news = status.state != state;
            status.state = state;
            (status.error, status.reason) = (None, None);
            is_news
        });
        if !is_news {
            return;
        }
        if state == State::Healthy {
            // It was suspect, and others than the one who tried it may have been turned away.
            self.settings.tally.note_comeback();
        }
        if state == State::Suspect {
            let address = self.status.borrow().address.clone();
            let server = address.map(|address| address.to_string()).unwrap_or_default();
            tracing::warn!(
                target: telemetry::TARGET,
                connection = self.settings.name, server, "{}", telemetry::CONNECTION_SUSPECT
            );
        }
        self.bell.notify_one();
    }

    /// The connection broke, or is made anew; callers wait for the attempt that follows.
    pub(super) fn lost(&self, why: &str) {
        let address = self.status.borrow().address.clone();
        let server = address.map(|address| address.to_string()).unwrap_or_default();
        tracing::warn!(
            target: telemetry::TARGET,
            connection = self.settings.name, server, why, "{}", telemetry::CONNECTION_LOST
        );
        self.enter(State::Connecting);
    }
}
