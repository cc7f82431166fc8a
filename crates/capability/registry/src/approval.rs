//! Approval by a person: when a version of a protected model may go where models are served from.

use serde::Serialize;

/// What a protected model demands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Protection {
    /// How many people must approve a version.
    pub approvals: u32,
    /// The aliases that point at approved versions only; none named is all of them.
    pub aliases: Vec<String>,
    /// Whether who registered a version may be one of those who approve it.
    pub self_approval: bool,
    /// Who set this.
    pub set_by: String,
    /// Unix milliseconds.
    pub set_ms: i64,
}

/// What somebody said of a version, last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// Who.
    pub actor: String,
    /// Whether they approved it; otherwise they rejected it.
    pub approved: bool,
    /// Why, in their words.
    pub reason: String,
    /// Unix milliseconds.
    pub decided_ms: i64,
}

impl Protection {
    /// Whether an alias is one that only approved versions may have.
    #[must_use]
    pub fn covers(&self, alias: &str) -> bool {
        self.aliases.is_empty() || self.aliases.iter().any(|one| one == alias)
    }

    /// Whether a version that this person registered is approved; otherwise what is missing. One rejection outweighs
    /// any number of approvals, until who rejected it approves.
    pub(crate) fn met(&self, registered_by: &str, decisions: &[Decision]) -> Result<(), String> {
        if let Some(rejection) = decisions.iter().find(|decision| !decision.approved) {
            return Err(format!("was rejected by {}", rejection.actor));
        }
        let counts = |decision: &&Decision| self.self_approval || decision.actor != registered_by;
        let given = decisions.iter().filter(counts).count();
        match u32::try_from(given).is_ok_and(|given| given < self.approvals) {
            true => Err(format!(
                "has {given} of the {} approvals that it needs",
                self.approvals
            )),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(actor: &str, approved: bool) -> Decision {
        Decision {
            actor: actor.to_owned(),
            approved,
            reason: String::new(),
            decided_ms: 1,
        }
    }

    fn demands(approvals: u32, self_approval: bool) -> Protection {
        Protection {
            approvals,
            aliases: vec![],
            self_approval,
            set_by: "root".to_owned(),
            set_ms: 1,
        }
    }

    #[test]
    fn four_eyes_see_it_unless_two_are_enough() {
        let own = [said("ana", true)];
        assert!(demands(1, false).met("ana", &own).is_err());
        assert!(demands(1, true).met("ana", &own).is_ok());
        assert!(demands(1, false).met("bob", &own).is_ok());
        assert!(demands(2, false).met("bob", &own).is_err());
        assert!(
            demands(2, false)
                .met("bob", &[said("ana", true), said("eve", true)])
                .is_ok()
        );
        assert!(
            demands(1, false).met("", &own).is_ok(),
            "nobody knows who registered it"
        );
    }

    #[test]
    fn a_rejection_outweighs_approvals() {
        let both = [said("ana", true), said("eve", false)];
        assert_eq!(
            demands(1, false).met("bob", &both),
            Err("was rejected by eve".to_owned())
        );
    }

    #[test]
    fn aliases_are_all_or_those_named() {
        let mut protection = demands(1, false);
        assert!(protection.covers("any"));
        protection.aliases = vec!["champion".to_owned()];
        assert!(protection.covers("champion") && !protection.covers("challenger"));
    }
}
