//! Room that is kept: for the first gang that does not fit, the nodes where it will be when enough of those that run have
//! ended (EASY backfill: Lifka, JSSPP 1995). Who ends before then may use them; whoever does not, may not.

use std::collections::{BTreeMap, BTreeSet};

use corliss_types::Timestamp;

use super::{Scheduler, Stage};
use crate::cluster::{Cluster, Wanted};
use crate::nodes::{Ask, Node, Spot};
use crate::plan::Wait;

/// So many of those that run are looked ahead to.
const ENDS_MAX: usize = 10_000;

/// What is kept for the head.
#[derive(Debug)]
pub(super) struct Reservation {
    /// When it fits at the latest; none if nobody knows.
    at_ms: Option<i64>,
    nodes: BTreeSet<u32>,
}

impl Reservation {
    pub(super) fn at(&self) -> Option<Timestamp> {
        self.at_ms.map(Timestamp::from_millis)
    }

    /// How long a gang may run so that it ends in time.
    pub(super) fn leaves_ms(&self, now_ms: i64) -> Option<u64> {
        u64::try_from(self.at_ms?.saturating_sub(now_ms)).ok()
    }

    /// The nodes that a gang may not use which ends at this time, if that is known.
    pub(super) fn barred(&self, ends_ms: Option<i64>) -> BTreeSet<u32> {
        match (ends_ms, self.at_ms) {
            (Some(ends), Some(at)) if ends <= at => BTreeSet::new(),
            _ => self.nodes.clone(),
        }
    }
}

impl Scheduler {
    /// When and where the head will fit. If nobody knows, nothing is kept until it has waited too long, and from then on
    /// every node that it could use.
    pub(super) fn reserve(&mut self, head: u64) -> Option<Reservation> {
        let entry = self.gangs.get(&head)?;
        let (wanted, submitted_ms) = (entry.gang.wanted.clone(), entry.gang.submitted.as_millis());
        let found = self.fits_after(head, &wanted);
        let reservation = match found {
            Some((at_ms, nodes)) => Reservation {
                at_ms: Some(at_ms),
                nodes,
            },
            None if self.is_out_of_patience(submitted_ms) => Reservation {
                at_ms: None,
                nodes: (0..self.empty.len())
                    .filter(|node| {
                        self.empty
                            .node(*node)
                            .is_some_and(|(total, _)| total.fits(&wanted.ask))
                    })
                    .collect(),
            },
            None => Reservation {
                at_ms: None,
                nodes: BTreeSet::new(),
            },
        };
        self.tell(head, reservation.at());
        Some(reservation)
    }

    /// When enough of those will have ended that run, and the nodes where the head is then.
    fn fits_after(&mut self, head: u64, wanted: &Wanted) -> Option<(i64, BTreeSet<u32>)> {
        let soon = self.now_ms.saturating_add(1);
        let ending = self.ending.iter().map(|number| (soon, *number));
        let known = self.afoot.by_end().map(|(at, number)| (soon.max(at), number));
        let ends: Vec<(i64, u64)> = ending.chain(known.take(ENDS_MAX)).collect();
        // How many of its workers have room, by what has ended; where they are is looked at when that is enough.
        let mut room = self.cluster.room_for(&wanted.ask);
        let mut nodes: BTreeMap<u32, Node> = BTreeMap::new();
        let mut ended = Vec::new();
        let mut given = 0;
        let mut found = None;
        for (at_ms, number) in ends {
            let Some((ask, spots)) = self.places(number) else {
                continue;
            };
            for spot in spots {
                room = self.with_room_of(&mut nodes, spot, ask, wanted, room);
            }
            ended.push(number);
            if room < u64::from(wanted.least) {
                continue;
            }
            for number in ended.get(given..).unwrap_or_default().to_vec() {
                self.move_places(number, Cluster::give);
            }
            given = ended.len();
            if let Some(kept) = self.place(head, std::slice::from_ref(wanted), &BTreeSet::new()) {
                for spot in &kept {
                    self.cluster.give(&wanted.ask, spot);
                }
                found = Some((at_ms, kept.iter().map(|spot| spot.node).collect()));
                break;
            }
        }
        for number in ended.into_iter().take(given) {
            self.move_places(number, Cluster::take);
        }
        found
    }

    /// How many workers have room when a spot is given back as well; `nodes` are those of which some were.
    pub(super) fn with_room_of(
        &self,
        nodes: &mut BTreeMap<u32, Node>,
        spot: &Spot,
        ask: &Ask,
        wanted: &Wanted,
        room: u64,
    ) -> u64 {
        let Some((_, free)) = self
            .cluster
            .node(spot.node)
            .filter(|_| self.cluster.is_open(spot.node))
        else {
            return room;
        };
        let node = nodes.entry(spot.node).or_insert_with(|| free.clone());
        let before = u64::from(node.room_for(&wanted.ask));
        node.give(ask, &spot.accelerators);
        room.saturating_sub(before)
            .saturating_add(node.room_for(&wanted.ask).into())
    }

    pub(super) fn places(&self, number: u64) -> Option<(&Ask, &[Spot])> {
        let entry = self.gangs.get(&number)?;
        match &entry.stage {
            Stage::Running { spots, .. } => Some((&entry.gang.wanted.ask, spots)),
            _ => None,
        }
    }

    fn move_places(&mut self, number: u64, to: fn(&mut Cluster, &Ask, &Spot)) {
        let Some(entry) = self.gangs.get(&number) else {
            return;
        };
        if let Stage::Running { spots, .. } = &entry.stage {
            for spot in spots {
                to(&mut self.cluster, &entry.gang.wanted.ask, spot);
            }
        }
    }

    /// The head's reason says when.
    fn tell(&mut self, head: u64, when: Option<Timestamp>) {
        let stage = self.gangs.get(&head).map(|entry| &entry.stage);
        if let Some(Stage::Waiting(line, _)) = stage
            && let Some(Wait::NotEnoughFree { at, .. }) = self.lines.reason_mut(*line)
        {
            *at = when;
        }
    }
}
