//! Answers that follow a schema, a pattern or a grammar: which tokens may come next.
//!
//! - [`schema`] refuses what a schema says in words that would have no effect, and what is too large;
//! - [`compiler`] makes grammars on a thread of its own, in bounds of size and time, and keeps the latest;
//! - [`words`] says why one cannot be made or followed, and [`blame`] which part of a schema is at fault;
//! - [`Constraint`] is one answer's way through its grammar. Its steps run on the thread that decodes for
//!   everybody, so each is bounded too.

mod blame;
mod compiler;
mod schema;
mod words;

use llguidance::Matcher;
use llguidance::toktrie::SimpleVob;

pub(super) use compiler::{Compiler, spaced};

/// Says what of a schema cannot be followed, and where.
pub(super) fn check_schema(schema: &serde_json::Value) -> Result<(), String> {
    schema::check(schema).map_err(|refusal| refusal.to_string())
}

/// Says why a format cannot be followed any further, of which a [`Constraint`] said this; as what follows its name.
pub(super) fn told(said: &str) -> String {
    words::of(said).text
}

/// The state of one answer within its grammar.
pub(super) struct Constraint {
    matcher: Matcher,
    /// What may come next, where that is known already.
    allowed: Option<SimpleVob>,
}

impl std::fmt::Debug for Constraint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Constraint").finish_non_exhaustive()
    }
}

impl Constraint {
    /// One bit for each token of the vocabulary: whether it may come next. Tokens that end an answer may when the
    /// answer is complete as it is.
    ///
    /// # Errors
    /// In words, if finding out is too much work.
    pub fn allowed(&mut self) -> Result<SimpleVob, String> {
        match self.allowed.take() {
            Some(allowed) => Ok(allowed),
            None => self.matcher.compute_mask().map_err(|error| error.to_string()),
        }
    }

    /// Goes on behind a token that was allowed; answers whether the answer is complete and nothing can follow.
    ///
    /// # Errors
    /// In words, if that is too much work.
    pub fn accept(&mut self, token: usize) -> Result<bool, String> {
        let token = u32::try_from(token).map_err(|error| error.to_string())?;
        self.matcher
            .consume_token(token)
            .map_err(|error| error.to_string())?;
        if !self.matcher.is_stopped() {
            return Ok(false);
        }
        let reason = self.matcher.stop_reason();
        if reason.is_ok() {
            Ok(true)
        } else {
            Err(reason.to_string())
        }
    }
}
