//! What a request changes about the model's scores before a token is picked: biases and penalties.
//!
//! Only the scores of tokens that a request names, or that its text holds, change; the others are copied
//! unread. A request that asks for none of this has no adjuster, and its scores are read where they lie.

use llama_cpp_2::token::LlamaToken;

/// What a request asks for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Adjustment {
    /// Tokens, and what is added to their scores; minus infinity forbids a token.
    pub bias: Vec<(u32, f32)>,
    /// Divides the scores of tokens that prompt or answer hold, and multiplies those below 0; 1 changes
    /// nothing.
    pub repetition: f32,
    /// Taken from a token's score for each time that the answer holds it.
    pub frequency: f32,
    /// Taken from a token's score if the answer holds it.
    pub presence: f32,
}

impl Adjustment {
    /// Whether every score stays as it is.
    pub fn is_neutral(&self) -> bool {
        self.bias.is_empty() && self.repetition == 1.0 && self.frequency == 0.0 && self.presence == 0.0
    }
}

/// A token of the text so far.
#[derive(Debug)]
struct Seen {
    token: u32,
    /// How often the answer holds it.
    answered: u32,
}

/// The adjusted scores of one request.
#[derive(Debug)]
pub(super) struct Adjuster {
    wanted: Adjustment,
    /// By token.
    seen: Vec<Seen>,
    scores: Vec<f32>,
}

impl Adjuster {
    /// For an answer to this prompt.
    pub fn new(wanted: Adjustment, prompt: &[LlamaToken]) -> Self {
        let mut tokens: Vec<u32> = Vec::new();
        // The other penalties look at the answer only.
        if wanted.repetition != 1.0 {
            tokens.extend(prompt.iter().filter_map(|token| u32::try_from(token.0).ok()));
            tokens.sort_unstable();
            tokens.dedup();
        }
        let unanswered = |token| Seen { token, answered: 0 };
        Self {
            wanted,
            seen: tokens.into_iter().map(unanswered).collect(),
            scores: Vec::new(),
        }
    }

    /// The scores to pick from.
    pub fn adjust(&mut self, logits: &[f32]) -> &[f32] {
        self.scores.clear();
        self.scores.extend_from_slice(logits);
        for (token, bias) in &self.wanted.bias {
            if let Some(score) = self.scores.get_mut(*token as usize) {
                *score += bias;
            }
        }
        for seen in &self.seen {
            let Some(score) = self.scores.get_mut(seen.token as usize) else {
                continue;
            };
            *score = if *score > 0.0 {
                *score / self.wanted.repetition
            } else {
                *score * self.wanted.repetition
            };
            if seen.answered > 0 {
                *score -= seen.answered as f32 * self.wanted.frequency + self.wanted.presence;
            }
        }
        &self.scores
    }

    /// Counts a token of the answer.
    pub fn answered(&mut self, token: usize) {
        let Ok(token) = u32::try_from(token) else {
            return;
        };
        match self.seen.binary_search_by_key(&token, |seen| seen.token) {
            Ok(at) => self.seen[at].answered += 1,
            Err(at) => self.seen.insert(at, Seen { token, answered: 1 }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEUTRAL: Adjustment = Adjustment {
        bias: Vec::new(),
        repetition: 1.0,
        frequency: 0.0,
        presence: 0.0,
    };

    fn after(wanted: Adjustment, prompt: &[i32], answer: &[usize], logits: &[f32]) -> Vec<f32> {
        let prompt: Vec<LlamaToken> = prompt.iter().copied().map(LlamaToken::new).collect();
        let mut adjuster = Adjuster::new(wanted, &prompt);
        answer.iter().for_each(|token| adjuster.answered(*token));
        adjuster.adjust(logits).to_vec()
    }

    #[test]
    fn penalties_of_the_answer_count_its_tokens_and_not_the_prompts() {
        let wanted = Adjustment {
            frequency: 0.5,
            presence: 1.0,
            ..NEUTRAL
        };
        let scores = after(wanted, &[0, 3], &[2, 1, 2], &[4.0; 4]);
        assert_eq!(scores, [4.0, 2.5, 2.0, 4.0]);
        let wanted = Adjustment {
            presence: -2.0,
            ..NEUTRAL
        };
        assert_eq!(after(wanted, &[], &[1, 1], &[0.0; 2]), [0.0, 2.0]);
    }

    #[test]
    fn repetition_counts_prompt_and_answer_once_and_pushes_both_signs_down() {
        let wanted = Adjustment {
            repetition: 2.0,
            ..NEUTRAL
        };
        let scores = after(wanted, &[0, 0, 1], &[3, 3], &[4.0, -4.0, 4.0, 1.0]);
        assert_eq!(scores, [2.0, -8.0, 4.0, 0.5]);
    }

    #[test]
    fn a_bias_is_added_and_a_forbidden_token_stays_forbidden() {
        let wanted = Adjustment {
            bias: vec![(0, 3.0), (1, f32::NEG_INFINITY), (7, 1.0)],
            repetition: 0.5,
            presence: -2.0,
            ..NEUTRAL
        };
        let scores = after(wanted, &[1], &[1], &[1.0, 50.0, 2.0]);
        assert_eq!(scores, [4.0, f32::NEG_INFINITY, 2.0]);
    }

    #[test]
    fn what_asks_for_nothing_is_neutral() {
        assert!(NEUTRAL.is_neutral());
        for wanted in [
            Adjustment {
                bias: vec![(0, 0.5)],
                ..NEUTRAL
            },
            Adjustment {
                repetition: 1.1,
                ..NEUTRAL
            },
            Adjustment {
                frequency: 0.1,
                ..NEUTRAL
            },
            Adjustment {
                presence: -0.1,
                ..NEUTRAL
            },
        ] {
            assert!(!wanted.is_neutral());
        }
    }
}
