//! Long random runs beside a simple model.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fastrand::Rng;
use larder_core::backend::{Deadlines, ScanRequest};
use larder_core::{Backend, Capabilities, Clock, Entry, Timestamp};

use super::keys::HOSTILE;
use super::{Subject, as_kept};
use crate::must::Must;

const STEPS: usize = 600;

/// Whatever is done in whatever order, the answers are those of a map.
pub async fn a_long_random_run_agrees_with_a_model(subject: &Subject) {
    let mut random = crate::seed::random();
    let mut model = Model { entries: BTreeMap::new() };
    let mut backend = subject.open().await;
    for step in 0..STEPS {
        let now = subject.place().clock().wall();
        model.entries.retain(|_, entry| !entry.meta.is_dead(now));
        if random.u16(..200) == 0 && backend.capabilities().contains(Capabilities::PERSIST) {
            backend.close().await.must();
            drop(backend);
            backend = subject.open().await;
        }
        model.step(subject, &*backend, &mut random, step).await;
    }
}

struct Model {
    entries: BTreeMap<String, Entry>,
}

impl Model {
    async fn step(
        &mut self,
        subject: &Subject,
        backend: &dyn Backend,
        random: &mut Rng,
        step: usize,
    ) {
        let key = HOSTILE[random.usize(..HOSTILE.len())];
        match random.u8(..20) {
            0..=6 => {
                let stored = random_entry(subject, random, step);
                backend.set(key, stored.clone()).await.must();
                self.entries.insert(key.to_owned(), as_kept(backend, stored));
            }
            7..=10 => {
                let found = backend.get(key).await.must();
                assert_eq!(found.as_ref(), self.entries.get(key), "{key:?} at step {step}");
            }
            11 | 12 => {
                let was_there = self.entries.remove(key).is_some();
                assert_eq!(backend.delete(key).await.must(), was_there, "{key:?} at {step}");
            }
            13 => {
                let found = backend.get_many(&HOSTILE).await.must();
                let expected = HOSTILE.iter().map(|&key| self.entries.get(key).cloned());
                assert_eq!(found, expected.collect::<Vec<_>>(), "at step {step}");
            }
            14 if backend.capabilities().contains(Capabilities::TOUCH) => {
                let hard = deadline(subject, random);
                let deadlines = Deadlines { soft: None, hard };
                let was_there = backend.touch(key, deadlines).await.must();
                let entry = self.entries.get_mut(key);
                assert_eq!(was_there, entry.is_some(), "{key:?} at step {step}");
                if let Some(entry) = entry {
                    (entry.meta.soft_deadline, entry.meta.hard_deadline) = (None, hard);
                }
            }
            15 if backend.capabilities().contains(Capabilities::SCAN) => {
                let listed = self.list(backend).await;
                let missing = self.entries.keys().find(|key| !listed.contains(*key));
                assert_eq!(missing, None, "at step {step}");
            }
            16 if random.u8(..5) == 0 => {
                backend.clear().await.must();
                self.entries.clear();
            }
            17 => subject.advance(Duration::from_millis(random.u64(..200_000))),
            18 => {
                let found = backend.meta(key).await.must();
                let expected = self.entries.get(key).map(|entry| entry.meta.clone());
                assert_eq!(found, expected, "{key:?} at step {step}");
            }
            _ => {
                let there = backend.exists(key).await.must();
                assert_eq!(there, self.entries.contains_key(key), "{key:?} at step {step}");
            }
        }
    }

    async fn list(&self, backend: &dyn Backend) -> BTreeSet<String> {
        let (mut keys, mut request) = (BTreeSet::new(), ScanRequest::all().limit(5));
        loop {
            let page = backend.scan(request.clone()).await.must();
            keys.extend(page.keys);
            if page.next.is_none() {
                return keys;
            }
            request = request.from_cursor(page.next);
        }
    }
}

fn random_entry(subject: &Subject, random: &mut Rng, step: usize) -> Entry {
    let mut entry = subject.full_entry(format!("{step} ").repeat(random.usize(..500)).as_bytes());
    entry.meta.soft_deadline = deadline(subject, random);
    entry.meta.hard_deadline = deadline(subject, random);
    entry.meta.negative = random.bool();
    entry.meta.tags.truncate(random.usize(..3));
    entry
}

/// No life is so short that a server, whose clock does not stand still, ends it during the run.
fn deadline(subject: &Subject, random: &mut Rng) -> Option<Timestamp> {
    let now = subject.place().clock().wall();
    (random.u8(..3) > 0).then(|| now.after(Duration::from_millis(random.u64(120_000..720_000))))
}
