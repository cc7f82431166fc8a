//! Asking before something moves. A receiver that does not answer 2xx, or not in time, stops it.
//!
//! It is asked outside of any transaction, and the move is compared with where the name was afterwards: so what was
//! agreed to is what happens, or nothing. A receiver may be asked about what then does not happen.

use corliss_types::DatasetName;
use corliss_webhook::{Outcome, SealedSecret, Verdict};

use crate::DataError;
use crate::hook::{Happening, Hook, When, message_id};
use crate::service::DataService;
use crate::store::{commits, hooks, refs, versions};
use crate::tree::Checked;

impl DataService {
    /// Asks every hook that is to be asked, oldest first. `tree` is a version that is not recorded yet: it is made
    /// readable for whoever is asked, and collected later if nothing comes of it. Answers whether anybody was asked.
    ///
    /// # Errors
    /// One refused or did not answer; or the metadata store failed.
    pub(in crate::service) async fn ask_before(
        &self,
        dataset: &DatasetName,
        moves: Vec<Happening>,
        tree: Option<Checked>,
    ) -> Result<bool, DataError> {
        let asked = self.who_is_asked(dataset, moves).await?;
        if asked.is_empty() {
            return Ok(false);
        }
        if let Some(tree) = tree {
            let now = self.sources.clock.now();
            self.store
                .write(move |tx| Ok::<_, DataError>(versions::insert(tx, &tree, now)?))
                .await?;
        }
        for (hook, secret, happening) in &asked {
            self.ask(hook, secret, happening).await?;
        }
        Ok(true)
    }

    async fn who_is_asked(
        &self,
        dataset: &DatasetName,
        moves: Vec<Happening>,
    ) -> Result<Vec<(Hook, SealedSecret, Happening)>, DataError> {
        let dataset = dataset.clone();
        self.store
            .read(move |tx| {
                let hooks = hooks::before(tx, &dataset)?;
                let mut asked = Vec::new();
                if hooks.is_empty() {
                    return Ok(asked);
                }
                for happening in &moves {
                    let found = refs::get(tx, &dataset, happening.kind, &happening.name)?;
                    if found.is_some_and(|found| Some(found.commit) == happening.new) {
                        // It is there already, so nothing moves.
                        continue;
                    }
                    let mut happening = happening.clone();
                    if let (None, Some(id)) = (
                        &happening.commit,
                        happening.new.as_ref().or(happening.old.as_ref()),
                    ) {
                        let commit = commits::get(tx, id)?.map(|commit| commit.what);
                        happening.commit = commit.map(|what| (what.version, what.author, what.message));
                    }
                    for (hook, secret) in &hooks {
                        if hook.is_about(happening.event(), happening.kind, &happening.name) {
                            asked.push((hook.clone(), secret.clone(), happening.clone()));
                        }
                    }
                }
                Ok(asked)
            })
            .await
    }

    async fn ask(&self, hook: &Hook, secret: &SealedSecret, happening: &Happening) -> Result<(), DataError> {
        let seed = self.sources.id_seed();
        let digits: String = seed.random.iter().map(|byte| format!("{byte:02x}")).collect();
        let (id, body) = (message_id(&hook.id, digits), happening.body(When::Before));
        let outcome = self.call(hook, secret, &id, body).await;
        let (hook, said) = (hook.id.clone(), outcome.told());
        match (outcome.verdict(), &outcome) {
            (Verdict::Accepted, _) => Ok(()),
            // It has looked at it and said no; what cannot answer now may do so later.
            (Verdict::Refused | Verdict::Gone, Outcome::Answered { .. }) => {
                Err(DataError::HookRefused { hook, said })
            }
            _ => Err(DataError::HookUnanswered { hook, said }),
        }
    }
}
