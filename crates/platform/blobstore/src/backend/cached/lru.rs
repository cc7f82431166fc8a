//! Which copies are kept, and which has to go: the least recently used. Plain bookkeeping; nothing here waits.

use std::collections::{BTreeMap, HashMap};

/// What a file takes up is a multiple of this.
const BLOCK_BYTES: u64 = 4096;

/// A copy in the local backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Copy {
    /// Name of what it is a copy of.
    pub name: String,
    /// Its own name.
    pub file: String,
    pub size_bytes: u64,
}

impl Copy {
    /// Bytes that it takes up.
    fn cost(&self) -> u64 {
        cost(self.size_bytes)
    }
}

fn cost(size_bytes: u64) -> u64 {
    size_bytes
        .max(1)
        .div_ceil(BLOCK_BYTES)
        .saturating_mul(BLOCK_BYTES)
}

/// The copies. `used` counts whatever may be in the local backend: what is kept, what is on its way in, and what
/// is on its way out.
#[derive(Debug)]
pub(super) struct Lru {
    limit_bytes: u64,
    used_bytes: u64,
    /// Of these, what the copies take up that are kept.
    kept_bytes: u64,
    copies: HashMap<String, (Copy, u64)>,
    /// Names by the turn in which they were used last.
    turns: BTreeMap<u64, String>,
    next_turn: u64,
    /// Could not be removed yet.
    leftovers: Vec<Copy>,
}

impl Lru {
    pub fn new(limit_bytes: u64) -> Self {
        Self {
            limit_bytes,
            used_bytes: 0,
            kept_bytes: 0,
            copies: HashMap::new(),
            turns: BTreeMap::new(),
            next_turn: 0,
            leftovers: Vec::new(),
        }
    }

    pub fn len(&self) -> usize {
        self.copies.len()
    }

    pub fn used_bytes(&self) -> u64 {
        self.used_bytes
    }

    pub fn limit_bytes(&self) -> u64 {
        self.limit_bytes
    }

    /// The copy, which is now the one used last.
    pub fn touch(&mut self, name: &str) -> Option<Copy> {
        let (copy, turn) = self.copies.get_mut(name)?;
        let name = self.turns.remove(turn)?;
        *turn = self.next_turn;
        self.turns.insert(self.next_turn, name);
        self.next_turn += 1;
        Some(copy.clone())
    }

    /// Reserves room for a copy. Answers what must be removed before it is written, each to be told of with
    /// [`Self::gone`] or [`Self::stays`]; None if there is no room, however much is removed.
    pub fn reserve(&mut self, size_bytes: u64) -> Option<Vec<Copy>> {
        let cost = cost(size_bytes);
        let leaving: u64 = self.leftovers.iter().map(Copy::cost).sum();
        let unmovable = self.used_bytes.saturating_sub(leaving + self.kept_bytes);
        if unmovable.saturating_add(cost) > self.limit_bytes {
            return None;
        }
        let victims = self.over(self.limit_bytes - cost);
        self.used_bytes += cost;
        Some(victims)
    }

    /// What must be removed for the rest to take up no more than this, those used least recently first.
    pub fn over(&mut self, limit_bytes: u64) -> Vec<Copy> {
        let mut victims = std::mem::take(&mut self.leftovers);
        let leaving: u64 = victims.iter().map(Copy::cost).sum();
        let mut left = self.used_bytes.saturating_sub(leaving);
        while left > limit_bytes
            && let Some(name) = self.turns.first_key_value().map(|(_, name)| name.clone())
            && let Some(copy) = self.take(&name)
        {
            left = left.saturating_sub(copy.cost());
            victims.push(copy);
        }
        victims
    }

    /// A reserved copy is written. Answers the one of the same name that it replaces, which is on its way out.
    pub fn keep(&mut self, copy: Copy) -> Option<Copy> {
        let replaced = self.take(&copy.name);
        self.kept_bytes += copy.cost();
        self.turns.insert(self.next_turn, copy.name.clone());
        self.copies.insert(copy.name.clone(), (copy, self.next_turn));
        self.next_turn += 1;
        replaced
    }

    /// A copy that was found at the start: reserved and written at once, whatever the limit says.
    pub fn found(&mut self, copy: Copy) -> Option<Copy> {
        self.used_bytes += copy.cost();
        self.keep(copy)
    }

    /// Takes a copy out, which is then on its way out.
    pub fn take(&mut self, name: &str) -> Option<Copy> {
        let (copy, turn) = self.copies.remove(name)?;
        self.turns.remove(&turn);
        self.kept_bytes = self.kept_bytes.saturating_sub(copy.cost());
        Some(copy)
    }

    /// As [`Self::take`], if this is still the copy that is kept.
    pub fn take_this(&mut self, copy: &Copy) -> Option<Copy> {
        let is_kept = self.copies.get(&copy.name).is_some_and(|(kept, _)| kept == copy);
        is_kept.then(|| self.take(&copy.name)).flatten()
    }

    /// What was on its way out, or reserved and not written, takes up nothing any more.
    pub fn gone(&mut self, size_bytes: u64) {
        self.used_bytes = self.used_bytes.saturating_sub(cost(size_bytes));
    }

    /// What was on its way out could not be removed.
    pub fn stays(&mut self, copy: Copy) {
        self.leftovers.push(copy);
    }
}
