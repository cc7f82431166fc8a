//! What is sent: an event and what MLflow says about it.

use corliss_types::Timestamp;
use serde_json::{Map, Value, json};

use super::WebhookEvent;
use crate::types::{KeyValue, Model, ModelVersion, PROMPT_TAG, PROMPT_TEXT_TAG, PROMPT_TYPE_TAG};

/// Something that happened.
#[derive(Debug, Clone)]
pub(crate) struct Happening {
    pub event: WebhookEvent,
    data: Value,
}

impl Happening {
    pub fn model_created(model: &Model) -> Self {
        let event = match model.is_prompt() {
            true => WebhookEvent::PromptCreated,
            false => WebhookEvent::RegisteredModelCreated,
        };
        let data = json!({
            "name": model.name,
            "tags": tags(&model.tags, &[PROMPT_TAG, PROMPT_TYPE_TAG]),
            "description": model.description,
        });
        Self { event, data }
    }

    pub fn version_created(version: &ModelVersion) -> Self {
        let description = Some(&version.description).filter(|text| !text.is_empty());
        let (name, number) = (&version.name, version.version.to_string());
        if version.is_prompt() {
            let text = version.tags.iter().find(|tag| tag.key == PROMPT_TEXT_TAG);
            let data = json!({
                "name": name,
                "version": number,
                "template": text.map(|tag| &tag.value),
                "tags": tags(&version.tags, &[PROMPT_TEXT_TAG, PROMPT_TAG, PROMPT_TYPE_TAG]),
                "description": description,
            });
            return Self {
                event: WebhookEvent::PromptVersionCreated,
                data,
            };
        }
        let data = json!({
            "name": name,
            "version": number,
            "source": version.source,
            "run_id": version.tracking_run_id,
            "tags": tags(&version.tags, &[]),
            "description": description,
        });
        Self {
            event: WebhookEvent::ModelVersionCreated,
            data,
        }
    }

    /// Tags of prompts are told; those of models are not, there is no event for them.
    pub fn prompt_tag_set(name: &str, tag: &KeyValue) -> Self {
        let data = json!({ "name": name, "key": tag.key, "value": tag.value });
        Self {
            event: WebhookEvent::PromptTagSet,
            data,
        }
    }

    pub fn prompt_tag_deleted(name: &str, key: &str) -> Self {
        let data = json!({ "name": name, "key": key });
        Self {
            event: WebhookEvent::PromptTagDeleted,
            data,
        }
    }

    pub fn version_tag_set(is_prompt: bool, name: &str, number: i64, tag: &KeyValue) -> Self {
        let event = match is_prompt {
            true => WebhookEvent::PromptVersionTagSet,
            false => WebhookEvent::ModelVersionTagSet,
        };
        let version = number.to_string();
        let data = json!({ "name": name, "version": version, "key": tag.key, "value": tag.value });
        Self { event, data }
    }

    pub fn version_tag_deleted(is_prompt: bool, name: &str, number: i64, key: &str) -> Self {
        let event = match is_prompt {
            true => WebhookEvent::PromptVersionTagDeleted,
            false => WebhookEvent::ModelVersionTagDeleted,
        };
        let data = json!({ "name": name, "version": number.to_string(), "key": key });
        Self { event, data }
    }

    pub fn alias_created(is_prompt: bool, name: &str, alias: &str, number: i64) -> Self {
        let event = match is_prompt {
            true => WebhookEvent::PromptAliasCreated,
            false => WebhookEvent::ModelVersionAliasCreated,
        };
        let data = json!({ "name": name, "alias": alias, "version": number.to_string() });
        Self { event, data }
    }

    pub fn alias_deleted(is_prompt: bool, name: &str, alias: &str) -> Self {
        let event = match is_prompt {
            true => WebhookEvent::PromptAliasDeleted,
            false => WebhookEvent::ModelVersionAliasDeleted,
        };
        let data = json!({ "name": name, "alias": alias });
        Self { event, data }
    }

    /// The JSON that is sent. The time is that of the event, so that every try sends the same.
    pub fn body(&self, now_ms: i64) -> String {
        let (entity, action) = self.event.parts();
        let time = Timestamp::from_millis(now_ms).rfc3339();
        // As Python writes it, whose older versions do not read the `Z`.
        let timestamp = format!("{}+00:00", time.trim_end_matches('Z'));
        json!({ "entity": entity, "action": action, "timestamp": timestamp, "data": self.data }).to_string()
    }
}

fn tags(tags: &[KeyValue], without: &[&str]) -> Value {
    let shown = tags.iter().filter(|tag| !without.contains(&tag.key.as_str()));
    let pairs: Map<String, Value> = shown.map(|tag| (tag.key.clone(), json!(tag.value))).collect();
    Value::Object(pairs)
}

/// What a test sends: the examples of MLflow's own server.
pub(crate) fn example(event: WebhookEvent) -> Happening {
    let kind = if event.parts().0.starts_with("prompt") {
        "prompt"
    } else {
        "model"
    };
    let name = format!("example_{kind}");
    let (tag, tags) = (
        ("example_key", "example_value"),
        json!({ "example_key": "example_value" }),
    );
    let data = match event {
        WebhookEvent::RegisteredModelCreated => json!({
            "name": name, "tags": tags, "description": "An example registered model",
        }),
        WebhookEvent::PromptCreated => {
            json!({ "name": name, "tags": tags, "description": "An example prompt" })
        }
        WebhookEvent::ModelVersionCreated => json!({
            "name": name, "version": "1", "source": "models:/123", "run_id": "abcd1234abcd5678", "tags": tags,
            "description": "An example model version",
        }),
        WebhookEvent::PromptVersionCreated => json!({
            "name": name, "version": "1", "template": "Hello {{name}}!", "tags": tags,
            "description": "An example prompt version",
        }),
        WebhookEvent::ModelVersionTagSet | WebhookEvent::PromptVersionTagSet => {
            json!({ "name": name, "version": "1", "key": tag.0, "value": tag.1 })
        }
        WebhookEvent::ModelVersionTagDeleted | WebhookEvent::PromptVersionTagDeleted => {
            json!({ "name": name, "version": "1", "key": tag.0 })
        }
        WebhookEvent::PromptTagSet => json!({ "name": name, "key": tag.0, "value": tag.1 }),
        WebhookEvent::PromptTagDeleted => json!({ "name": name, "key": tag.0 }),
        WebhookEvent::ModelVersionAliasCreated | WebhookEvent::PromptAliasCreated => {
            json!({ "name": name, "alias": "example_alias", "version": "1" })
        }
        WebhookEvent::ModelVersionAliasDeleted | WebhookEvent::PromptAliasDeleted => {
            json!({ "name": name, "alias": "example_alias" })
        }
        WebhookEvent::BudgetPolicyExceeded => json!({
            "budget_policy_id": "bp-abc123", "budget_unit": "USD", "budget_amount": 100.0, "current_spend": 105.5,
            "duration_unit": "MONTHS", "duration_value": 1, "target_scope": "ENDPOINT", "workspace": "default",
            "target_value": "ep-abc123", "window_start": 1_704_067_200_000_i64,
        }),
    };
    Happening { event, data }
}
