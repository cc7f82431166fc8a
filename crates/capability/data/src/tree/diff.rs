//! What differs between two trees, found by walking only where their records do.

use std::cmp::Ordering;

use serde::Serialize;

use super::cursor::Next;
use super::{Cursor, Entry};
use crate::{DataError, EntryPath};

/// A file that differs; one of both is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Change {
    pub path: EntryPath,
    pub old: Option<Entry>,
    pub new: Option<Entry>,
}

/// Walks two trees side by side.
pub(crate) struct Diff {
    old: Cursor,
    new: Cursor,
}

enum Step {
    Emit { old: bool, new: bool },
    Enter { old: bool, new: bool },
    Skip,
    End,
}

impl Diff {
    /// From where the cursors stand; both at the same path, or at the beginning.
    pub const fn new(old: Cursor, new: Cursor) -> Self {
        Self { old, new }
    }

    /// The next file that differs, in order of the paths.
    pub async fn next(&mut self) -> Result<Option<Change>, DataError> {
        loop {
            match self.step() {
                Step::End => return Ok(None),
                Step::Skip => {
                    self.old.skip();
                    self.new.skip();
                }
                Step::Enter { old, new } => {
                    if old {
                        self.old.enter().await?;
                    }
                    if new {
                        self.new.enter().await?;
                    }
                }
                Step::Emit { old, new } => {
                    let old = take(&mut self.old, old).await?;
                    let new = take(&mut self.new, new).await?;
                    if old != new
                        && let Some(path) = old.as_ref().or(new.as_ref()).map(|entry| entry.path.clone())
                    {
                        return Ok(Some(Change { path, old, new }));
                    }
                }
            }
        }
    }

    fn step(&self) -> Step {
        let (old, new) = match (self.old.peek(), self.new.peek()) {
            (None, None) => return Step::End,
            (Some(Next::Entry(_)), None) => {
                return Step::Emit {
                    old: true,
                    new: false,
                };
            }
            (None, Some(Next::Entry(_))) => {
                return Step::Emit {
                    old: false,
                    new: true,
                };
            }
            (Some(_), None) => {
                return Step::Enter {
                    old: true,
                    new: false,
                };
            }
            (None, Some(_)) => {
                return Step::Enter {
                    old: false,
                    new: true,
                };
            }
            (Some(old), Some(new)) => (old, new),
        };
        // Whichever begins first is looked into; the other may turn out to be equal to something that comes later.
        match (old.first().cmp(new.first()), &old, &new) {
            (Ordering::Less, Next::Entry(_), _) => Step::Emit {
                old: true,
                new: false,
            },
            (Ordering::Less, Next::Subtree { .. }, _) => Step::Enter {
                old: true,
                new: false,
            },
            (Ordering::Greater, _, Next::Entry(_)) => Step::Emit {
                old: false,
                new: true,
            },
            (Ordering::Greater, _, Next::Subtree { .. }) => Step::Enter {
                old: false,
                new: true,
            },
            (Ordering::Equal, Next::Entry(_), Next::Entry(_)) => Step::Emit { old: true, new: true },
            (Ordering::Equal, Next::Entry(_), Next::Subtree { .. }) => Step::Enter {
                old: false,
                new: true,
            },
            (Ordering::Equal, Next::Subtree { .. }, Next::Entry(_)) => Step::Enter {
                old: true,
                new: false,
            },
            (
                Ordering::Equal,
                Next::Subtree {
                    level: old_level,
                    child: old,
                },
                Next::Subtree {
                    level: new_level,
                    child: new,
                },
            ) => {
                if old.id == new.id {
                    Step::Skip
                } else {
                    Step::Enter {
                        old: old_level >= new_level,
                        new: new_level >= old_level,
                    }
                }
            }
        }
    }
}

async fn take(cursor: &mut Cursor, wanted: bool) -> Result<Option<Entry>, DataError> {
    if wanted {
        cursor.next_entry().await
    } else {
        Ok(None)
    }
}
