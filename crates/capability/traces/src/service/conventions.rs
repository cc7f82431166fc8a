//! What other instrumentations call what MLflow calls a span's type, inputs, outputs, token usage and model: their
//! attributes are read where MLflow's own are absent, so that a list, a total and a page show them all alike.
//!
//! The order of the table is the order in which they are asked. Prices are not known here: a cost is what the
//! client computed.

use crate::AnyValue;
use crate::json::spaced;
use crate::span::{Span, TYPE_ATTRIBUTE};

use super::totals::{USAGE_ATTRIBUTE, whole};

pub(super) const INPUTS: &str = "mlflow.spanInputs";
pub(super) const OUTPUTS: &str = "mlflow.spanOutputs";
const TOOLS: &str = "mlflow.chat.tools";
const FORMAT: &str = "mlflow.message.format";
const MODEL: &str = "mlflow.llm.model";
const PROVIDER: &str = "mlflow.llm.provider";

/// One vocabulary of attributes.
#[derive(Default)]
struct Convention {
    /// The attributes that hold what kind of span it is, and what each kind is in MLflow.
    kind_keys: &'static [&'static str],
    kinds: &'static [(&'static str, &'static str)],
    /// Input, output and total tokens, tokens read from a cache and written to one; each by its first key present.
    tokens: [&'static [&'static str]; 5],
    inputs: &'static [&'static str],
    outputs: &'static [&'static str],
    models: &'static [&'static str],
    provider: &'static str,
    tools: &'static str,
    /// Attributes that give the vocabulary away, and the format of its messages.
    format: Option<(&'static [&'static str], &'static str)>,
    /// The event and its attribute that hold the inputs, and those of the outputs.
    events: [(&'static str, &'static str); 2],
}

const NONE: Convention = Convention {
    kind_keys: &[],
    kinds: &[],
    tokens: [&[]; 5],
    inputs: &[],
    outputs: &[],
    models: &[],
    provider: "",
    tools: "",
    format: None,
    events: [("", ""); 2],
};

const CONVENTIONS: [Convention; 8] = [
    // OpenInference.
    Convention {
        kind_keys: &["openinference.span.kind"],
        kinds: &[
            ("TOOL", "TOOL"),
            ("CHAIN", "CHAIN"),
            ("LLM", "LLM"),
            ("RETRIEVER", "RETRIEVER"),
            ("EMBEDDING", "EMBEDDING"),
            ("AGENT", "AGENT"),
            ("RERANKER", "RERANKER"),
            ("UNKNOWN", "UNKNOWN"),
            ("GUARDRAIL", "GUARDRAIL"),
            ("EVALUATOR", "EVALUATOR"),
        ],
        tokens: [
            &["llm.token_count.prompt"],
            &["llm.token_count.completion"],
            &["llm.token_count.total"],
            &["llm.token_count.prompt_details.cache_read"],
            &["llm.token_count.prompt_details.cache_write"],
        ],
        inputs: &["input.value"],
        outputs: &["output.value"],
        models: &[
            "llm.response.model_name",
            "llm.model_name",
            "llm.request.model_name",
            "embedding.model_name",
        ],
        provider: "llm.provider",
        ..NONE
    },
    // OpenTelemetry's own conventions for generative AI.
    Convention {
        kind_keys: &["gen_ai.operation.name"],
        kinds: &[
            ("chat", "CHAT_MODEL"),
            ("create_agent", "AGENT"),
            ("embeddings", "EMBEDDING"),
            ("execute_tool", "TOOL"),
            ("generate_content", "LLM"),
            ("invoke_agent", "AGENT"),
            ("text_completion", "LLM"),
            ("response", "LLM"),
        ],
        tokens: [
            &["gen_ai.usage.input_tokens"],
            &["gen_ai.usage.output_tokens"],
            &[],
            &["gen_ai.usage.cache_read.input_tokens"],
            &[
                "gen_ai.usage.cache_write.input_tokens",
                "gen_ai.usage.cache_creation.input_tokens",
            ],
        ],
        inputs: &["gen_ai.input.messages", "gen_ai.tool.call.arguments"],
        outputs: &["gen_ai.output.messages", "gen_ai.tool.call.result"],
        models: &["gen_ai.response.model", "gen_ai.request.model"],
        provider: "gen_ai.provider.name",
        tools: "gen_ai.tool.definitions",
        // As Spring AI writes them.
        events: [
            ("gen_ai.content.prompt", "gen_ai.prompt"),
            ("gen_ai.content.completion", "gen_ai.completion"),
        ],
        ..NONE
    },
    // Traceloop.
    Convention {
        kind_keys: &["traceloop.span.kind"],
        kinds: &[
            ("workflow", "WORKFLOW"),
            ("task", "TASK"),
            ("agent", "AGENT"),
            ("tool", "TOOL"),
            ("unknown", "UNKNOWN"),
        ],
        tokens: [
            &["gen_ai.usage.prompt_tokens"],
            &["gen_ai.usage.completion_tokens"],
            &["llm.usage.total_tokens"],
            &[],
            &[],
        ],
        inputs: &["traceloop.entity.input", "gen_ai.prompt.0.content"],
        outputs: &["traceloop.entity.output", "gen_ai.completion.0.content"],
        provider: "gen_ai.system",
        ..NONE
    },
    // Google's agent development kit.
    Convention {
        inputs: &["gcp.vertex.agent.llm_request", "gcp.vertex.agent.tool_call_args"],
        outputs: &["gcp.vertex.agent.llm_response", "gcp.vertex.agent.tool_response"],
        ..NONE
    },
    // Vercel's AI SDK.
    Convention {
        kind_keys: &["ai.operationId"],
        kinds: &[
            ("ai.generateText", "LLM"),
            ("ai.generateText.doGenerate", "LLM"),
            ("ai.toolCall", "TOOL"),
            ("ai.streamText", "LLM"),
            ("ai.streamText.doStream", "LLM"),
            ("ai.generateObject", "LLM"),
            ("ai.generateObject.doGenerate", "LLM"),
            ("ai.streamObject", "LLM"),
            ("ai.streamObject.doStream", "LLM"),
            ("ai.embed", "EMBEDDING"),
            ("ai.embed.doEmbed", "EMBEDDING"),
            ("ai.embedMany", "EMBEDDING"),
        ],
        inputs: &["ai.prompt", "ai.toolCall.args", "ai.value", "ai.values"],
        outputs: &[
            "ai.response.text",
            "ai.toolCall.result",
            "ai.response.object",
            "ai.embedding",
            "ai.embeddings",
        ],
        ..NONE
    },
    // VoltAgent.
    Convention {
        kind_keys: &["span.type", "entity.type"],
        kinds: &[
            ("agent", "AGENT"),
            ("llm", "LLM"),
            ("tool", "TOOL"),
            ("memory", "MEMORY"),
        ],
        tokens: [
            &["usage.prompt_tokens", "llm.usage.prompt_tokens"],
            &["usage.completion_tokens", "llm.usage.completion_tokens"],
            &[],
            &[],
            &[],
        ],
        inputs: &["agent.messages", "llm.messages", "input"],
        outputs: &["output"],
        format: Some((
            &["voltagent.operation_id", "voltagent.conversation_id"],
            "voltagent",
        )),
        ..NONE
    },
    // Laminar.
    Convention {
        kind_keys: &["lmnr.span.type"],
        kinds: &[
            ("LLM", "LLM"),
            ("TOOL", "TOOL"),
            ("DEFAULT", "CHAIN"),
            ("PIPELINE", "CHAIN"),
            ("EXECUTOR", "AGENT"),
            ("EVALUATOR", "EVALUATOR"),
            ("HUMAN_EVALUATOR", "EVALUATOR"),
            ("EVALUATION", "EVALUATOR"),
            ("CACHED", "LLM"),
        ],
        inputs: &["lmnr.span.input"],
        outputs: &["lmnr.span.output"],
        format: Some((&["lmnr.span.type"], "openai")),
        ..NONE
    },
    // Langfuse.
    Convention {
        kind_keys: &["langfuse.observation.type"],
        kinds: &[
            ("generation", "LLM"),
            ("embedding", "EMBEDDING"),
            ("tool", "TOOL"),
            ("retriever", "RETRIEVER"),
            ("agent", "AGENT"),
            ("chain", "CHAIN"),
            ("evaluator", "EVALUATOR"),
            ("guardrail", "GUARDRAIL"),
            ("span", "UNKNOWN"),
        ],
        inputs: &["langfuse.observation.input"],
        outputs: &["langfuse.observation.output"],
        ..NONE
    },
];

/// Adds to a span MLflow's attributes for what it says in other words.
pub(super) fn translate(span: &mut Span) {
    if span.span_type().is_none_or(|span_type| span_type == "UNKNOWN")
        && let Some(span_type) = first(|convention| convention.span_type(span))
    {
        span.set_attribute(TYPE_ATTRIBUTE, spaced(&span_type));
    }
    let found: [(&str, Option<String>); 4] = [
        (
            INPUTS,
            present(span, |convention| convention.inputs).or_else(|| event_value(span, 0)),
        ),
        (
            OUTPUTS,
            present(span, |convention| convention.outputs).or_else(|| event_value(span, 1)),
        ),
        (USAGE_ATTRIBUTE, first(|convention| convention.usage(span))),
        (FORMAT, first(|convention| convention.format(span))),
    ];
    for (key, text) in found {
        fill(span, key, text);
    }
    let tools = first(|convention| something(span, convention.tools));
    fill(span, TOOLS, tools);
    let model = present(span, |convention| convention.models).or_else(|| model_within(span));
    fill(span, MODEL, model);
    let provider = first(|convention| something(span, convention.provider));
    fill(span, PROVIDER, provider);
}

fn fill(span: &mut Span, key: &str, text: Option<String>) {
    if let Some(text) = text
        && span.attribute(key).is_none()
    {
        span.set_attribute(key, text);
    }
}

fn first<T>(ask: impl Fn(&Convention) -> Option<T>) -> Option<T> {
    CONVENTIONS.iter().find_map(ask)
}

fn present(span: &Span, keys: impl Fn(&Convention) -> &'static [&'static str]) -> Option<String> {
    first(|convention| keys(convention).iter().find_map(|key| something(span, key)))
}

/// The text of an attribute in which something is.
fn something(span: &Span, key: &str) -> Option<String> {
    let text = span.attribute(key)?;
    AnyValue::of_text(text).is_something().then(|| text.to_owned())
}

fn event_value(span: &Span, side: usize) -> Option<String> {
    first(|convention| {
        let (event, key) = convention.events[side];
        let event = span.events.iter().find(|found| found.name == event)?;
        let (_, value) = event
            .attributes
            .iter()
            .find(|(name, value)| name == key && value.is_something())?;
        Some(value.as_text().map_or_else(|| value.to_text(), str::to_owned))
    })
}

/// The model that the inputs or outputs name.
fn model_within(span: &Span) -> Option<String> {
    [INPUTS, OUTPUTS].iter().find_map(|key| {
        let value = AnyValue::of_text(span.attribute(key)?);
        let model = value.get("model")?.as_text()?;
        (!model.is_empty()).then(|| spaced(&model))
    })
}

impl Convention {
    fn span_type(&self, span: &Span) -> Option<&'static str> {
        self.kind_keys.iter().find_map(|key| {
            let kind = span.text_attribute(key)?;
            self.kinds
                .iter()
                .find(|(theirs, _)| *theirs == kind)
                .map(|(_, ours)| *ours)
        })
    }

    fn usage(&self, span: &Span) -> Option<String> {
        let [input, output, total, read, written] = self.tokens.map(|keys| {
            keys.iter()
                .find_map(|key| whole(&AnyValue::of_text(span.attribute(key)?)))
        });
        let total = total.or_else(|| Some(input?.saturating_add(output?)));
        if input.is_none() && output.is_none() && total.is_none() {
            return None;
        }
        crate::types::TokenUsage([input, output, total, read, written, None]).text()
    }

    fn format(&self, span: &Span) -> Option<String> {
        let (signs, format) = self.format?;
        signs
            .iter()
            .any(|key| span.attribute(key).is_some())
            .then(|| spaced(&format))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span::tests::span;

    fn translated(attributes: &[(&str, &str)]) -> Span {
        let mut span = span(1, None);
        span.attributes = attributes
            .iter()
            .map(|(key, text)| ((*key).into(), (*text).into()))
            .collect();
        translate(&mut span);
        span
    }

    #[test]
    fn the_conventions_of_generative_ai_become_mlflows_attributes() {
        let span = translated(&[
            ("gen_ai.operation.name", "\"chat\""),
            ("gen_ai.usage.input_tokens", "26"),
            ("gen_ai.usage.output_tokens", "\"4\""),
            ("gen_ai.request.model", "\"gpt-x\""),
            ("gen_ai.provider.name", "\"openai\""),
            ("gen_ai.input.messages", "[{\"role\": \"user\"}]"),
            ("gen_ai.output.messages", "[]"),
        ]);
        assert_eq!(span.span_type().as_deref(), Some("CHAT_MODEL"));
        assert_eq!(
            span.attribute(USAGE_ATTRIBUTE),
            Some(r#"{"input_tokens": 26, "output_tokens": 4, "total_tokens": 30}"#)
        );
        assert_eq!(span.attribute(MODEL), Some("\"gpt-x\""));
        assert_eq!(span.attribute(PROVIDER), Some("\"openai\""));
        assert_eq!(span.attribute(INPUTS), Some("[{\"role\": \"user\"}]"));
        assert_eq!(span.attribute(OUTPUTS), None);
    }

    #[test]
    fn what_is_there_stays() {
        let span = translated(&[
            (TYPE_ATTRIBUTE, "\"TOOL\""),
            ("openinference.span.kind", "\"LLM\""),
            (INPUTS, "{\"model\": \"m\"}"),
            ("input.value", "\"other\""),
        ]);
        assert_eq!(span.span_type().as_deref(), Some("TOOL"));
        assert_eq!(span.attribute(INPUTS), Some("{\"model\": \"m\"}"));
        assert_eq!(span.attribute(MODEL), Some("\"m\""));
        let unknown = translated(&[
            (TYPE_ATTRIBUTE, "\"UNKNOWN\""),
            ("openinference.span.kind", "\"LLM\""),
        ]);
        assert_eq!(unknown.span_type().as_deref(), Some("LLM"));
    }

    #[test]
    fn prompts_in_events_are_inputs() {
        let mut span = span(1, None);
        span.events[0].name = "gen_ai.content.prompt".into();
        span.events[0].attributes = vec![("gen_ai.prompt".into(), AnyValue::Text("hello".into()))];
        translate(&mut span);
        assert_eq!(span.attribute(INPUTS), Some("hello"));
    }
}
