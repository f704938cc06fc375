//! Where values stand on the axes.

/// Labels of the lower axis keep this distance.
const LABEL: f64 = 46.0;
/// Points keep this distance from the ends of the lower axis.
const MARGIN: f64 = 18.0;
/// From here on sizes differ too much for a linear axis.
const WIDE: f64 = 8.0;

/// The lower axis: capacities, on a logarithmic scale when they differ much.
#[derive(Debug)]
pub(super) struct Across {
    /// The distinct capacities, in their order.
    capacities: Vec<u64>,
    is_logarithmic: bool,
    from: f64,
    to: f64,
}

impl Across {
    pub(super) fn new(capacities: impl Iterator<Item = u64>, from: f64, to: f64) -> Self {
        let mut capacities: Vec<u64> = capacities.collect();
        capacities.sort_unstable();
        capacities.dedup();
        let ends = capacities.first().zip(capacities.last());
        let is_logarithmic = ends.is_some_and(|(least, most)| *most as f64 >= WIDE * *least as f64);
        Self { capacities, is_logarithmic, from: from + MARGIN, to: to - MARGIN }
    }

    pub(super) fn position(&self, capacity: u64) -> f64 {
        let ends = self.capacities.first().zip(self.capacities.last());
        let ends = ends.map(|(least, most)| (self.scaled(*least), self.scaled(*most)));
        match ends {
            Some((least, most)) if most > least => {
                let share = (self.scaled(capacity) - least) / (most - least);
                self.from + share * (self.to - self.from)
            }
            _ => f64::midpoint(self.from, self.to),
        }
    }

    /// The capacities that have room for a label, and where they stand.
    pub(super) fn ticks(&self) -> Vec<(u64, f64)> {
        let mut ticks: Vec<(u64, f64)> = Vec::new();
        for capacity in &self.capacities {
            let x = self.position(*capacity);
            if ticks.last().is_none_or(|(_, last)| x - last >= LABEL) {
                ticks.push((*capacity, x));
            }
        }
        ticks
    }

    pub(super) const fn title(&self) -> &'static str {
        if self.is_logarithmic { "capacity in entries, logarithmic" } else { "capacity in entries" }
    }

    fn scaled(&self, capacity: u64) -> f64 {
        if self.is_logarithmic { (capacity as f64).ln() } else { capacity as f64 }
    }
}

/// The left axis: hit ratios, from one step of the grid to another, with all of them in between.
#[derive(Debug)]
pub(super) struct Up {
    /// In steps of the grid, as are all bounds.
    least: u8,
    most: u8,
    step: u8,
    bottom: f64,
    top: f64,
}

impl Up {
    /// The grid has lines every 5, 10 or 20 percent.
    pub(super) fn new(ratios: impl Iterator<Item = f64>, bottom: f64, top: f64) -> Self {
        let (least, most) =
            ratios.fold((1.0_f64, 0.0_f64), |(least, most), r| (least.min(r), most.max(r)));
        let (least, most) = (least.min(most), most.max(least));
        let step = match most - least {
            spread if spread <= 0.2 => 5,
            spread if spread <= 0.6 => 10,
            _ => 20,
        };
        let steps = |ratio: f64| ratio * 100.0 / f64::from(step);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "ratios are from 0 to 1"
        )]
        let (least, most) = (steps(least).floor() as u8, steps(most).ceil() as u8);
        let most = most.max(least + 1);
        Self { least, most, step, bottom, top }
    }

    pub(super) fn position(&self, ratio: f64) -> f64 {
        let steps = ratio * 100.0 / f64::from(self.step);
        let share = (steps - f64::from(self.least)) / f64::from(self.most - self.least);
        self.bottom + share * (self.top - self.bottom)
    }

    /// The lines of the grid.
    pub(super) fn ticks(&self) -> impl Iterator<Item = (f64, f64)> {
        (self.least..=self.most).map(|steps| {
            let ratio = f64::from(steps) * f64::from(self.step) / 100.0;
            (ratio, self.position(ratio))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_differ_much_stand_on_a_logarithmic_scale() {
        let near = Across::new([100, 300, 200].into_iter(), 0.0, 236.0);
        assert_eq!([100, 200, 300].map(|capacity| near.position(capacity)), [18.0, 118.0, 218.0]);
        let far = Across::new([10_000, 100, 1000].into_iter(), 0.0, 236.0);
        let found = [100, 1000, 10_000].map(|capacity| far.position(capacity).round());
        assert_eq!(found, [18.0, 118.0, 218.0]);
        assert_ne!(near.title(), far.title());
    }

    #[test]
    fn a_single_size_stands_in_the_middle_and_labels_never_overlap() {
        assert_eq!(Across::new([7].into_iter(), 0.0, 100.0).position(7), 50.0);
        let many = Across::new(1..=100, 0.0, 500.0).ticks();
        assert!(many.len() > 5 && many.windows(2).all(|two| two[1].1 - two[0].1 >= LABEL));
    }

    #[test]
    fn the_grid_holds_all_ratios() {
        for ratios in [&[0.0, 1.0][..], &[0.411, 0.583], &[1.0], &[0.0], &[0.5, 0.5], &[]] {
            let up = Up::new(ratios.iter().copied(), 400.0, 100.0);
            assert!(up.ticks().count() >= 2, "{ratios:?}");
            for ratio in ratios {
                let y = up.position(*ratio);
                assert!((99.9..=400.1).contains(&y), "{ratio} of {ratios:?} stands at {y}");
            }
        }
        let up = Up::new([0.411, 0.583].into_iter(), 400.0, 100.0);
        let lines: Vec<f64> = up.ticks().map(|(ratio, _)| ratio).collect();
        assert_eq!(lines, [0.40, 0.45, 0.50, 0.55, 0.60]);
    }
}
