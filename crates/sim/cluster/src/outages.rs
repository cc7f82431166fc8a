//! Nodes that fail and are repaired.
//!
//! Drawn ones make of each node one that is up and down in turns, both for times of an exponential distribution and whatever
//! runs there: the model that availability is usually computed by, in which a node is down repair / (mtbf + repair) of the
//! time. Recorded failures come in bursts more than that, and single repairs take longer (Schroeder, Gibson, DSN 2006); who
//! has a record plays [`Outages::These`]. Each node has draws of its own, so that all policies meet the same failures.

use std::collections::BTreeSet;

use crate::random::Random;

/// Longest time that is drawn, in milliseconds: three centuries.
const MS_MAX: f64 = 1e13;

/// Which nodes fail, and for how long.
#[derive(Debug, Clone, Default)]
pub enum Outages {
    /// None does.
    #[default]
    Never,
    /// Each does so often.
    Drawn {
        /// How long a node is up on the mean, in milliseconds.
        mtbf_ms: u64,
        /// How long it is down then on the mean, in milliseconds.
        repair_ms: u64,
        /// What draws are made of.
        seed: u64,
    },
    /// These do; of one node the next begins after the one before is over.
    These(Vec<Outage>),
}

/// A node that is down for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outage {
    /// The node, by its place in the view.
    pub node: u32,
    /// From when, in milliseconds as arrivals are.
    pub from_ms: i64,
    /// Until when.
    pub until_ms: i64,
}

/// What becomes of a node. Where both happen in one moment it is up before it fails again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Turn {
    Up,
    Down,
}

/// What becomes of all nodes, in order.
pub(crate) struct Course {
    means_ms: [u64; 2],
    /// By node; none where nothing is drawn.
    draws: Vec<Random>,
    next: BTreeSet<(i64, Turn, u32)>,
}

impl Course {
    /// Of so many nodes, from then on.
    pub fn of(outages: &Outages, nodes: u32, from_ms: i64) -> Self {
        let mut course = Self {
            means_ms: [0, 0],
            draws: Vec::new(),
            next: BTreeSet::new(),
        };
        match outages {
            Outages::Never => {}
            Outages::These(these) => {
                for outage in these.iter().filter(|outage| outage.node < nodes) {
                    course.next.insert((outage.from_ms, Turn::Down, outage.node));
                    course
                        .next
                        .insert((outage.until_ms.max(outage.from_ms + 1), Turn::Up, outage.node));
                }
            }
            Outages::Drawn {
                mtbf_ms,
                repair_ms,
                seed,
            } => {
                course.means_ms = [*mtbf_ms, *repair_ms];
                let all = Random(*seed).next();
                for node in 0..nodes {
                    // Streams of one generator that begin at neighbours would be each other's, moved by one.
                    course.draws.push(Random(Random(all ^ u64::from(node)).next()));
                    course.draw(Turn::Down, node, from_ms);
                }
            }
        }
        course
    }

    /// When something becomes of a node next.
    pub fn next_ms(&self) -> Option<i64> {
        self.next.first().map(|(at, ..)| *at)
    }

    /// What has become of a node until now, one after another.
    pub fn until(&mut self, now_ms: i64) -> Option<(Turn, u32)> {
        let (at_ms, turn, node) = self.next.first().copied().filter(|(at, ..)| *at <= now_ms)?;
        self.next.pop_first();
        let then = match turn {
            Turn::Up => Turn::Down,
            Turn::Down => Turn::Up,
        };
        self.draw(then, node, at_ms);
        Some((turn, node))
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "a time in range, drawn"
    )]
    fn draw(&mut self, turn: Turn, node: u32, from_ms: i64) {
        let [mtbf_ms, repair_ms] = self.means_ms;
        let mean_ms = match turn {
            Turn::Down => mtbf_ms,
            Turn::Up => repair_ms,
        };
        if let Some(random) = self.draws.get_mut(node as usize) {
            let lasts_ms = (random.exponential() * mean_ms as f64).clamp(1.0, MS_MAX) as i64;
            self.next.insert((from_ms.saturating_add(lasts_ms), turn, node));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(seed: u64, nodes: u32) -> Course {
        let drawn = Outages::Drawn {
            mtbf_ms: 900_000,
            repair_ms: 100_000,
            seed,
        };
        Course::of(&drawn, nodes, 0)
    }

    #[test]
    fn a_node_is_down_for_its_share_of_the_time_and_up_and_down_in_turns() {
        let mut course = course(7, 1);
        let (mut down_ms, mut since_ms, mut before) = (0, 0, Turn::Up);
        for _ in 0..20_000 {
            let at = course.next_ms().unwrap();
            let (turn, node) = course.until(at).unwrap();
            assert!(turn != before && node == 0);
            if turn == Turn::Up {
                down_ms += at - since_ms;
            }
            (since_ms, before) = (at, turn);
        }
        assert!(
            (95..105).contains(&(down_ms * 1_000 / since_ms)),
            "{down_ms} of {since_ms}"
        );
    }

    #[test]
    fn a_seed_repeats_itself_and_nodes_do_not_repeat_each_other() {
        let all = |seed| course(seed, 100).next.into_iter().collect::<Vec<_>>();
        assert_eq!(all(1), all(1));
        assert_ne!(all(1), all(2));
        let moments: BTreeSet<i64> = all(1).into_iter().map(|(at, ..)| at).collect();
        assert_eq!(moments.len(), 100);
        // More nodes change nothing of those that there were.
        let few: Vec<_> = course(1, 3).next.into_iter().collect();
        assert!(few.iter().all(|one| all(1).contains(one)));
    }
}
