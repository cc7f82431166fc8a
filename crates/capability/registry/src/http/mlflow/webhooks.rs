//! `webhooks*`, for administrators.
//!
//! A webhook makes this server send from inside its network and tells others what is registered here; its address may
//! hold a token. So not all who may write models may see or change webhooks.

use axum::extract::State;
use corliss_http::{Caller, Json, Path};
use corliss_mlflow_wire::{Args, WireError};
use serde_json::{Value, json};

use super::{Answer, answer};
use crate::Registry;
use crate::webhook::{NewWebhook, Webhook, WebhookChange, WebhookEvent};

fn event(event: WebhookEvent) -> Value {
    let (entity, action) = event.parts();
    json!({ "entity": entity.to_uppercase(), "action": action.to_uppercase() })
}

fn one(webhook: &Webhook) -> Value {
    let events: Value = webhook.events.iter().copied().map(event).collect();
    let mut fields = json!({
        "webhook_id": webhook.id,
        "name": webhook.name,
        "url": webhook.url,
        "events": events,
        "status": if webhook.is_active { "ACTIVE" } else { "DISABLED" },
        "creation_timestamp": webhook.created_ms,
        "last_updated_timestamp": webhook.updated_ms,
    });
    if !webhook.description.is_empty() {
        fields["description"] = json!(webhook.description);
    }
    fields
}

fn shown(webhook: &Webhook) -> Json<Value> {
    Json(json!({ "webhook": one(webhook) }))
}

/// A word of an enumeration, or its number as a text.
fn word(args: &Args, name: &str) -> Result<Option<String>, WireError> {
    match args.text(name) {
        Ok(text) => Ok(text),
        Err(_) => Ok(args.integer(name)?.map(|number| number.to_string())),
    }
}

fn read_event(args: &Args) -> Result<WebhookEvent, WireError> {
    let part = |name| Ok(word(args, name)?.unwrap_or_else(|| "0".to_owned()));
    WebhookEvent::of_wire(&part("entity")?, &part("action")?)
}

fn read_events(args: &Args) -> Result<Vec<WebhookEvent>, WireError> {
    args.objects("events")?.iter().map(read_event).collect()
}

fn read_status(args: &Args) -> Result<Option<bool>, WireError> {
    match word(args, "status")?.as_deref() {
        None => Ok(None),
        Some("ACTIVE" | "1") => Ok(Some(true)),
        Some("DISABLED" | "2") => Ok(Some(false)),
        Some(other) => Err(WireError::invalid_value("status", other, "")),
    }
}

pub(super) async fn create(State(registry): State<Registry>, Caller(caller): Caller, args: Args) -> Answer {
    let (name, url) = (args.required_text("name")?, args.required_text("url")?);
    if !args.has("events") {
        return Err(WireError::missing("events").into());
    }
    let new = NewWebhook {
        name,
        url,
        description: args.text("description")?.unwrap_or_default(),
        events: read_events(&args)?,
        secret: args.text("secret")?,
        is_active: read_status(&args)?.unwrap_or(true),
    };
    Ok(shown(&registry.create_webhook(new, &caller.name).await?))
}

pub(super) async fn list(State(registry): State<Registry>, args: Args) -> Answer {
    let (webhooks, token) = registry
        .list_webhooks(args.integer("max_results")?, args.text("page_token")?)
        .await?;
    let items = webhooks.iter().map(one).collect();
    Ok(Json(answer::page("webhooks", items, token)))
}

pub(super) async fn get(State(registry): State<Registry>, Path(id): Path<String>) -> Answer {
    Ok(shown(&registry.webhook(&id).await?))
}

pub(super) async fn update(State(registry): State<Registry>, Path(id): Path<String>, args: Args) -> Answer {
    let given = |name| args.text(name).map(|text| text.filter(|text| !text.is_empty()));
    let change = WebhookChange {
        name: given("name")?,
        url: given("url")?,
        description: args.text("description")?,
        events: Some(read_events(&args)?).filter(|events| !events.is_empty()),
        secret: args.text("secret")?,
        is_active: read_status(&args)?,
    };
    Ok(shown(&registry.change_webhook(&id, change).await?))
}

pub(super) async fn delete(State(registry): State<Registry>, Path(id): Path<String>) -> Answer {
    registry.delete_webhook(&id).await?;
    Ok(Json(json!({})))
}

pub(super) async fn test(State(registry): State<Registry>, Path(id): Path<String>, args: Args) -> Answer {
    let event = args.object("event")?.as_ref().map(read_event).transpose()?;
    let test = registry.test_webhook(&id, event).await?;
    let mut result = json!({ "success": test.accepted });
    if let Some(status) = test.status {
        result["response_status"] = json!(status);
    }
    if let Some(said) = test.said {
        result["response_body"] = json!(said);
    }
    if let Some(failure) = test.failure {
        result["error_message"] = json!(failure);
    }
    Ok(Json(json!({ "result": result })))
}
