//! Several generations for one request of a client: a prompt answered more than once, or several prompts.

use std::sync::Arc;
use std::time::Duration;

use corliss_engine::EngineError;
use corliss_engine::protocol::GenerateRequest;
use futures_util::future::try_join_all;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::error::GatewayError;
use crate::service::Gateway;
use crate::service::endpoint::Endpoint;
use crate::service::generate::{Generation, Piece, PromptTokens, Taken, Whole};

/// Pieces that may wait to be sent before the generations are made to wait.
const PIECES_MAX: usize = 32;

/// What went wrong, and with which of the generations.
pub(crate) type Failed = (usize, GatewayError);

/// Generations under way, whose pieces come as they are made. Dropping it cancels them all.
pub(crate) struct Generations {
    source: Source,
    prompts: Vec<PromptTokens>,
    open: usize,
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
        endpoint: &Arc<Endpoint>,
        requests: Vec<GenerateRequest>,
    ) -> Result<Generations, Failed> {
        let count = requests.len();
        let (source, prompts) = if let [request] = requests.as_slice() {
            let generation = self.generate(endpoint.clone(), request).await;
            let generation = generation.map_err(|error| (0, error))?;
            let prompts = vec![generation.prompt];
            (Source::One(Box::new(generation)), prompts)
        } else {
            (
                self.side_by_side(endpoint, requests).await?,
                vec![PromptTokens::default(); count],
            )
        };
        Ok(Generations {
            source,
            prompts,
            open: count,
        })
    }

    async fn side_by_side(
        self: &Arc<Self>,
        endpoint: &Arc<Endpoint>,
        requests: Vec<GenerateRequest>,
    ) -> Result<Source, Failed> {
        let patience = self.patience(requests.len());
        let takings = requests.iter().enumerate().map(|(index, request)| async move {
            let taken = self.take_on(endpoint.clone(), request, patience).await;
            taken.map_err(|error| (index, error))
        });
        let taken = try_join_all(takings).await?;
        let (sender, mut pieces) = mpsc::channel(PIECES_MAX);
        let mut tasks = JoinSet::new();
        for (index, (taken, request)) in taken.into_iter().zip(requests).enumerate() {
            let (gateway, sender) = (self.clone(), sender.clone());
            tasks.spawn(async move { gateway.forward(index, taken, &request, &sender).await });
        }
        drop(sender);
        let first = match pieces.recv().await {
            Some(Made {
                index,
                piece: Err(error),
                ..
            }) => return Err((index, error)),
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
        endpoint: &Arc<Endpoint>,
        requests: &[GenerateRequest],
    ) -> Result<Vec<Whole>, Failed> {
        let patience = self.patience(requests.len());
        let wholes = requests.iter().enumerate().map(|(index, request)| async move {
            let whole = self.generate_whole(endpoint.clone(), request, patience).await;
            whole.map_err(|error| (index, error))
        });
        try_join_all(wholes).await
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
                    return Err((0, EngineError::Stopped.into()));
                };
                if let Some(prompt) = self.prompts.get_mut(made.index) {
                    *prompt = made.prompt;
                }
                (made.index, made.piece)
            }
        };
        let piece = piece.map_err(|error| (index, error))?;
        if matches!(piece, Piece::End { .. }) {
            self.open = self.open.saturating_sub(1);
        }
        Ok((index, piece))
    }
}
