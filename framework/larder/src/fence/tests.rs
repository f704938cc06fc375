//! What a fill may rely on.

use super::*;

#[test]
fn a_fill_is_refused_after_its_key_or_everything_changed() {
    for fence in [Fence::new(), Fence::strict()] {
        let ticket = fence.ticket(5);
        assert_eq!(ticket.fill(|| 1), Some(1));
        change(&fence, 5 + MAX_STRIPES as u64);
        assert_eq!(ticket.fill(|| 1), Some(1), "another key of the same stripe");
        change(&fence, 5);
        assert_eq!(ticket.fill(|| 1), None);
        let ticket = fence.ticket(5);
        assert!(ticket.holds());
        fence.change_all(|| ());
        assert!(!ticket.holds());
        assert_eq!(ticket.end(|(), is_current| is_current), Some(false));
        assert!(fence.ticket(5).holds());
    }
}

#[test]
fn a_ticket_that_is_taken_again_stands_for_the_same_point_in_time() {
    let fence = Fence::new();
    let first = fence.ticket(5);
    let again = first.again().unwrap();
    drop(first);
    assert!(again.holds());
    change(&fence, 5);
    assert!(!again.holds() && again.again().is_none());
}

#[test]
fn a_ticket_leaves_nothing_behind() {
    let fence = Fence::new();
    let tickets = [fence.ticket(1), fence.ticket(1), fence.ticket(2)];
    let [first, second, third] = tickets;
    drop(second);
    assert_eq!(first.end(|(), is_current| is_current), Some(true));
    drop(third);
    assert!(fence.stripes.iter().all(|stripe| stripe.lock().out.is_empty()));
}

#[test]
fn who_comes_second_finds_what_the_first_carries_while_it_holds() {
    let fence: Arc<Fence<u8>> = Fence::new();
    let join = |load| Fence::join(&*fence, 7, |load| Some(*load), || load);
    let first = join(1).unwrap();
    assert_eq!(join(2).unwrap_err(), 1);
    fence.set(7, || ());
    let second = join(3).unwrap();
    assert_eq!(join(4).unwrap_err(), 3, "the first does not hold any more");
    assert_eq!(first.end(|load, is_current| (load, is_current)), Some((1, false)));
    drop(second);
    assert_eq!(join(5).unwrap().end(|load, _| load), Some(5));
    assert_eq!(fence.tally(), Tally { loads: 3, sets: 1 });
}

#[test]
fn a_change_waits_for_a_fill_that_has_begun() {
    let fence = Fence::new();
    let ticket = fence.ticket(3);
    let (begun, has_begun) = std::sync::mpsc::channel();
    let (order, in_order) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let changed = order.clone();
        let fence = &fence;
        scope.spawn(move || {
            has_begun.recv().unwrap();
            fence.change(3, || changed.send("changed").unwrap());
        });
        ticket.fill(|| {
            begun.send(()).unwrap();
            for _ in 0..1_000 {
                std::thread::yield_now();
            }
            order.send("filled").unwrap();
        });
    });
    drop(ticket);
    assert_eq!(in_order.iter().take(2).collect::<Vec<_>>(), ["filled", "changed"]);
}

#[test]
fn a_change_that_finds_no_ticket_out_makes_the_next_one_short() {
    let fence = Fence::new();
    let is_marked = || fence.stripe(1).state.load(Ordering::Relaxed) & IS_OUT != 0;
    drop(fence.ticket(1));
    assert!(is_marked(), "the last ticket leaves the mark");
    change(&fence, 1);
    assert!(!is_marked());
    let ticket = fence.ticket(1);
    assert!(is_marked());
    change(&fence, 1);
    assert!(is_marked() && !ticket.holds());
}

#[test]
fn what_was_read_before_a_change_never_ends_up_in_the_store() {
    let (source, store) = (AtomicU64::new(0), AtomicU64::new(0));
    let (fence, both) = (Fence::new(), std::sync::Barrier::new(2));
    let load = || {
        let ticket = fence.ticket(1);
        let read = source.load(Ordering::Relaxed);
        ticket.fill(|| store.store(read, Ordering::Relaxed));
    };
    let mut old = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..ROUNDS {
                both.wait();
                load();
                both.wait();
            }
        });
        for round in 1..=ROUNDS {
            both.wait();
            source.store(round, Ordering::Relaxed);
            fence.set(1, || store.store(round, Ordering::Relaxed));
            both.wait();
            old += u64::from(store.load(Ordering::Relaxed) != round);
        }
    });
    assert_eq!((old, fence.tally().sets), (0, ROUNDS));
}

const ROUNDS: u64 = 2_000;

fn change(fence: &Fence, hash: u64) {
    fence.change(hash, || ());
}
