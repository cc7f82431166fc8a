//! Generation: started on one replica, or on a second one as long as nothing was sent to the client.

use std::sync::Arc;
use std::time::Duration;

use corliss_clock::Sources;
use corliss_diagnostics::{Diagnose, Meaning};
use corliss_engine::client::GenerateStream;
use corliss_engine::protocol::{FinishReason, GenerateEvent, GenerateRequest, TokenLogprob};
use corliss_types::ReplicaId;

use crate::error::GatewayError;
use crate::service::Gateway;
use crate::service::endpoint::{Admission, Endpoint, Lease};
use crate::service::stats::Outcome;

/// The prompt of a generation, in tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PromptTokens {
    pub(crate) all: u32,
    /// Those of them that were in the replica's cache.
    pub(crate) cached: u32,
}

/// What a generation gives, piece by piece.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Piece {
    /// More text.
    Text {
        text: String,
        logprobs: Vec<TokenLogprob>,
    },
    /// More of a call of a tool: which of this answer, its name where it begins, and more of its arguments.
    Call {
        index: u32,
        name: Option<String>,
        arguments: String,
    },
    /// The end.
    End {
        finish_reason: FinishReason,
        completion_tokens: u32,
    },
}

/// A generation under way. Dropping it cancels it in the engine.
pub(crate) struct Generation {
    stream: GenerateStream,
    /// Taken when the first piece was read ahead.
    first: Option<Piece>,
    pub(crate) prompt: PromptTokens,
    lease: Lease,
    watch: Watch,
    silence: Duration,
    deadline: tokio::time::Instant,
    limit: Duration,
    _admission: Admission,
}

/// A request on its way to a replica.
struct Attempt {
    watch: Watch,
    /// How long its first piece may take.
    patience: Duration,
    tried: Vec<ReplicaId>,
    admission: Admission,
}

/// A request that an engine has taken; its first piece has not come.
pub(crate) struct Taken {
    attempt: Attempt,
    stream: GenerateStream,
    lease: Lease,
    /// When the first piece must be there.
    until: tokio::time::Instant,
}

impl Gateway {
    /// Starts a generation and waits for its first piece, so that whatever can be refused is refused with a
    /// status, and a replica that dies while it reads the prompt is replaced by another.
    ///
    /// # Errors
    /// If there is no such endpoint, no replica answers, or the request is wrong.
    pub(crate) async fn generate(
        &self,
        endpoint: Arc<Endpoint>,
        request: &GenerateRequest,
    ) -> Result<Generation, GatewayError> {
        let patience = self.config.silence_timeout;
        self.generate_besides(endpoint, request, patience, Vec::new())
            .await
    }

    /// As above, on a replica that is not among `tried`; with any in there, it is the last attempt.
    async fn generate_besides(
        &self,
        endpoint: Arc<Endpoint>,
        request: &GenerateRequest,
        patience: Duration,
        tried: Vec<ReplicaId>,
    ) -> Result<Generation, GatewayError> {
        let taken = self.take_on_besides(endpoint, request, patience, tried).await?;
        self.first(taken, request).await
    }

    /// Waits until an engine has taken the request, and with that has found nothing wrong in it. Its first
    /// piece must follow within `patience`.
    ///
    /// # Errors
    /// As [`Gateway::generate`].
    pub(crate) async fn take_on(
        &self,
        endpoint: Arc<Endpoint>,
        request: &GenerateRequest,
        patience: Duration,
    ) -> Result<Taken, GatewayError> {
        self.take_on_besides(endpoint, request, patience, Vec::new())
            .await
    }

    async fn take_on_besides(
        &self,
        endpoint: Arc<Endpoint>,
        request: &GenerateRequest,
        patience: Duration,
        tried: Vec<ReplicaId>,
    ) -> Result<Taken, GatewayError> {
        let admission = endpoint.admit(self.config.concurrent_max)?;
        let watch = Watch::new(self.sources.clone(), endpoint);
        let attempt = Attempt {
            watch,
            patience,
            tried,
            admission,
        };
        self.hand_over(attempt, request).await
    }

    async fn hand_over(
        &self,
        mut attempt: Attempt,
        request: &GenerateRequest,
    ) -> Result<Taken, GatewayError> {
        let endpoint = attempt.watch.endpoint.clone();
        loop {
            let lease = match endpoint.lease(self.sources.clock.now(), &attempt.tried) {
                Ok(lease) => lease,
                Err(error) => {
                    attempt.watch.ended(Some(&error));
                    return Err(error);
                }
            };
            let until = tokio::time::Instant::now() + attempt.patience;
            let taken = match tokio::time::timeout_at(until, lease.client.generate(request)).await {
                Ok(taken) => taken.map_err(GatewayError::from),
                Err(_) => Err(attempt.too_silent()),
            };
            match taken {
                Ok(stream) => {
                    return Ok(Taken {
                        attempt,
                        stream,
                        lease,
                        until,
                    });
                }
                Err(error) => attempt.again(&lease, error)?,
            }
        }
    }

    /// Waits for the first piece; the request goes to another replica if this one dies before.
    ///
    /// # Errors
    /// As [`Gateway::generate`].
    pub(crate) async fn first(
        &self,
        mut taken: Taken,
        request: &GenerateRequest,
    ) -> Result<Generation, GatewayError> {
        loop {
            let endpoint = taken.attempt.watch.endpoint.clone();
            let begun = match tokio::time::timeout_at(taken.until, first_piece(&mut taken.stream)).await {
                Ok(begun) => begun,
                Err(_) => Err(taken.attempt.too_silent()),
            };
            let Taken {
                mut attempt,
                stream,
                lease,
                ..
            } = taken;
            match begun {
                Ok((prompt, first)) => {
                    lease.answered();
                    endpoint.counters.first_token(attempt.watch.elapsed());
                    endpoint.counters.prompt_tokens(prompt);
                    let limit = self.config.generate_timeout;
                    return Ok(Generation {
                        stream,
                        first: Some(first),
                        prompt,
                        lease,
                        watch: attempt.watch,
                        silence: self.config.silence_timeout,
                        deadline: tokio::time::Instant::now() + limit,
                        limit,
                        _admission: attempt.admission,
                    });
                }
                Err(error) => {
                    drop(stream);
                    attempt.again(&lease, error)?;
                    drop(lease);
                    taken = self.hand_over(attempt, request).await?;
                }
            }
        }
    }
}

impl Attempt {
    fn too_silent(&self) -> GatewayError {
        GatewayError::DeadlineExceeded {
            name: self.watch.endpoint.name().to_owned(),
            seconds: self.patience.as_secs(),
        }
    }

    /// After a failure: goes on if another replica may do better, else counts the request as ended.
    fn again(&mut self, lease: &Lease, error: GatewayError) -> Result<(), GatewayError> {
        let outcome = self.watch.again(lease, error, &mut self.tried);
        if let Err(error) = &outcome {
            self.watch.ended(Some(error));
        }
        outcome
    }
}

async fn first_piece(stream: &mut GenerateStream) -> Result<(PromptTokens, Piece), GatewayError> {
    let mut prompt = PromptTokens::default();
    loop {
        match next_event(stream).await? {
            GenerateEvent::Start {
                prompt_tokens: all,
                cached_tokens: cached,
            } => prompt = PromptTokens { all, cached },
            GenerateEvent::Token { text, logprobs } => {
                return Ok((prompt, Piece::Text { text, logprobs }));
            }
            GenerateEvent::ToolCall {
                index,
                name,
                arguments,
            } => {
                return Ok((
                    prompt,
                    Piece::Call {
                        index,
                        name,
                        arguments,
                    },
                ));
            }
            GenerateEvent::End {
                finish_reason,
                completion_tokens,
            } => {
                let end = Piece::End {
                    finish_reason,
                    completion_tokens,
                };
                return Ok((prompt, end));
            }
            GenerateEvent::Error { error } => return Err(GatewayError::Generation(Box::new(error))),
        }
    }
}

async fn next_event(stream: &mut GenerateStream) -> Result<GenerateEvent, GatewayError> {
    match stream.next().await {
        Some(event) => Ok(event?),
        None => Err(corliss_engine::EngineError::Stopped.into()),
    }
}

/// A generation that is complete.
pub(crate) struct Whole {
    pub(crate) text: String,
    pub(crate) logprobs: Vec<TokenLogprob>,
    /// Name and arguments of each call of a tool.
    pub(crate) calls: Vec<(String, String)>,
    pub(crate) finish_reason: FinishReason,
    pub(crate) prompt: PromptTokens,
    pub(crate) completion_tokens: u32,
}

impl Gateway {
    /// Generates to the end before anything is sent, so that a replica that dies half-way is replaced too. The
    /// first piece must come within `patience`.
    ///
    /// # Errors
    /// As [`Gateway::generate`], or if the second attempt breaks as well.
    pub(crate) async fn generate_whole(
        &self,
        endpoint: Arc<Endpoint>,
        request: &GenerateRequest,
        patience: Duration,
    ) -> Result<Whole, GatewayError> {
        let mut generation = self
            .generate_besides(endpoint.clone(), request, patience, Vec::new())
            .await?;
        let error = match generation.collect().await {
            Ok(whole) => return Ok(whole),
            Err(error) => error,
        };
        let failed = vec![generation.lease.replica.clone()];
        if generation.watch.retried || !error.elsewhere() || !endpoint.has_other(&failed) {
            generation.ended(Err(&error));
            return Err(error);
        }
        // One request of the client's is one in the counters, however many attempts it took.
        generation.watch.open = false;
        generation.blame(&error);
        endpoint.counters.retried();
        drop(generation);
        let mut second = self.generate_besides(endpoint, request, patience, failed).await?;
        let result = second.collect().await;
        if let Err(error) = &result {
            second.ended(Err(error));
        }
        result
    }
}

impl Generation {
    async fn collect(&mut self) -> Result<Whole, GatewayError> {
        let (mut whole_text, mut whole_logprobs) = (String::new(), Vec::new());
        let mut calls: Vec<(String, String)> = Vec::new();
        loop {
            match self.read_next().await? {
                Piece::Text { text, logprobs } => {
                    whole_text.push_str(&text);
                    whole_logprobs.extend(logprobs);
                }
                Piece::Call { name, arguments, .. } => {
                    calls.extend(name.map(|name| (name, String::new())));
                    if let Some((_, all)) = calls.last_mut() {
                        all.push_str(&arguments);
                    }
                }
                Piece::End {
                    finish_reason,
                    completion_tokens,
                } => {
                    self.ended(Ok(completion_tokens));
                    return Ok(Whole {
                        text: whole_text,
                        logprobs: whole_logprobs,
                        calls,
                        finish_reason,
                        prompt: self.prompt,
                        completion_tokens,
                    });
                }
            }
        }
    }

    /// The next piece; nothing follows an end or an error.
    ///
    /// # Errors
    /// If the engine failed, fell silent, or took too long altogether.
    pub(crate) async fn next(&mut self) -> Result<Piece, GatewayError> {
        let piece = self.read_next().await;
        match &piece {
            Ok(Piece::Text { .. } | Piece::Call { .. }) => {}
            Ok(Piece::End {
                completion_tokens, ..
            }) => self.ended(Ok(*completion_tokens)),
            Err(error) => self.ended(Err(error)),
        }
        piece
    }

    async fn read_next(&mut self) -> Result<Piece, GatewayError> {
        match self.first.take() {
            Some(piece) => Ok(piece),
            None => self.read().await,
        }
    }

    fn ended(&mut self, outcome: Result<u32, &GatewayError>) {
        match outcome {
            Ok(completion_tokens) => {
                self.watch.endpoint.counters.completion_tokens(completion_tokens);
                self.watch.ended(None);
            }
            Err(error) => {
                self.blame(error);
                self.watch.ended(Some(error));
            }
        }
    }

    fn blame(&self, error: &GatewayError) {
        if error.blames_replica() {
            self.lease.refused(self.watch.sources.clock.now());
        }
    }

    async fn read(&mut self) -> Result<Piece, GatewayError> {
        let now = tokio::time::Instant::now();
        let (until, seconds) = if now + self.silence < self.deadline {
            (now + self.silence, self.silence.as_secs())
        } else {
            (self.deadline, self.limit.as_secs())
        };
        loop {
            let event = match tokio::time::timeout_at(until, next_event(&mut self.stream)).await {
                Ok(event) => event?,
                Err(_) => {
                    let name = self.watch.endpoint.name().to_owned();
                    return Err(GatewayError::DeadlineExceeded { name, seconds });
                }
            };
            return match event {
                GenerateEvent::Start { .. } => continue,
                GenerateEvent::Token { text, logprobs } => Ok(Piece::Text { text, logprobs }),
                GenerateEvent::ToolCall {
                    index,
                    name,
                    arguments,
                } => Ok(Piece::Call {
                    index,
                    name,
                    arguments,
                }),
                GenerateEvent::End {
                    finish_reason,
                    completion_tokens,
                } => Ok(Piece::End {
                    finish_reason,
                    completion_tokens,
                }),
                GenerateEvent::Error { error } => Err(GatewayError::Generation(Box::new(error))),
            };
        }
    }
}

/// Times a request and counts its end exactly once; one that is dropped before its end was cancelled.
pub(crate) struct Watch {
    sources: Sources,
    endpoint: Arc<Endpoint>,
    started: Duration,
    open: bool,
    /// Whether a second attempt was made.
    retried: bool,
}

impl Watch {
    pub(crate) fn new(sources: Sources, endpoint: Arc<Endpoint>) -> Self {
        let started = sources.clock.monotonic();
        Self {
            sources,
            endpoint,
            started,
            open: true,
            retried: false,
        }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.sources.clock.monotonic().saturating_sub(self.started)
    }

    /// After a failed attempt: goes on if another replica may do better and none was tried before.
    pub(crate) fn again(
        &mut self,
        lease: &Lease,
        error: GatewayError,
        tried: &mut Vec<ReplicaId>,
    ) -> Result<(), GatewayError> {
        if error.blames_replica() {
            lease.refused(self.sources.clock.now());
        }
        if !error.elsewhere() || !tried.is_empty() {
            return Err(error);
        }
        tried.push(lease.replica.clone());
        // Without another replica the first error says more than "none is left".
        if !self.endpoint.has_other(tried) {
            return Err(error);
        }
        self.retried = true;
        self.endpoint.counters.retried();
        Ok(())
    }

    pub(crate) fn ended(&mut self, error: Option<&GatewayError>) {
        if !self.open {
            return;
        }
        self.open = false;
        let outcome = match error.map(Diagnose::meaning) {
            None => Outcome::Answered,
            Some(Meaning::InvalidInput | Meaning::NotFound | Meaning::TooLarge) => Outcome::Invalid,
            Some(_) => Outcome::Failed,
        };
        self.endpoint.counters.ended(outcome, self.elapsed());
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if self.open {
            self.endpoint.counters.ended(Outcome::Cancelled, self.elapsed());
        }
    }
}
