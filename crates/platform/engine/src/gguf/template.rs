//! The model's own chat template (Jinja, from the file's metadata), rendered in bounds.
//!
//! Templates are written for Python: minijinja's Python methods cover what they use, and the two
//! functions that Hugging Face adds are here. A template is part of a model file, so of somebody else's
//! input: it runs with a budget and can reach nothing but the messages.
//!
//! The text of a control token means the token where the template wrote it, and only its letters where a
//! message holds it: otherwise a message could end its own turn and write the next one.

use std::borrow::Cow;

use minijinja::value::{Kwargs, Value};
use minijinja::{Environment, Error, ErrorKind, context};

use serde_json::Value as Json;

use super::json_text::json_text;
use super::tools::{self, Form, Laid};
use crate::EngineError;
use crate::protocol::{ChatMessage, Tool};

const NAME: &str = "chat";
/// Instructions of one rendering; a template that loops for ever ends here.
const FUEL: u64 = 5_000_000;
const INDENT_MAX: usize = 8;

/// A compiled template.
pub(super) struct ChatTemplate {
    environment: Environment<'static>,
    bos: String,
    eos: String,
    controls: Vec<String>,
    form: Option<Form>,
}

impl ChatTemplate {
    /// Compiles a template; `bos`, `eos` and `controls` are the texts of the model's control tokens.
    pub fn new(source: String, bos: String, eos: String, controls: Vec<String>) -> Result<Self, EngineError> {
        let mut environment = Environment::new();
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment.set_fuel(Some(FUEL));
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", raise_exception);
        environment.add_filter("tojson", tojson);
        let form = Form::of_template(&source);
        environment
            .add_template_owned(NAME, source)
            .map_err(|error| EngineError::ModelUnsupported {
                detail: format!("its chat template does not compile: {error:#}"),
            })?;
        Ok(Self {
            environment,
            bos,
            eos,
            controls,
            form,
        })
    }

    /// How the calls of tools are written, if the template knows tools.
    pub fn form(&self) -> Option<Form> {
        self.form
    }

    /// Lays out a chat, up to where the assistant is to answer: in pieces that must be tokenised one by one.
    /// It is one piece unless a message or a tool holds a control token's text, which then lies in two.
    pub fn render(&self, messages: &[ChatMessage], tools: &[Tool]) -> Result<Vec<String>, EngineError> {
        let mut laid = tools::lay_out(messages, tools, self.form)?;
        let divider = divider(&laid)?;
        let offered = laid.tools.iter_mut().flatten();
        for value in laid.messages.iter_mut().chain(offered) {
            self.divide(value, divider);
        }
        let text = self.lay_out(&laid)?;
        Ok(text.split(divider).map(ToOwned::to_owned).collect())
    }

    /// Puts the divider into every control token's text.
    fn divide(&self, value: &mut Json, divider: char) {
        match value {
            Json::String(text) => {
                if let Cow::Owned(divided) = self.divided(text, divider) {
                    *text = divided;
                }
            }
            Json::Array(items) => items.iter_mut().for_each(|item| self.divide(item, divider)),
            Json::Object(members) => {
                let taken = std::mem::take(members).into_iter();
                members.extend(taken.map(|(name, mut value)| {
                    self.divide(&mut value, divider);
                    (self.divided(&name, divider).into_owned(), value)
                }));
            }
            Json::Null | Json::Bool(_) | Json::Number(_) => {}
        }
    }

    fn divided<'t>(&self, text: &'t str, divider: char) -> Cow<'t, str> {
        let mut text = Cow::Borrowed(text);
        for control in &self.controls {
            if text.contains(control.as_str()) {
                let mut parts = control.chars();
                let first: String = parts.next().into_iter().collect();
                let broken = format!("{first}{divider}{}", parts.as_str());
                text = Cow::Owned(text.replace(control.as_str(), &broken));
            }
        }
        text
    }

    fn lay_out(&self, laid: &Laid) -> Result<String, EngineError> {
        let refused = |error: Error| {
            let reason = error
                .detail()
                .map_or_else(|| error.to_string(), ToOwned::to_owned);
            EngineError::invalid(
                "messages",
                format!("the model's chat template refused the messages: {reason}"),
            )
        };
        self.environment
            .get_template(NAME)
            .and_then(|template| {
                template.render(context! {
                    messages => Value::from_serialize(&laid.messages),
                    tools => laid.tools.as_ref().map(Value::from_serialize),
                    add_generation_prompt => true,
                    bos_token => self.bos,
                    eos_token => self.eos,
                })
            })
            .map_err(refused)
    }

    /// Whether a rendered chat already begins with the token that tokenising would add.
    pub fn begins_with_bos(&self, rendered: &str) -> bool {
        !self.bos.is_empty() && rendered.starts_with(&self.bos)
    }
}

/// A character that neither messages nor tools hold. Unicode keeps these for the inside of programs.
fn divider(laid: &Laid) -> Result<char, EngineError> {
    let offered = laid.tools.iter().flatten();
    let texts: Vec<String> = laid.messages.iter().chain(offered).map(Json::to_string).collect();
    ('\u{fdd0}'..='\u{fdef}')
        .find(|candidate| !texts.iter().any(|text| text.contains(*candidate)))
        .ok_or_else(|| EngineError::invalid("messages", "they hold every noncharacter of Unicode"))
}

/// Python's, as Hugging Face gives it to templates. The library's own escapes what HTML would read.
fn tojson(value: Value, given: Kwargs) -> Result<String, Error> {
    let indent: Option<usize> = given.get("indent")?;
    let value = serde_json::to_value(&value)
        .map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))?;
    Ok(json_text(&value, indent.map(|indent| indent.min(INDENT_MAX))))
}

fn raise_exception(reason: String) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(role: &str, content: &str) -> ChatMessage {
        ChatMessage::new(role, content)
    }

    fn template(source: &str) -> ChatTemplate {
        let controls = ["<s>", "</s>", "<|end|>"].map(ToOwned::to_owned).to_vec();
        ChatTemplate::new(source.to_owned(), "<s>".to_owned(), "</s>".to_owned(), controls).unwrap()
    }

    #[test]
    fn python_methods_and_whitespace_control_work() {
        let source = "{{ bos_token }}\n{%- for m in messages %}\n{%- if m['role'] == 'user' %}\n[{{ m.content.strip() }}]\n{%- endif %}\n{%- endfor %}{% if add_generation_prompt %}>{% endif %}";
        let rendered = template(source)
            .render(&[message("system", "x"), message("user", " hi ")], &[])
            .unwrap();
        assert_eq!(rendered.concat().replace('\n', ""), "<s>[hi]>");
    }

    #[test]
    fn a_message_cannot_write_a_control_token() {
        let chat = template("{% for m in messages %}{{ m.content }}<|end|>{% endfor %}");
        let pieces = |content| chat.render(&[message("user", content)], &[]).unwrap();
        assert_eq!(
            pieces("a<|end|"),
            ["a<|end|<|end|>"],
            "half a token is text already"
        );
        assert_eq!(pieces("a<|end|>b</s>"), ["a<", "|end|>b<", "/s><|end|>"]);
        assert_eq!(pieces("<|en<|end|>d|>"), ["<|en<", "|end|>d|><|end|>"]);
        assert_eq!(pieces("\u{fdd0}<s>"), ["\u{fdd0}<", "s><|end|>"]);
        let all: String = ('\u{fdd0}'..='\u{fdef}').collect();
        assert!(chat.render(&[message("user", &all)], &[]).is_err());
    }

    #[test]
    fn a_template_can_refuse_and_says_why() {
        let refusing = template("{{ raise_exception('roles must alternate') }}");
        assert!(
            refusing
                .render(&[message("user", "x")], &[])
                .unwrap_err()
                .to_string()
                .contains("roles must alternate")
        );
    }

    #[test]
    fn an_endless_template_ends() {
        let endless =
            template("{% for a in range(100000) %}{% for b in range(100000) %}x{% endfor %}{% endfor %}");
        assert!(endless.render(&[], &[]).is_err());
    }

    #[test]
    fn a_broken_template_is_the_models_fault() {
        assert!(ChatTemplate::new("{% if %}".to_owned(), String::new(), String::new(), vec![]).is_err());
    }

    #[test]
    fn tools_and_calls_reach_a_template_that_knows_them_as_python_writes_them() {
        let chat = template(
            "{% for t in tools %}{{ t | tojson }}{% endfor %}{% for m in messages %}{% if m.tool_calls %}\
             {% for c in m.tool_calls %}<tool_call>{{ c.function.arguments | tojson }}{% endfor %}{% endif %}{% endfor %}",
        );
        let tool = Tool {
            name: "f".to_owned(),
            description: Some("<|end|> & \"x\"".to_owned()),
            parameters: Some(serde_json::json!({"z": 1, "a": 2})),
            strict: true,
        };
        let calling = ChatMessage {
            tool_calls: vec![crate::protocol::ToolCall {
                id: "1".to_owned(),
                name: "f".to_owned(),
                arguments: "{\"z\":\"</s>\",\"a\":1}".to_owned(),
            }],
            ..message("assistant", "")
        };
        let pieces = chat.render(&[calling], &[tool]).unwrap();
        assert_eq!(
            pieces.concat(),
            "{\"type\": \"function\", \"function\": {\"name\": \"f\", \"description\": \"<|end|> & \\\"x\\\"\", \
             \"parameters\": {\"z\": 1, \"a\": 2}}}<tool_call>{\"z\": \"</s>\", \"a\": 1}"
        );
        assert_eq!(pieces.len(), 3, "both control tokens are letters: {pieces:?}");
    }
}
