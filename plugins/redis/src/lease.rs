//! Leases: a key next to the entry, which only who has the lease can fill.
//!
//! A lease is 24 bytes, big endian: who has it, when it ends by the clock of that one, the token.
//! The server ends it by its own clock. The time inside is for its holder alone, so clocks that
//! differ do not matter: who was held up until its time was over stores nothing, and may ask again
//! at once.

use std::time::Duration;

use larder_core::backend::Lease;
use larder_core::{Bytes, Result, Timestamp};
use redis::Cmd;

use crate::answer;
use crate::connection::Lane;
use crate::scripts;
use crate::space::{Space, millis};

const LENGTH: usize = 24;

/// What stands in a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Text {
    holder: u64,
    until: Timestamp,
    token: u64,
}

impl Text {
    fn to_bytes(self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        bytes[..8].copy_from_slice(&self.holder.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.until.as_micros().to_be_bytes());
        bytes[16..].copy_from_slice(&self.token.to_be_bytes());
        bytes
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (numbers, rest) = bytes.as_chunks::<8>();
        let [holder, until, token] = *numbers else { return None };
        let until = Timestamp::from_micros(u64::from_be_bytes(until));
        let (holder, token) = (u64::from_be_bytes(holder), u64::from_be_bytes(token));
        rest.is_empty().then_some(Self { holder, until, token })
    }
}

impl Space {
    /// Asks for the lease of a key. `holder` tells our leases from those of others.
    pub(crate) async fn lease(&self, key: &str, duration: Duration, holder: u64) -> Result<Lease> {
        // Whoever has to wait for another process looks for what that one stores.
        let keys = [key];
        let _noted = self.noting(&keys);
        let now = self.now();
        let own = Text { holder, until: now.after(duration), token: fastrand::u64(..) };
        let text = own.to_bytes();
        let granted = Ok(Lease::Granted { token: own.token });
        let mut answers = self
            .only(Lane::Small, key, |names, _| {
                let mut set = Cmd::new();
                set.arg("SET").arg(&names.lease).arg(&text);
                set.arg("PX").arg(millis(duration)).arg("NX").arg("GET");
                let mut remaining = Cmd::new();
                remaining.arg("PTTL").arg(&names.lease);
                vec![set, remaining]
            })
            .await?
            .into_iter();
        let Some(held) = answer::bytes(answers.next())? else {
            return granted;
        };
        let remaining = answer::number(answers.next())?;
        match Text::read(&held) {
            // The server has heard us twice, as after a connection that broke.
            Some(held) if held == own => return granted,
            Some(held) if held.holder == holder && held.until <= now => {}
            _ => return Ok(lasting(remaining)),
        }
        if self.replace_lease(key, &held, &text, duration).await? {
            granted
        } else {
            Ok(lasting(-1))
        }
    }

    /// Puts a lease in place of one of ours that is over by our clock, but not by the server's.
    async fn replace_lease(
        &self,
        key: &str,
        old: &Bytes,
        new: &[u8],
        duration: Duration,
    ) -> Result<bool> {
        let answers = self
            .only(Lane::Small, key, |names, by| {
                let mut command = scripts::REPLACE.command(by, &[&names.lease]);
                command.arg(&old[..]).arg(new).arg(millis(duration));
                vec![command]
            })
            .await?;
        Ok(answer::number(answers.into_iter().next())? == 1)
    }

    /// Ends a lease; whether it still held.
    pub(crate) async fn release(&self, key: &str, token: u64) -> Result<bool> {
        let now = self.now().as_micros();
        let answers = self
            .only(Lane::Small, key, |names, by| {
                let mut command = scripts::RELEASE.command(by, &[&names.lease]);
                command.arg(&token.to_be_bytes()).arg(now);
                vec![command]
            })
            .await?;
        Ok(answer::number(answers.into_iter().next())? == 1)
    }
}

/// Somebody else has it, for what `PTTL` says: below zero is not known.
fn lasting(remaining: i64) -> Lease {
    Lease::Held { remaining: u64::try_from(remaining).ok().map(Duration::from_millis) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_read_as_it_was_written() {
        let text = Text { holder: 7, until: Timestamp::from_micros(1 << 50), token: u64::MAX };
        assert_eq!(Text::read(&text.to_bytes()), Some(text));
        assert_eq!(Text::read(&text.to_bytes()[1..]), None);
        assert_eq!(Text::read(b"somebody else wrote here what they wanted"), None);
    }
}
