//! What is left in the places of a cache when their requests have ended, and which of it a new request goes on from.
//! Pure: it keeps the books and says what to do to the cells.
//!
//! A place holds the keys and values of some tokens from position 0. When its request ends they stay until the place is
//! needed, so that a prompt that begins the same is computed from where it differs: the next turn of a chat, or the same
//! instructions before another question. What running requests have computed is shared as well.
//!
//! Of the free places the one whose tokens are taken up is used as it is; a tail that is worth something is spared by
//! copying what is shared to the place that was used longest ago.

use llama_cpp_2::token::LlamaToken;

/// Turns that a gap between running places may last before it is closed. A client of a chat that goes on at once takes up
/// its place again meanwhile.
const GAP_TURNS: u32 = 4;

/// What to do to the cells, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Everything in one place becomes what is in another.
    Copy { from: usize, to: usize },
    /// Only the first tokens of a place stay.
    Keep { place: usize, tokens: usize },
}

/// A place for a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Taken {
    pub place: usize,
    /// Tokens of the prompt whose keys and values are there.
    pub cached: usize,
    pub changes: Vec<Change>,
}

#[derive(Debug, Clone, Default)]
struct Place {
    /// Whose keys and values it holds.
    tokens: Vec<LlamaToken>,
    /// Cells promised to the request that runs in it.
    promised: Option<usize>,
    /// When it was used last; greater is later.
    used: u64,
}

/// How cells belong to places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cells {
    /// So many to each. A copy moves bytes, and places that are computed together should lie side by side.
    Own(usize),
    /// So many to all. A copy is a note.
    Shared(usize),
}

/// The places of a cache.
#[derive(Debug)]
pub(super) struct Places {
    places: Vec<Place>,
    cells: Cells,
    /// Whether tokens can be taken off the end; a recurrent model's state cannot go back.
    can_cut: bool,
    uses: u64,
    gap_turns: u32,
}

impl Places {
    pub fn new(count: usize, cells: Cells, can_cut: bool) -> Self {
        Self {
            places: vec![Place::default(); count],
            cells,
            can_cut,
            uses: 0,
            gap_turns: 0,
        }
    }

    /// Takes a place for a request that needs `cells` at most, going on from at most `reusable` tokens of its prompt;
    /// `None` while there is no room.
    pub fn take(&mut self, prompt: &[LlamaToken], reusable: usize, cells: usize) -> Option<Taken> {
        let free = self.oldest_free(None)?;
        let fits = match self.cells {
            Cells::Own(each) => cells <= each,
            Cells::Shared(all) => self.promised() + cells <= all,
        };
        if !fits {
            return None;
        }
        let wanted = prompt.get(..reusable).unwrap_or(prompt);
        let mut changes = Vec::new();
        let (place, cached) = match self.source(wanted) {
            Some((from, cached)) if self.is_free(from) && self.may_lose_tail(from, cached) => (from, cached),
            Some((from, cached)) if cached >= self.worth_copying() => {
                let to = self.oldest_free(Some(from)).unwrap_or(free);
                changes.push(Change::Copy { from, to });
                self.places[to].tokens = self.places[from].tokens.clone();
                (to, cached)
            }
            _ => (free, 0),
        };
        changes.push(Change::Keep {
            place,
            tokens: cached,
        });
        self.places[place].tokens.truncate(cached);
        self.places[place].promised = Some(cells);
        self.touch(place);
        self.make_room(&mut changes);
        Some(Taken {
            place,
            cached,
            changes,
        })
    }

    /// Promises more cells to a running place; answers what that does to others, or `None` while they are not there.
    pub fn grow(&mut self, place: usize, cells: usize) -> Option<Vec<Change>> {
        let promised = self.places[place].promised?;
        let fits = match self.cells {
            Cells::Own(each) => cells <= each,
            Cells::Shared(all) => self.promised() - promised + cells <= all,
        };
        if !fits {
            return None;
        }
        self.places[place].promised = Some(promised.max(cells));
        let mut changes = Vec::new();
        self.make_room(&mut changes);
        Some(changes)
    }

    /// Cells promised to the request in this place.
    pub fn promised_to(&self, place: usize) -> usize {
        self.places[place].promised.unwrap_or_default()
    }

    /// The token at a position of a running place is computed.
    pub fn note(&mut self, place: usize, position: usize, token: LlamaToken) {
        if let Some(place) = self.places.get_mut(place) {
            place.tokens.truncate(position);
            place.tokens.push(token);
        }
    }

    /// The request in this place ended; what it computed stays for others.
    pub fn give_back(&mut self, place: usize) {
        self.places[place].promised = None;
        self.touch(place);
        if !self.can_cut {
            self.places[place].tokens.clear();
        }
    }

    /// All places are free and empty.
    pub fn clear(&mut self) {
        for place in &mut self.places {
            (place.promised, place.tokens) = (None, Vec::new());
        }
    }

    /// Cells promised to running requests.
    pub fn promised(&self) -> usize {
        self.places.iter().filter_map(|place| place.promised).sum()
    }

    /// Called once a turn: when a gap between running places has lasted, the place to move and where to. What the gap
    /// holds is kept in the place that was used longest ago, if it is worth it.
    pub fn close_gap(&mut self) -> Option<(usize, usize, Vec<Change>)> {
        let gap = match self.cells {
            Cells::Own(_) => self.gap(),
            Cells::Shared(_) => None,
        };
        let Some((from, to)) = gap else {
            self.gap_turns = 0;
            return None;
        };
        self.gap_turns += 1;
        if self.gap_turns <= GAP_TURNS {
            return None;
        }
        let mut changes = Vec::new();
        let spare = self.oldest_free(Some(to));
        if let Some(spare) = spare
            && self.places[to].tokens.len() >= self.worth_copying()
            && self.places[spare].used < self.places[to].used
        {
            changes.push(Change::Copy { from: to, to: spare });
            self.places[spare].tokens = std::mem::take(&mut self.places[to].tokens);
            self.places[spare].used = self.places[to].used;
        }
        changes.push(Change::Copy { from, to });
        self.places[to] = self.places[from].clone();
        // Its copy of what the running request has so far stays as what others may go on from.
        self.places[from].promised = None;
        Some((from, to, changes))
    }

    /// The outermost running place and a gap between running places that it can fill.
    fn gap(&self) -> Option<(usize, usize)> {
        let running = |at: &usize| !self.is_free(*at);
        let first = (0..self.places.len()).find(running)?;
        let last = (0..self.places.len()).rfind(running)?;
        let gap = (first..last).find(|at| self.is_free(*at))?;
        // The shorter side moves.
        let after = (gap..=last).filter(running).count();
        Some(if gap - first < after {
            (first, gap)
        } else {
            (last, gap)
        })
    }

    fn is_free(&self, place: usize) -> bool {
        self.places[place].promised.is_none()
    }

    fn touch(&mut self, place: usize) {
        self.uses += 1;
        self.places[place].used = self.uses;
    }

    /// The free place, other than this one, that is empty or was used longest ago.
    fn oldest_free(&self, other_than: Option<usize>) -> Option<usize> {
        let free = (0..self.places.len()).filter(|at| self.is_free(*at) && Some(*at) != other_than);
        free.min_by_key(|at| {
            let place = &self.places[*at];
            (!place.tokens.is_empty(), place.used)
        })
    }

    /// The place that begins with most of these tokens, and how many; free ones first.
    fn source(&self, wanted: &[LlamaToken]) -> Option<(usize, usize)> {
        if !self.can_cut {
            return None;
        }
        let shared = |at: usize| {
            let tokens = self.places[at].tokens.iter().zip(wanted);
            tokens.take_while(|(one, other)| one == other).count()
        };
        (0..self.places.len())
            .map(|at| (at, shared(at)))
            .filter(|(_, shared)| *shared > 0)
            .max_by_key(|(at, shared)| (*shared, self.is_free(*at), self.places[*at].used))
    }

    /// Whether what a free place holds beyond these tokens need not be spared.
    fn may_lose_tail(&self, place: usize, cached: usize) -> bool {
        let tail = self.places[place].tokens.len() - cached;
        tail < self.worth_copying().max(cached / 4) || self.oldest_free(None) == Some(place)
    }

    /// Tokens that cost more to compute than to copy. Where cells are a place's own, all of them are copied, and moving
    /// 64 takes about as long as computing a token.
    fn worth_copying(&self) -> usize {
        match self.cells {
            Cells::Own(each) => (each / 64).max(8),
            Cells::Shared(_) => 1,
        }
    }

    /// Forgets what was used longest ago until what is promised has room. Cells that places share are counted for each.
    fn make_room(&mut self, changes: &mut Vec<Change>) {
        let Cells::Shared(all) = self.cells else { return };
        let kept = |places: &[Place]| -> usize {
            let free = places.iter().filter(|place| place.promised.is_none());
            free.map(|place| place.tokens.len()).sum()
        };
        let promised = self.promised();
        while promised + kept(&self.places) > all {
            let oldest = (0..self.places.len())
                .filter(|at| self.is_free(*at) && !self.places[*at].tokens.is_empty())
                .min_by_key(|at| self.places[*at].used);
            let Some(oldest) = oldest else { return };
            self.places[oldest].tokens.clear();
            changes.push(Change::Keep {
                place: oldest,
                tokens: 0,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tokens(text: &str) -> Vec<LlamaToken> {
        text.bytes()
            .map(|byte| LlamaToken::new(i32::from(byte)))
            .collect()
    }

    /// What the cells would hold.
    struct Model {
        books: Places,
        held: Vec<Vec<LlamaToken>>,
    }

    impl Model {
        fn new(count: usize, cells: Cells, can_cut: bool) -> Self {
            Self {
                books: Places::new(count, cells, can_cut),
                held: vec![Vec::new(); count],
            }
        }

        fn apply(&mut self, changes: &[Change]) {
            for change in changes {
                match *change {
                    Change::Copy { from, to } => self.held[to] = self.held[from].clone(),
                    Change::Keep { place, tokens } => self.held[place].truncate(tokens),
                }
            }
        }

        fn take(&mut self, prompt: &[LlamaToken], cells: usize) -> Option<(usize, usize)> {
            let taken = self.books.take(prompt, prompt.len().saturating_sub(1), cells)?;
            self.apply(&taken.changes);
            Some((taken.place, taken.cached))
        }

        fn compute(&mut self, place: usize, tokens: &[LlamaToken]) {
            for token in tokens {
                let position = self.held[place].len();
                self.held[place].push(*token);
                self.books.note(place, position, *token);
            }
        }

        /// Takes a place for a prompt, computes it, and answers where and how much of it was there.
        fn run(&mut self, prompt: &str) -> (usize, usize) {
            let prompt = tokens(prompt);
            let (place, cached) = self.take(&prompt, prompt.len() + 4).unwrap();
            self.compute(place, &prompt[cached..]);
            (place, cached)
        }

        fn close_gaps(&mut self) -> Vec<(usize, usize)> {
            let mut moved = Vec::new();
            for _ in 0..3 * GAP_TURNS {
                if let Some((from, to, changes)) = self.books.close_gap() {
                    self.apply(&changes);
                    moved.push((from, to));
                }
            }
            moved
        }
    }

    const OWN: Cells = Cells::Own(512);

    #[test]
    fn the_next_turn_of_a_chat_goes_on_where_the_last_one_ended() {
        let mut cells = Model::new(2, OWN, true);
        let (first, cached) = cells.run("hello there, who are you");
        assert_eq!(cached, 0);
        cells.compute(first, &tokens("? I am"));
        cells.books.give_back(first);
        let (second, cached) = cells.run("hello there, who are you? I am. And why");
        assert_eq!((second, cached), (first, "hello there, who are you? I am".len()));
        // The last token is computed in any case, since its scores are wanted.
        cells.books.give_back(second);
        let again = "hello there, who are you";
        assert_eq!(cells.run(again).1, again.len() - 1);
    }

    #[test]
    fn what_a_running_request_computed_is_copied_and_a_worthy_tail_is_spared() {
        let system = "You are a helpful assistant of few words. ";
        let mut cells = Model::new(3, OWN, true);
        let (one, _) = cells.run(&format!("{system}What is a flywheel, in your own words?"));
        let (two, cached) = cells.run(&format!("{system}And a lighthouse?"));
        assert_ne!(one, two);
        assert_eq!(cached, system.len());
        cells.books.give_back(one);
        // Another question leaves the first chat as it is.
        let (three, cached) = cells.run(&format!("{system}Tell me who built the pyramids."));
        assert_eq!((three, cached), (2, system.len()));
        assert!(cells.held[one].len() > system.len() + 16);
    }

    #[test]
    fn a_few_tokens_are_not_worth_a_copy() {
        let mut cells = Model::new(2, OWN, true);
        let (one, _) = cells.run("You there");
        assert_eq!(cells.run("You here"), (1 - one, 0));
    }

    #[test]
    fn what_was_used_longest_ago_goes_first() {
        let mut cells = Model::new(2, OWN, true);
        for prompt in ["aaaa", "bbbb", "cccc"] {
            let (place, _) = cells.run(prompt);
            cells.books.give_back(place);
        }
        assert_eq!(cells.run("bbbbb").1, 4);
        assert_eq!(cells.run("aaaaa").1, 0);
    }

    #[test]
    fn places_that_stay_apart_are_moved_together() {
        let mut cells = Model::new(4, OWN, true);
        for prompt in ["aaaa", "bbbb", "cccc", "dddd"] {
            cells.run(prompt);
        }
        cells.books.give_back(1);
        for _ in 0..GAP_TURNS {
            assert_eq!(cells.books.close_gap(), None);
        }
        assert_eq!(cells.close_gaps(), [(0, 1)]);
        assert_eq!(cells.held[1], tokens("aaaa"));
        assert_eq!(cells.close_gaps(), []);
    }

    #[test]
    fn a_state_that_cannot_go_back_is_not_taken_up() {
        let mut cells = Model::new(2, OWN, false);
        let (place, _) = cells.run("hello there, who are you");
        cells.books.give_back(place);
        assert_eq!(cells.run("hello there, who are you? I").1, 0);
    }

    #[test]
    fn a_pool_forgets_what_is_kept_before_it_refuses() {
        let mut cells = Model::new(4, Cells::Shared(40), true);
        for prompt in ["aaaaaaaaaa", "bbbbbbbbbb", "cccccccccc"] {
            let (place, _) = cells.run(prompt);
            cells.books.give_back(place);
        }
        let prompt = tokens("bbbbbbbbbbdd");
        let (place, cached) = cells.take(&prompt, 28).unwrap();
        assert_eq!(cached, 10);
        cells.compute(place, &prompt[cached..]);
        assert!(cells.held.iter().map(Vec::len).sum::<usize>() <= 40);
        assert_eq!(cells.take(&tokens("x"), 13), None);
        assert!(cells.take(&tokens("x"), 12).is_some());
    }

    proptest! {
        /// Whatever comes and goes: what is said to be cached is there, no cell is used twice, and running places end up
        /// side by side.
        #[test]
        fn the_books_are_the_cells(
            shared in any::<bool>(),
            steps in proptest::collection::vec((0_u8..4, "[ab]{1,30}", 0_usize..8), 1..80),
        ) {
            let kind = if shared { Cells::Shared(200) } else { OWN };
            let mut cells = Model::new(5, kind, true);
            let mut running: Vec<(usize, Vec<LlamaToken>, usize)> = Vec::new();
            for (what, text, which) in steps {
                match what {
                    0 | 1 => {
                        let prompt = tokens(&text);
                        let needed = prompt.len() + 8;
                        let Some((place, cached)) = cells.take(&prompt, needed) else {
                            prop_assert!(running.len() == 5 || shared);
                            continue;
                        };
                        prop_assert!(cached < prompt.len());
                        prop_assert_eq!(&cells.held[place], &prompt[..cached]);
                        prop_assert!(running.iter().all(|(other, ..)| *other != place));
                        cells.compute(place, &prompt[cached..]);
                        running.push((place, prompt, needed));
                    }
                    2 if !running.is_empty() => {
                        let (place, ..) = running.swap_remove(which % running.len());
                        cells.books.give_back(place);
                    }
                    _ => {
                        for (from, to) in cells.close_gaps() {
                            for (place, ..) in &mut running {
                                if *place == from {
                                    *place = to;
                                }
                            }
                        }
                        let mut places: Vec<usize> = running.iter().map(|(place, ..)| *place).collect();
                        places.sort_unstable();
                        prop_assert!(shared || places.windows(2).all(|two| two[0] + 1 == two[1]));
                    }
                }
                for (place, prompt, _) in &running {
                    prop_assert_eq!(&cells.held[*place], prompt);
                }
                let promised: usize = running.iter().map(|(.., needed)| *needed).sum();
                prop_assert_eq!(cells.books.promised(), promised);
                if shared {
                    let kept: usize = (0..5)
                        .filter(|at| running.iter().all(|(place, ..)| place != at))
                        .map(|at| cells.held[at].len())
                        .sum();
                    prop_assert!(promised + kept <= 200);
                }
            }
        }
    }

    #[test]
    fn a_promise_grows_while_there_are_cells_and_what_was_kept_makes_room() {
        let mut pool = Model::new(4, Cells::Shared(40), true);
        let (kept, _) = pool.run("what was asked before");
        pool.books.give_back(kept);
        let prompt = tokens("0123456789");
        let (place, _) = pool.take(&prompt, 12).unwrap();
        assert_eq!(pool.books.promised_to(place), 12);
        let changes = pool.books.grow(place, 25).unwrap();
        assert_eq!(
            changes,
            [Change::Keep {
                place: kept,
                tokens: 0
            }]
        );
        let (other, _) = pool.take(&tokens("abcd"), 10).unwrap();
        assert_eq!(pool.books.grow(other, 16), None, "one cell too many");
        assert_eq!(pool.books.grow(other, 15), Some(vec![]));
        pool.books.give_back(place);
        assert_eq!(
            pool.books.grow(other, 40).map(|_| pool.books.promised()),
            Some(40)
        );
        assert_eq!(pool.books.grow(place, 1), None, "it does not run");
    }
}
