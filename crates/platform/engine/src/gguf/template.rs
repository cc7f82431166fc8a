//! The model's own chat template (Jinja, from the file's metadata), rendered in bounds.
//!
//! Templates are written for Python: minijinja's Python methods cover what they use, and the two
//! functions that Hugging Face adds are here. A template is part of a model file, so of somebody else's
//! input: it runs with a budget and can reach nothing but the messages.

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
}

impl ChatTemplate {
    /// Compiles a template; `bos` and `eos` are the texts of the model's special tokens.
    pub fn new(source: String, bos: String, eos: String) -> Result<Self, EngineError> {
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
        })
    }

    /// Lays out a chat, up to where the assistant is to answer.
    pub fn render(&self, messages: &[ChatMessage]) -> Result<String, EngineError> {
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
        ChatTemplate::new(source.to_owned(), "<s>".to_owned(), "</s>".to_owned()).unwrap()
    }

    #[test]
    fn python_methods_and_whitespace_control_work() {
        let source = "{{ bos_token }}\n{%- for m in messages %}\n{%- if m['role'] == 'user' %}\n[{{ m.content.strip() }}]\n{%- endif %}\n{%- endfor %}{% if add_generation_prompt %}>{% endif %}";
        let rendered = template(source)
            .render(&[message("system", "x"), message("user", " hi ")])
            .unwrap();
        assert_eq!(rendered.replace('\n', ""), "<s>[hi]>");
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
        assert!(ChatTemplate::new("{% if %}".to_owned(), String::new(), String::new()).is_err());
    }
}
