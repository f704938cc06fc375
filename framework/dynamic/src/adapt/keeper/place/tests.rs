use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use super::*;

/// Says when it is dropped, and is garbage from then on.
#[derive(Debug)]
struct Thing {
    is_alive: AtomicBool,
    dropped: Arc<AtomicUsize>,
}

impl Thing {
    fn new(dropped: &Arc<AtomicUsize>) -> Self {
        Self { is_alive: AtomicBool::new(true), dropped: Arc::clone(dropped) }
    }
}

impl Drop for Thing {
    fn drop(&mut self) {
        self.is_alive.store(false, Ordering::Relaxed);
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

fn place() -> (Arc<AtomicUsize>, Place<Thing>) {
    let dropped = Arc::default();
    let place = Place::new(Thing::new(&dropped));
    (dropped, place)
}

fn count(dropped: &AtomicUsize) -> usize {
    dropped.load(Ordering::Relaxed)
}

fn wait_for(dropped: &AtomicUsize, expected: usize) {
    let until = Instant::now() + Duration::from_secs(60);
    while count(dropped) < expected {
        assert!(Instant::now() < until, "it is never dropped");
        thread::yield_now();
    }
}

#[test]
fn what_is_taken_away_is_had_when_nobody_visits_it_any_more() {
    let (dropped, place) = place();
    let visit = place.visit().expect("it stands there");
    let taken = place.exchange(None).expect("it stood there");
    assert!(place.visit().is_none());
    let taken = taken.try_into_inner().expect_err("it is visited");
    assert!(visit.is_alive.load(Ordering::Relaxed));
    drop(visit);
    let kept = Arc::clone(&taken.0);
    let taken = taken.try_into_inner().expect_err("it is shared");
    drop(kept);
    drop(taken.try_into_inner().expect("nobody has it"));
    assert_eq!(count(&dropped), 1);
}

#[test]
fn a_visit_within_a_visit_keeps_what_it_found() {
    let (dropped, place) = place();
    let outer = place.visit().expect("it stands there");
    let inner = place.visit().expect("it stands there");
    let next = Arc::new(Thing::new(&dropped));
    let taken = place.exchange(Some(next)).expect("it stood there");
    drop(outer);
    let taken = taken.try_into_inner().expect_err("it is visited from within");
    assert!(inner.is_alive.load(Ordering::Relaxed));
    drop(inner);
    drop(taken);
    assert_eq!(count(&dropped), 1);
    let kept = place.get().expect("the next one stands there");
    drop(place);
    assert!(kept.is_alive.load(Ordering::Relaxed));
    drop(kept);
    assert_eq!(count(&dropped), 2);
}

#[test]
fn what_nobody_waits_for_is_dropped_with_the_last_visit() {
    let (dropped, place) = place();
    let (place, (begun, begin), (end, ended)) = (&place, mpsc::channel(), mpsc::channel::<()>());
    thread::scope(|scope| {
        scope.spawn(move || {
            let visit = place.visit().expect("it stands there");
            begun.send(()).expect("it is waited for");
            ended.recv().ok();
            assert!(visit.is_alive.load(Ordering::Relaxed));
        });
        begin.recv().expect("it begins");
        drop(place.exchange(None));
        assert_eq!(count(&dropped), 0, "it is visited");
        drop(end);
    });
    wait_for(&dropped, 1);
}

#[test]
fn visits_of_many_threads_never_see_what_was_dropped() {
    const ROUNDS: usize = if cfg!(miri) { 20 } else { 2_000 };
    let (dropped, place) = place();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    if let Some(visit) = place.visit() {
                        assert!(visit.is_alive.load(Ordering::Relaxed), "it was dropped");
                    }
                }
            });
        }
        for round in 0..ROUNDS {
            let next = (round % 3 > 0).then(|| Arc::new(Thing::new(&dropped)));
            drop(place.exchange(next));
            thread::yield_now();
        }
        is_over.store(true, Ordering::Relaxed);
    });
    let made = 1 + (0..ROUNDS).filter(|round| round % 3 > 0).count();
    drop(place);
    wait_for(&dropped, made);
}

/// Looks there while the locals of its thread are being destroyed.
struct Late(Arc<Place<Thing>>);

impl Drop for Late {
    fn drop(&mut self) {
        assert!(self.0.visit().is_some_and(|visit| visit.is_alive.load(Ordering::Relaxed)));
    }
}

thread_local! {
    static LATE: std::cell::Cell<Option<Late>> = const { std::cell::Cell::new(None) };
}

#[test]
fn a_thread_may_visit_while_it_ends() {
    let (_, place) = place();
    let place = Arc::new(place);
    for is_first in [true, false] {
        let place = Arc::clone(&place);
        let thread = thread::spawn(move || {
            // Destroyed in the order of first use, so the lease goes before it or after it.
            if is_first {
                drop(place.visit());
            }
            LATE.set(Some(Late(Arc::clone(&place))));
            drop(place.visit());
        });
        thread.join().expect("a late visit must not panic");
    }
}
