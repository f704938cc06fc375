//! Reading whole entries, and the generation with them.

use std::collections::BTreeMap;

use futures_util::future::{join, join_all};
use larder_core::{Bytes, CacheError, ErrorKind, Result};
use redis::Cmd;

use super::{ATTEMPTS, Space, restless};
use crate::answer;
use crate::connection::{Lane, RedisConnection, Route};
use crate::keys::Generation;

impl Space {
    /// Reads the whole entries of some keys; answers in their order.
    pub(crate) async fn fetch<K: AsRef<str>>(
        &self,
        lane: Lane,
        keys: &[K],
    ) -> Result<Vec<Option<Bytes>>> {
        for _ in 0..ATTEMPTS {
            let generation = self.generation().await?;
            let (found, control) = if self.connection.is_cluster() {
                self.fetch_cluster(lane, generation, keys).await?
            } else {
                self.fetch_one_server(lane, generation, keys).await?
            };
            if self.is_current(generation, control).await? {
                return Ok(found);
            }
        }
        Err(restless())
    }

    /// All in one command, which sees one generation and the entries of one instant.
    async fn fetch_one_server<K: AsRef<str>>(
        &self,
        lane: Lane,
        generation: Generation,
        keys: &[K],
    ) -> Result<(Vec<Option<Bytes>>, Option<Bytes>)> {
        let mut command = Cmd::with_capacity(keys.len() + 2, keys.len() * 64);
        command.arg("MGET").arg(&self.keys.control);
        let mut names = self.keys.namer(generation);
        for key in keys {
            command.arg(names.entry(key.as_ref()));
        }
        let answer = self.send_one(lane, Route::Key(&self.keys.control), command).await?;
        let mut found = answer::many(Some(answer))?.into_iter();
        let control = answer::bytes(found.next())?;
        let found: Result<Vec<_>> = found.map(|value| answer::bytes(Some(value))).collect();
        Ok((complete(found?, keys.len())?, control))
    }

    async fn fetch_cluster<K: AsRef<str>>(
        &self,
        lane: Lane,
        generation: Generation,
        keys: &[K],
    ) -> Result<(Vec<Option<Bytes>>, Option<Bytes>)> {
        let mut slots: BTreeMap<u16, Vec<(usize, String)>> = BTreeMap::new();
        for (at, key) in keys.iter().enumerate() {
            let name = self.keys.entry(generation, key.as_ref());
            slots.entry(RedisConnection::slot(&name)).or_default().push((at, name));
        }
        let per_slot = slots.into_values().map(|names| async move {
            let mut command = Cmd::new();
            command.arg("MGET");
            for (_, name) in &names {
                command.arg(name);
            }
            let route = Route::Key(&names[0].1);
            let answer = self.send_one(lane, route, command).await?;
            let values = answer::many(Some(answer))?;
            let found: Result<Vec<_>> =
                values.into_iter().map(|v| answer::bytes(Some(v))).collect();
            let found = complete(found?, names.len())?;
            Ok(names.into_iter().map(|(at, _)| at).zip(found).collect::<Vec<_>>())
        });
        let control =
            self.send_one(Lane::Small, Route::Key(&self.keys.control), self.ask_control());
        let (parts, control) = join(join_all(per_slot), control).await;
        let mut found = vec![None; keys.len()];
        for (at, value) in self.of_slots(parts)?.into_iter().flatten() {
            found[at] = value;
        }
        Ok((found, answer::bytes(Some(control?))?))
    }
}

/// Whether a server has answered for all that it was asked.
fn complete(found: Vec<Option<Bytes>>, asked: usize) -> Result<Vec<Option<Bytes>>> {
    if found.len() == asked {
        return Ok(found);
    }
    Err(CacheError::new(ErrorKind::Connection, "the server answered for too few or too many keys")
        .with("asked", asked)
        .with("answered", found.len()))
}
