//! What webhooks are told of, in MLflow's words.

use corliss_mlflow_wire::WireError;

/// Something that happens to a model or prompt. The order is MLflow's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum WebhookEvent {
    RegisteredModelCreated,
    ModelVersionCreated,
    ModelVersionTagSet,
    ModelVersionTagDeleted,
    ModelVersionAliasCreated,
    ModelVersionAliasDeleted,
    PromptCreated,
    PromptVersionCreated,
    PromptTagSet,
    PromptTagDeleted,
    PromptVersionTagSet,
    PromptVersionTagDeleted,
    PromptAliasCreated,
    PromptAliasDeleted,
    /// Never happens here: there are no budgets. Clients may ask to be told all the same.
    BudgetPolicyExceeded,
}

/// What may happen to what, as MLflow's protobuf numbers both.
const ENTITIES: [&str; 11] = [
    "entity_unspecified",
    "registered_model",
    "model_version",
    "model_version_tag",
    "model_version_alias",
    "prompt",
    "prompt_version",
    "prompt_tag",
    "prompt_version_tag",
    "prompt_alias",
    "budget_policy",
];
const ACTIONS: [&str; 6] = [
    "action_unspecified",
    "created",
    "updated",
    "deleted",
    "set",
    "exceeded",
];

impl WebhookEvent {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::RegisteredModelCreated,
        Self::ModelVersionCreated,
        Self::ModelVersionTagSet,
        Self::ModelVersionTagDeleted,
        Self::ModelVersionAliasCreated,
        Self::ModelVersionAliasDeleted,
        Self::PromptCreated,
        Self::PromptVersionCreated,
        Self::PromptTagSet,
        Self::PromptTagDeleted,
        Self::PromptVersionTagSet,
        Self::PromptVersionTagDeleted,
        Self::PromptAliasCreated,
        Self::PromptAliasDeleted,
        Self::BudgetPolicyExceeded,
    ];

    /// What it happens to, and what happens.
    #[must_use]
    pub const fn parts(self) -> (&'static str, &'static str) {
        match self {
            Self::RegisteredModelCreated => ("registered_model", "created"),
            Self::ModelVersionCreated => ("model_version", "created"),
            Self::ModelVersionTagSet => ("model_version_tag", "set"),
            Self::ModelVersionTagDeleted => ("model_version_tag", "deleted"),
            Self::ModelVersionAliasCreated => ("model_version_alias", "created"),
            Self::ModelVersionAliasDeleted => ("model_version_alias", "deleted"),
            Self::PromptCreated => ("prompt", "created"),
            Self::PromptVersionCreated => ("prompt_version", "created"),
            Self::PromptTagSet => ("prompt_tag", "set"),
            Self::PromptTagDeleted => ("prompt_tag", "deleted"),
            Self::PromptVersionTagSet => ("prompt_version_tag", "set"),
            Self::PromptVersionTagDeleted => ("prompt_version_tag", "deleted"),
            Self::PromptAliasCreated => ("prompt_alias", "created"),
            Self::PromptAliasDeleted => ("prompt_alias", "deleted"),
            Self::BudgetPolicyExceeded => ("budget_policy", "exceeded"),
        }
    }

    /// As stored: `model_version_tag.set`.
    #[must_use]
    pub fn name(self) -> String {
        let (entity, action) = self.parts();
        format!("{entity}.{action}")
    }

    pub(crate) fn of_name(name: &str) -> Option<Self> {
        let (entity, action) = name.split_once('.')?;
        Self::of_parts(entity, action)
    }

    fn of_parts(entity: &str, action: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|event| event.parts() == (entity, action))
    }

    /// The event of these two words, as a protobuf's JSON writes them: in capitals, or as their numbers.
    ///
    /// # Errors
    /// There is no such word, or the two do not go together.
    pub(crate) fn of_wire(entity: &str, action: &str) -> Result<Self, WireError> {
        let entity = word(&ENTITIES, entity, "entity")?;
        let action = word(&ACTIONS, action, "action")?;
        Self::of_parts(entity, action).ok_or_else(|| {
            let mut valid: Vec<&str> = Self::ALL
                .iter()
                .map(|event| event.parts())
                .filter(|(of, _)| *of == entity)
                .map(|(_, action)| action)
                .collect();
            valid.sort_unstable();
            let valid = valid.join("', '");
            WireError::new(format!(
                "Invalid action '{action}' for entity '{entity}'. Valid actions are: ['{valid}']"
            ))
        })
    }
}

fn word(words: &[&'static str], given: &str, field: &str) -> Result<&'static str, WireError> {
    let number = given.parse::<usize>().ok().and_then(|number| words.get(number));
    let found = number.or_else(|| words.iter().find(|word| word.to_ascii_uppercase() == given));
    found
        .copied()
        .ok_or_else(|| WireError::invalid_value(field, given, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_keep_their_names() {
        for event in WebhookEvent::ALL {
            assert_eq!(WebhookEvent::of_name(&event.name()), Some(event));
            let (entity, action) = event.parts();
            let wire = WebhookEvent::of_wire(&entity.to_uppercase(), &action.to_uppercase());
            assert_eq!(wire.unwrap(), event);
        }
        assert_eq!(
            WebhookEvent::of_wire("3", "4").unwrap(),
            WebhookEvent::ModelVersionTagSet
        );
        for (entity, action) in [
            ("", ""),
            ("PROMPT", "SET"),
            ("prompt", "created"),
            ("11", "1"),
            ("0", "0"),
        ] {
            assert!(
                WebhookEvent::of_wire(entity, action).is_err(),
                "{entity} {action}"
            );
        }
    }
}
