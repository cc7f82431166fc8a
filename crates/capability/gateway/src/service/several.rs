//! Several generations for one request of a client: a prompt answered more than once, or several prompts.

use std::sync::Arc;
use std::time::Duration;

use corliss_engine::EngineError;
use corliss_engine::protocol::GenerateRequest;
use corliss_policy_serving::Price;
use futures_util::future::try_join_all;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::error::GatewayError;
use crate::service::Gateway;
use crate::service::call::Call;
use crate::service::generate::{Generation, Piece, Taken, Whole};
use crate::service::quota::Meter;
use crate::service::timing::PromptTokens;

/// Pieces that may wait to be sent before the generations are made to wait.
const PIECES_MAX: usize = 32;

/// What went wrong, and with which of the generations.
#[derive(Debug)]
pub(crate) struct Failed(pub(crate) usize, pub(crate) GatewayError);

impl AsRef<GatewayError> for Failed {
    fn as_ref(&self) -> &GatewayError {
        &self.1
    }
}

/// Generations under way, whose pieces come as they are made. Dropping it cancels them all.
pub(crate) struct Generations {
    source: Source,
    prompts: Vec<PromptTokens>,
    of_one_prompt: usize,
    /// Tokens of each answer: pieces, until its end says how many they were.
    answers: Vec<u64>,
    open: usize,
    meter: Meter,
}

enum Source {
    One(Box<Generation>),
    Several {
        /// Read ahead.
        first: Option<Made>,
        pieces: mpsc::Receiver<Made>,
        _tasks: JoinSet<()>,
    },
}

struct Made {
    index: usize,
    prompt: PromptTokens,
    piece: Result<Piece, GatewayError>,
}

impl Gateway {
    /// Starts these generations side by side. Waits until engines have taken them all and one has made its
    /// first piece, so that whatever can be refused is refused with a status; the first failure ends all.
    ///
    /// # Errors
    /// As [`Gateway::generate`], with the place of the request that failed.
    pub(crate) async fn generate_each(
        self: &Arc<Self>,
        call: &Call,
        requests: &[GenerateRequest],
        of_one_prompt: usize,
    ) -> Result<Generations, Failed> {
        let mut meter = self.metered(call, requests, of_one_prompt).await?;
        let (source, prompts, price) = self
            .with_fallback(call, |call| self.start_each(call, requests))
            .await?;
        meter.answered_at(price);
        Ok(Generations {
            source,
            open: prompts.len(),
            answers: vec![0; prompts.len()],
            prompts,
            of_one_prompt,
            meter,
        })
    }

    async fn metered(
        &self,
        call: &Call,
        requests: &[GenerateRequest],
        of_one_prompt: usize,
    ) -> Result<Meter, Failed> {
        let bound = self.bound_of_generations(call, requests, of_one_prompt).await;
        self.meter(call, bound).await.map_err(|error| Failed(0, error))
    }

    async fn start_each(
        self: &Arc<Self>,
        call: Call,
        requests: &[GenerateRequest],
    ) -> Result<(Source, Vec<PromptTokens>, Price), Failed> {
        let (count, price) = (requests.len(), call.routing.price);
        let patience = self.patience(count);
        if let [request] = requests {
            let generation = self.generate(call, request, patience).await;
            let generation = generation.map_err(|error| Failed(0, error))?;
            let prompts = vec![generation.prompt];
            return Ok((Source::One(Box::new(generation)), prompts, price));
        }
        let source = self.side_by_side(&call, requests, patience).await?;
        Ok((source, vec![PromptTokens::default(); count], price))
    }

    async fn side_by_side(
        self: &Arc<Self>,
        call: &Call,
        requests: &[GenerateRequest],
        patience: Duration,
    ) -> Result<Source, Failed> {
        let takings = requests.iter().enumerate().map(|(index, request)| async move {
            let taken = self.take_on(call.clone(), request, patience).await;
            taken.map_err(|error| Failed(index, error))
        });
        let taken = try_join_all(takings).await?;
        let (sender, mut pieces) = mpsc::channel(PIECES_MAX);
        let mut tasks = JoinSet::new();
        for (index, (taken, request)) in taken.into_iter().zip(requests).enumerate() {
            let (gateway, sender, request) = (self.clone(), sender.clone(), request.clone());
            tasks.spawn(async move { gateway.forward(index, taken, &request, &sender).await });
        }
        drop(sender);
        let first = match pieces.recv().await {
            Some(Made {
                index,
                piece: Err(error),
                ..
            }) => return Err(Failed(index, error)),
            first => first,
        };
        Ok(Source::Several {
            first,
            pieces,
            _tasks: tasks,
        })
    }

    /// How long the first piece of each of so many may take: most of many wait their turn behind the others.
    fn patience(&self, count: usize) -> Duration {
        if count > 1 {
            self.config().generate_timeout
        } else {
            self.config().silence_timeout
        }
    }

    async fn forward(
        &self,
        index: usize,
        taken: Taken,
        request: &GenerateRequest,
        made: &mpsc::Sender<Made>,
    ) {
        let mut generation = match self.first(taken, request).await {
            Ok(generation) => generation,
            Err(error) => {
                let piece = Err(error);
                let _ = made
                    .send(Made {
                        index,
                        prompt: PromptTokens::default(),
                        piece,
                    })
                    .await;
                return;
            }
        };
        let prompt = generation.prompt;
        loop {
            let piece = generation.next().await;
            let ends = !matches!(piece, Ok(Piece::Text { .. } | Piece::Call { .. }));
            let piece = Made { index, prompt, piece };
            if made.send(piece).await.is_err() || ends {
                return;
            }
        }
    }

    /// Generates them side by side to the end; the first failure ends all.
    ///
    /// # Errors
    /// As [`Gateway::generate_whole`], with the place of the request that failed.
    pub(crate) async fn generate_each_whole(
        &self,
        call: &Call,
        requests: &[GenerateRequest],
        of_one_prompt: usize,
    ) -> Result<Vec<Whole>, Failed> {
        let mut meter = self.metered(call, requests, of_one_prompt).await?;
        let patience = self.patience(requests.len());
        let attempt = |call: Call| async move {
            let call = &call;
            let wholes = requests.iter().enumerate().map(|(index, request)| async move {
                let whole = self.generate_whole(call.clone(), request, patience).await;
                whole.map_err(|error| Failed(index, error))
            });
            Ok((try_join_all(wholes).await?, call.routing.price))
        };
        let (wholes, price) = self.with_fallback(call, attempt).await?;
        let prompts: Vec<PromptTokens> = wholes.iter().map(|whole| whole.prompt).collect();
        meter.answered_at(price);
        meter.prompts(&prompts, of_one_prompt);
        meter.answers(
            wholes
                .iter()
                .map(|whole| u64::from(whole.completion_tokens))
                .sum(),
        );
        Ok(wholes)
    }
}

impl Generations {
    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.prompts.len()
    }

    /// Whether all have ended: nothing more comes.
    pub(crate) fn are_done(&self) -> bool {
        self.open == 0
    }

    /// Tokens of each one's prompt; known of those that have made a piece.
    pub(crate) fn prompts(&self) -> &[PromptTokens] {
        &self.prompts
    }

    /// Tokens of their answers so far, all together.
    pub(crate) fn answered(&self) -> u64 {
        self.answers.iter().sum()
    }

    /// The next piece of any of them, and whose it is. Nothing follows an error.
    ///
    /// # Errors
    /// As [`Generation::next`].
    pub(crate) async fn next(&mut self) -> Result<(usize, Piece), Failed> {
        let (index, piece) = match &mut self.source {
            Source::One(generation) => (0, generation.next().await),
            Source::Several { first, pieces, .. } => {
                let made = match first.take() {
                    Some(made) => Some(made),
                    None => pieces.recv().await,
                };
                // They end without a last word only if their task was ended.
                let Some(made) = made else {
                    return Err(Failed(0, EngineError::Stopped.into()));
                };
                if let Some(prompt) = self.prompts.get_mut(made.index) {
                    *prompt = made.prompt;
                }
                (made.index, made.piece)
            }
        };
        let piece = piece.map_err(|error| Failed(index, error))?;
        self.account(index, &piece);
        Ok((index, piece))
    }

    /// Whoever goes away before the end has used what was sent so far.
    fn account(&mut self, index: usize, piece: &Piece) {
        if let Some(answer) = self.answers.get_mut(index) {
            match piece {
                Piece::Text { .. } | Piece::Call { .. } => *answer += 1,
                Piece::End {
                    completion_tokens, ..
                } => *answer = u64::from(*completion_tokens),
            }
        }
        if matches!(piece, Piece::End { .. }) {
            self.open = self.open.saturating_sub(1);
        }
        self.meter.prompts(&self.prompts, self.of_one_prompt);
        self.meter.answers(self.answered());
    }
}
