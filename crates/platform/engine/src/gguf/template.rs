//! The model's own chat template (Jinja, from the file's metadata), rendered in bounds.
//!
//! Templates are written for Python: minijinja's Python methods cover what they use, and the two
//! functions that Hugging Face adds are here. A template is part of a model file, so of somebody else's
//! input: it runs with a budget and can reach nothing but the messages.
//!
//! The text of a control token means the token where the template wrote it, and only its letters where a
//! message holds it: otherwise a message could end its own turn and write the next one.

use std::borrow::Cow;

use minijinja::value::Value;
use minijinja::{Environment, Error, ErrorKind, context};

use crate::EngineError;
use crate::protocol::ChatMessage;

const NAME: &str = "chat";
/// Instructions of one rendering; a template that loops for ever ends here.
const FUEL: u64 = 5_000_000;

/// A compiled template.
pub(super) struct ChatTemplate {
    environment: Environment<'static>,
    bos: String,
    eos: String,
    controls: Vec<String>,
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
        })
    }

    /// Lays out a chat, up to where the assistant is to answer: in pieces that must be tokenised one by one.
    /// It is one piece unless a message holds a control token's text, which then lies in two.
    pub fn render(&self, messages: &[ChatMessage]) -> Result<Vec<String>, EngineError> {
        let divider = divider(messages)?;
        let messages: Vec<ChatMessage> = messages
            .iter()
            .map(|message| ChatMessage {
                role: self.divided(&message.role, divider),
                content: self.divided(&message.content, divider),
            })
            .collect();
        let text = self.lay_out(&messages)?;
        Ok(text.split(divider).map(ToOwned::to_owned).collect())
    }

    /// The text with the divider in every control token's text.
    fn divided(&self, text: &str, divider: char) -> String {
        let mut text = Cow::Borrowed(text);
        for control in &self.controls {
            if text.contains(control.as_str()) {
                let mut parts = control.chars();
                let first: String = parts.next().into_iter().collect();
                let broken = format!("{first}{divider}{}", parts.as_str());
                text = Cow::Owned(text.replace(control.as_str(), &broken));
            }
        }
        text.into_owned()
    }

    fn lay_out(&self, messages: &[ChatMessage]) -> Result<String, EngineError> {
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
                    messages => Value::from_serialize(messages),
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

/// A character that no message holds. Unicode keeps these for the inside of programs.
fn divider(messages: &[ChatMessage]) -> Result<char, EngineError> {
    ('\u{fdd0}'..='\u{fdef}')
        .find(|candidate| {
            let mut texts = messages
                .iter()
                .flat_map(|message| [&message.role, &message.content]);
            !texts.any(|text| text.contains(*candidate))
        })
        .ok_or_else(|| EngineError::invalid("messages", "they hold every noncharacter of Unicode"))
}

fn raise_exception(reason: String) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(role: &str, content: &str) -> ChatMessage {
        ChatMessage {
            role: role.to_owned(),
            content: content.to_owned(),
        }
    }

    fn template(source: &str) -> ChatTemplate {
        let controls = ["<s>", "</s>", "<|end|>"].map(ToOwned::to_owned).to_vec();
        ChatTemplate::new(source.to_owned(), "<s>".to_owned(), "</s>".to_owned(), controls).unwrap()
    }

    #[test]
    fn python_methods_and_whitespace_control_work() {
        let source = "{{ bos_token }}\n{%- for m in messages %}\n{%- if m['role'] == 'user' %}\n[{{ m.content.strip() }}]\n{%- endif %}\n{%- endfor %}{% if add_generation_prompt %}>{% endif %}";
        let rendered = template(source)
            .render(&[message("system", "x"), message("user", " hi ")])
            .unwrap();
        assert_eq!(rendered.concat().replace('\n', ""), "<s>[hi]>");
    }

    #[test]
    fn a_message_cannot_write_a_control_token() {
        let chat = template("{% for m in messages %}{{ m.content }}<|end|>{% endfor %}");
        let pieces = |content| chat.render(&[message("user", content)]).unwrap();
        assert_eq!(
            pieces("a<|end|"),
            ["a<|end|<|end|>"],
            "half a token is text already"
        );
        assert_eq!(pieces("a<|end|>b</s>"), ["a<", "|end|>b<", "/s><|end|>"]);
        assert_eq!(pieces("<|en<|end|>d|>"), ["<|en<", "|end|>d|><|end|>"]);
        assert_eq!(pieces("\u{fdd0}<s>"), ["\u{fdd0}<", "s><|end|>"]);
        let all: String = ('\u{fdd0}'..='\u{fdef}').collect();
        assert!(chat.render(&[message("user", &all)]).is_err());
    }

    #[test]
    fn a_template_can_refuse_and_says_why() {
        let refusing = template("{{ raise_exception('roles must alternate') }}");
        assert!(
            refusing
                .render(&[message("user", "x")])
                .unwrap_err()
                .to_string()
                .contains("roles must alternate")
        );
    }

    #[test]
    fn an_endless_template_ends() {
        let endless =
            template("{% for a in range(100000) %}{% for b in range(100000) %}x{% endfor %}{% endfor %}");
        assert!(endless.render(&[]).is_err());
    }

    #[test]
    fn a_broken_template_is_the_models_fault() {
        assert!(ChatTemplate::new("{% if %}".to_owned(), String::new(), String::new(), vec![]).is_err());
    }
}
