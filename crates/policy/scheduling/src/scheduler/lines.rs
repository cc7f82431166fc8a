//! Lines of gangs that wait: in each those of one queue and user that ask for the same, by their turn.

use std::collections::{BTreeMap, BTreeSet};

use crate::cluster::Wanted;
use crate::plan::Wait;

pub(super) type LineId = u32;

/// So many of a line are considered for room that is kept for others later.
const SHORTEST: usize = 64;

/// Whose turn it is: less is sooner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Turn {
    /// The negative of its priority.
    pub behind: i64,
    /// What the queue's order says.
    pub order: u128,
    pub submitted_ms: i64,
    /// When it became known: the same moment has an order too.
    pub number: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Line {
    pub queue: usize,
    pub user: String,
    pub wanted: Wanted,
    members: BTreeSet<Turn>,
    /// Those of them that say how long they still run, the shortest first.
    by_run: BTreeSet<(u64, Turn)>,
    /// Why its first has not started; none if it has not been asked since something happened.
    parked: Option<Wait>,
    /// Whether it is known that its gangs could run.
    pub is_possible: bool,
}

/// What has happened since lines were parked.
pub(super) struct News<'a> {
    /// Whether everything has to be looked at again.
    pub all: bool,
    /// Whether more is free of any node.
    pub is_more_free: bool,
    /// The outermost queue of a queue's tree.
    pub root_of: &'a dyn Fn(usize) -> usize,
    /// Whether a queue's gangs take others' places.
    pub may_preempt: &'a dyn Fn(usize) -> bool,
    /// Whether one worker fits on a node of which more is free.
    pub fits: &'a dyn Fn(&Wanted) -> bool,
}

/// Whether it is not for one before it in its queue that it waits.
const fn blocks(reason: &Wait) -> bool {
    matches!(
        reason,
        Wait::NotEnoughFree { .. } | Wait::OverQuota { .. } | Wait::KeptFree { .. }
    )
}

/// All lines. Those that are to be asked are in `open`, by their first.
#[derive(Debug, Clone, Default)]
pub(super) struct Lines {
    lines: Vec<Line>,
    vacant: Vec<LineId>,
    by_kind: BTreeMap<(usize, String, Wanted), LineId>,
    /// By queue.
    open: BTreeMap<usize, BTreeSet<(Turn, LineId)>>,
    /// By queue: every line that somebody stands in.
    of_queue: BTreeMap<usize, BTreeSet<LineId>>,
    /// By queue: lines whose first was asked in vain, and not because of others in the queue.
    blocking: BTreeMap<usize, BTreeSet<(Turn, LineId)>>,
    /// Queues of which a line that blocked others does so no more.
    unblocked: BTreeSet<usize>,
    /// Gangs of queues that are not there.
    strays: BTreeSet<u64>,
    /// Outermost queues below which something of a quota was given back.
    roots_freed: BTreeSet<usize>,
}

impl Lines {
    pub(super) fn get(&self, line: LineId) -> &Line {
        &self.lines[line as usize]
    }

    pub(super) fn possible(&mut self, line: LineId) {
        self.lines[line as usize].is_possible = true;
    }

    pub(super) fn stray(&mut self, number: u64) {
        self.strays.insert(number);
    }

    pub(super) fn forget_stray(&mut self, number: u64) {
        self.strays.remove(&number);
    }

    pub(super) fn strays(&mut self) -> BTreeSet<u64> {
        std::mem::take(&mut self.strays)
    }

    pub(super) fn quota_freed(&mut self, root: usize) {
        self.roots_freed.insert(root);
    }

    /// A gang stands in its line; `run_ms` is how long it still runs, if that is known.
    pub(super) fn join(
        &mut self,
        queue: usize,
        user: &str,
        wanted: &Wanted,
        turn: Turn,
        run_ms: Option<u64>,
    ) -> LineId {
        let kind = (queue, user.to_owned(), wanted.clone());
        let id = match self.by_kind.get(&kind) {
            Some(id) => *id,
            None => self.add(kind),
        };
        let line = &mut self.lines[id as usize];
        let first = line.members.first().copied();
        line.members.insert(turn);
        line.by_run.extend(run_ms.map(|run_ms| (run_ms, turn)));
        // Whoever is first now has not been asked; and behind one that was asked in vain all others are.
        if first.is_none_or(|first| turn < first) {
            if let Some(first) = first {
                self.close(id, first);
            }
            self.open(id);
        }
        id
    }

    pub(super) fn leave(&mut self, id: LineId, turn: &Turn, run_ms: Option<u64>) {
        let line = &mut self.lines[id as usize];
        if let Some(run_ms) = run_ms {
            line.by_run.remove(&(run_ms, *turn));
        }
        let first = line.members.first().copied();
        if !line.members.remove(turn) {
            return;
        }
        if first != Some(*turn) {
            return;
        }
        self.close(id, *turn);
        if self.lines[id as usize].members.is_empty() {
            let line = &mut self.lines[id as usize];
            let kind = (line.queue, std::mem::take(&mut line.user), line.wanted.clone());
            line.parked = None;
            if let Some(of_queue) = self.of_queue.get_mut(&kind.0) {
                of_queue.remove(&id);
            }
            self.by_kind.remove(&kind);
            self.vacant.push(id);
        } else {
            self.open(id);
        }
    }

    pub(super) fn first(&self, id: LineId) -> Option<Turn> {
        self.lines[id as usize].members.first().copied()
    }

    /// Of those in a line that run no longer than this, the first; only the shortest few are looked at.
    pub(super) fn first_within(&self, id: LineId, run_ms: u64) -> Option<Turn> {
        let short = self.lines[id as usize]
            .by_run
            .iter()
            .take_while(|(run, _)| *run <= run_ms);
        short.take(SHORTEST).map(|(_, turn)| *turn).min()
    }

    /// Lines of a queue that are to be asked, by their first.
    pub(super) fn open_in(&self, queue: usize) -> impl Iterator<Item = (Turn, LineId)> + '_ {
        self.open.get(&queue).into_iter().flatten().copied()
    }

    /// Queues with lines that are to be asked.
    pub(super) fn open_queues(&self) -> impl Iterator<Item = usize> + '_ {
        let open = self.open.iter().filter(|(_, lines)| !lines.is_empty());
        open.map(|(queue, _)| *queue)
    }

    /// The line has been asked in vain.
    pub(super) fn park(&mut self, id: LineId, reason: Wait) {
        let Some(first) = self.first(id) else {
            return;
        };
        self.close(id, first);
        let line = &mut self.lines[id as usize];
        if blocks(&reason) {
            self.blocking.entry(line.queue).or_default().insert((first, id));
        }
        line.parked = Some(reason);
    }

    /// Those in a queue that were asked in vain, and not because of others in it; by their turn, with the reason.
    pub(super) fn blockers(&self, queue: usize) -> impl Iterator<Item = (Turn, &Wait)> + '_ {
        let blocking = self.blocking.get(&queue).into_iter().flatten();
        blocking.filter_map(|(turn, id)| Some((*turn, self.reason(*id)?)))
    }

    pub(super) fn reason(&self, id: LineId) -> Option<&Wait> {
        self.lines.get(id as usize)?.parked.as_ref()
    }

    pub(super) fn reason_mut(&mut self, id: LineId) -> Option<&mut Wait> {
        self.lines.get_mut(id as usize)?.parked.as_mut()
    }

    /// How many of a queue are before this turn.
    pub(super) fn before(&self, queue: usize, turn: &Turn) -> usize {
        let lines = self.of_queue.get(&queue).into_iter().flatten();
        lines
            .map(|id| self.lines[*id as usize].members.range(..turn).count())
            .sum()
    }

    /// Of a queue, so many whose turn is next.
    pub(super) fn next_of(&self, queue: usize, most: usize) -> Vec<u64> {
        let lines = self.of_queue.get(&queue).into_iter().flatten();
        let first = lines.flat_map(|id| self.lines[*id as usize].members.iter().take(most));
        let mut turns: Vec<Turn> = first.copied().collect();
        turns.sort_unstable();
        turns.truncate(most);
        turns.into_iter().map(|turn| turn.number).collect()
    }

    /// Opens those lines again that something could have changed for.
    pub(super) fn reopen(&mut self, news: &News<'_>) {
        let roots = std::mem::take(&mut self.roots_freed);
        let mut unblocked = std::mem::take(&mut self.unblocked);
        let parked = |lines: &Self| -> Vec<LineId> {
            let all = lines.of_queue.values().flatten().copied();
            all.filter(|id| lines.lines[*id as usize].parked.is_some())
                .collect()
        };
        let is_moved = |line: &Line| match &line.parked {
            Some(Wait::NotEnoughFree { .. }) => (news.fits)(&line.wanted),
            Some(Wait::OverQuota { .. }) => roots.contains(&(news.root_of)(line.queue)),
            Some(Wait::KeptFree { .. }) => news.is_more_free,
            _ => false,
        };
        let mut behind: Vec<LineId> = Vec::new();
        for id in parked(self) {
            let line = &self.lines[id as usize];
            let queue = line.queue;
            if news.all || (news.may_preempt)(queue) || is_moved(line) {
                unblocked.insert(queue);
                self.open(id);
            } else if matches!(line.parked, Some(Wait::Behind { .. })) {
                behind.push(id);
            }
        }
        for id in behind {
            if unblocked.contains(&self.lines[id as usize].queue) {
                self.open(id);
            }
        }
    }

    fn add(&mut self, kind: (usize, String, Wanted)) -> LineId {
        let line = Line {
            queue: kind.0,
            user: kind.1.clone(),
            wanted: kind.2.clone(),
            members: BTreeSet::new(),
            by_run: BTreeSet::new(),
            parked: None,
            is_possible: false,
        };
        let id = match self.vacant.pop() {
            Some(id) => {
                self.lines[id as usize] = line;
                id
            }
            None => {
                self.lines.push(line);
                u32::try_from(self.lines.len() - 1).unwrap_or(u32::MAX)
            }
        };
        self.of_queue.entry(kind.0).or_default().insert(id);
        self.by_kind.insert(kind, id);
        id
    }

    fn open(&mut self, id: LineId) {
        let line = &mut self.lines[id as usize];
        line.parked = None;
        if let Some(first) = line.members.first() {
            if let Some(blocking) = self.blocking.get_mut(&line.queue) {
                blocking.remove(&(*first, id));
            }
            self.open.entry(line.queue).or_default().insert((*first, id));
        }
    }

    fn close(&mut self, id: LineId, first: Turn) {
        let queue = self.lines[id as usize].queue;
        if let Some(open) = self.open.get_mut(&queue) {
            open.remove(&(first, id));
        }
        if self
            .blocking
            .get_mut(&queue)
            .is_some_and(|blocking| blocking.remove(&(first, id)))
        {
            self.unblocked.insert(queue);
        }
    }
}
