use super::*;
use crate::simulation::{Reference, Simulation, compare};

/// The three lists, oldest first. The sketch has tests of its own.
struct Model {
    window: Vec<(SlotId, u64)>,
    probation: Vec<(SlotId, u64)>,
    protected: Vec<(SlotId, u64)>,
    sketch: Sketch,
}

impl Model {
    fn new() -> Self {
        let (window, probation, protected, sketch) = Default::default();
        Self { window, probation, protected, sketch }
    }

    fn len(&self) -> usize {
        self.window.len() + self.probation.len() + self.protected.len()
    }
}

impl Reference for Model {
    fn insert(&mut self, slot: SlotId, hash: u64) {
        self.window.push((slot, hash));
        self.sketch.fit(self.len());
        self.sketch.add(hash);
    }

    fn hit(&mut self, slot: SlotId) {
        let lists = [&mut self.window, &mut self.probation, &mut self.protected];
        let is_here = |entry: &(SlotId, u64)| entry.0 == slot;
        let (list, at) = (0..3)
            .find_map(|list| Some((list, lists[list].iter().position(is_here)?)))
            .expect("it was inserted");
        let entry = lists[list].remove(at);
        lists[if list == 0 { 0 } else { 2 }].push(entry);
        self.sketch.add(entry.1);
    }

    fn remove(&mut self, slot: SlotId, _: bool) {
        for list in [&mut self.window, &mut self.probation, &mut self.protected] {
            list.retain(|entry| entry.0 != slot);
        }
    }

    fn victim(&mut self) -> SlotId {
        let room = ((self.len() as f64 * 0.25).round() as usize).max(1);
        while self.window.len() > room {
            self.probation.push(self.window.remove(0));
        }
        let protected = ((self.len() - room) as f64 * 0.8) as usize;
        while self.protected.len() > protected {
            self.probation.push(self.protected.remove(0));
        }
        let main = self.probation.first().or(self.protected.first()).copied();
        let Some((victim, its_hash)) = main else {
            return self.window[0].0;
        };
        if self.window.len() < room {
            return victim;
        }
        let (candidate, hash) = self.window[0];
        if self.sketch.estimate(hash) <= self.sketch.estimate(its_hash) {
            return candidate;
        }
        self.probation.push(self.window.remove(0));
        victim
    }
}

/// A window of a quarter that stays, and no luck: what a simple model can follow.
#[derive(Debug, Deserialize, JsonSchema)]
struct Plain {}

impl PolicyConfig for Plain {
    const KIND: &'static str = "w-tinylfu";
    const SUMMARY: &'static str = "decides by the sketch only";
    type Policy = WTinyLfu;

    fn build(&self, capacity: Capacity) -> WTinyLfu {
        let window_ratio = Share::new(0.25).unwrap();
        let config = WTinyLfuConfig { window_ratio, adaptive: false, ..Default::default() };
        WTinyLfu { luck: 0, ..config.build(capacity) }
    }
}

#[test]
fn victims_are_those_of_the_paper() {
    compare(&Plain {}, Model::new);
}

#[test]
fn a_popular_key_is_kept_and_a_rare_one_is_not() {
    let mut simulation = Simulation::new(&Plain {}, 1);
    let popular: Vec<SlotId> = (0..8).map(|hash| simulation.insert(hash)).collect();
    for slot in popular.iter().cycle().take(40) {
        simulation.hit(*slot);
    }
    for hash in 100..120 {
        let victim = simulation.victim().unwrap();
        simulation.remove(victim, true);
        simulation.insert(hash);
    }
    let window = 2;
    let kept = simulation.hashes().into_iter().filter(|hash| *hash < 8).count();
    assert!(kept >= 8 - window, "{kept} of 8");
}

#[test]
fn ratios_that_leave_a_list_empty_are_problems() {
    let share = |share| Share::new(share).unwrap();
    for (window, protected, problems) in
        [(0.0, 0.8, 0), (1.0, 0.8, 1), (0.5, 0.0, 1), (1.0, 1.0, 2)]
    {
        let config = WTinyLfuConfig {
            window_ratio: share(window),
            protected_ratio: share(protected),
            ..WTinyLfuConfig::default()
        };
        let found = config.validate(&KeyPath::root());
        assert_eq!(found.map_or_else(|found| found.iter().count(), |()| 0), problems);
    }
}
