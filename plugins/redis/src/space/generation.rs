//! Which generation of the cache is the current one: kept here, asked for at the server.

use std::sync::atomic::Ordering;

use larder_core::{Bytes, CacheError, ErrorKind, Result};
use redis::Cmd;

use super::Space;
use crate::answer;
use crate::keys::Generation;
use crate::scripts;

impl Space {
    /// The generation that was current when last asked; asks if that never was.
    pub(crate) async fn generation(&self) -> Result<Generation> {
        match self.known() {
            known if known == Generation::default() => self.advance(None).await,
            known => Ok(known),
        }
    }

    pub(crate) fn known(&self) -> Generation {
        Generation::from_number(self.generation.load(Ordering::Acquire))
    }

    fn learn(&self, generation: Generation) {
        let before = self.generation.fetch_max(generation.number(), Ordering::AcqRel);
        if before < generation.number() {
            self.has_garbage.notify_one();
        }
    }

    /// The generation of the cache at the server: none that is older than one that was seen, and
    /// not `over`, if that is given.
    pub(crate) async fn advance(&self, over: Option<Generation>) -> Result<Generation> {
        let known = self.known().to_string();
        let over = over.map(|over| over.to_string()).unwrap_or_default();
        let keys = [&*self.keys.control, &*self.keys.garbage];
        let add = |mut command: Cmd| {
            command.arg(&known).arg(&over);
            command
        };
        let answer = self.run(&scripts::ADVANCE, &keys, add).await?;
        let text = answer::bytes(Some(answer))?.unwrap_or_default();
        let generation = Generation::read(&text).ok_or_else(|| {
            CacheError::new(ErrorKind::Connection, "the generation of the cache makes no sense")
                .with("key", &self.keys.control)
                .hint("remove this key from the server; the cache is then empty")
        })?;
        self.learn(generation);
        Ok(generation)
    }

    /// Whether a generation was the current one when the answers were made that came with
    /// `control`, the text at the key of that name. If not, another one is known afterwards.
    pub(crate) async fn is_current(
        &self,
        generation: Generation,
        control: Option<Bytes>,
    ) -> Result<bool> {
        if self.is_latest(generation, control.as_deref()) {
            return Ok(true);
        }
        match control.and_then(|text| Generation::read(&text)) {
            Some(current) if current > self.known() => self.learn(current),
            // It was lost or went back, as after an eviction, a flush, or a failover to a server
            // that was behind. What is there may be of before a clear.
            _ => drop(self.advance(None).await?),
        }
        Ok(false)
    }

    /// Whether a generation was the current one, and none that is later is known.
    pub(crate) fn is_latest(&self, generation: Generation, control: Option<&[u8]>) -> bool {
        control.is_some_and(|text| generation.is_read_from(text)) && generation >= self.known()
    }

    pub(crate) fn ask_control(&self) -> Cmd {
        let mut command = Cmd::new();
        command.arg("GET").arg(&*self.keys.control);
        command
    }
}
