//! Generation: started on one replica, or on further ones as long as nothing was sent to the client.

use std::time::Duration;

use corliss_engine::client::GenerateStream;
use corliss_engine::protocol::{FinishReason, GenerateEvent, GenerateRequest, Timing, TokenLogprob};
use tokio::time::{Instant, timeout_at};

use crate::error::GatewayError;
use crate::service::Gateway;
use crate::service::call::Call;
use crate::service::endpoint::{Admission, Lease, Load};
use crate::service::hedge::hedged;
use crate::service::prompt;
use crate::service::timing::{PromptTokens, Watch};

/// Tokens that an answer is expected to have if its request does not bound it lower.
const ANSWER_TOKENS: u32 = 256;

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
        timing: Option<Timing>,
    },
}

/// A generation under way. Dropping it cancels it in the engine.
pub(crate) struct Generation {
    stream: GenerateStream,
    /// Taken when the first piece was read ahead.
    first: Option<Piece>,
    pub(crate) prompt: PromptTokens,
    lease: Lease,
    attempt: Attempt,
    silence: Duration,
    deadline: Instant,
    limit: Duration,
}

/// A request on its way to a replica.
struct Attempt {
    watch: Watch,
    load: PromptLoad,
    /// How long all attempts together may take until the first piece.
    patience: Duration,
    /// When that is over.
    until: Instant,
    _admission: Admission,
}

/// What its prompt brings to the choice of a replica.
struct PromptLoad {
    prompt_tokens: u64,
    answer_tokens: u64,
    blocks: Vec<u64>,
}

/// A request that an engine has taken; its first piece has not come.
pub(crate) struct Taken {
    attempt: Attempt,
    asked: Asked,
}

/// A replica that has taken a request.
struct Asked {
    stream: GenerateStream,
    lease: Lease,
    at: Instant,
}

/// A replica that has begun to answer.
struct Begun {
    asked: Asked,
    prompt: PromptTokens,
    first: Piece,
}

/// A replica that did not begin to answer.
struct Broken {
    lease: Lease,
    error: GatewayError,
}

impl Gateway {
    /// Starts a generation and waits for its first piece, so that whatever can be refused is refused with a
    /// status, and a replica that dies while it reads the prompt is replaced by another.
    ///
    /// # Errors
    /// If no replica answers, or the request is wrong.
    pub(crate) async fn generate(
        &self,
        call: Call,
        request: &GenerateRequest,
        patience: Duration,
    ) -> Result<Generation, GatewayError> {
        let taken = self.take_on(call, request, patience).await?;
        self.first(taken, request).await
    }

    /// Waits until an engine has taken the request, and with that has found nothing wrong in it. Its first
    /// piece must follow within `patience`.
    ///
    /// # Errors
    /// As [`Gateway::generate`].
    pub(crate) async fn take_on(
        &self,
        call: Call,
        request: &GenerateRequest,
        patience: Duration,
    ) -> Result<Taken, GatewayError> {
        let admission = self.admit(&call)?;
        let patience = call.patience(patience);
        let load = PromptLoad {
            prompt_tokens: prompt::tokens(request),
            answer_tokens: u64::from(request.max_tokens.unwrap_or(ANSWER_TOKENS).min(ANSWER_TOKENS)),
            blocks: if call.wants_blocks() {
                prompt::blocks(request)
            } else {
                Vec::new()
            },
        };
        let attempt = Attempt {
            watch: Watch::new(self.sources.clone(), call),
            load,
            patience,
            until: Instant::now() + patience,
            _admission: admission,
        };
        self.hand_over(attempt, request).await
    }

    /// Gives it to one replica after another until one has taken it.
    async fn hand_over(
        &self,
        mut attempt: Attempt,
        request: &GenerateRequest,
    ) -> Result<Taken, GatewayError> {
        loop {
            let lease = attempt
                .lease(self.random())
                .map_err(|error| attempt.failed(error))?;
            attempt.watch.asks(&lease);
            let at = Instant::now();
            let taken = match timeout_at(attempt.must_begin(at, &lease), lease.way.generate(request)).await {
                Ok(taken) => taken,
                Err(_) => Err(attempt.too_silent(&lease)),
            };
            match taken {
                Ok(stream) => {
                    let asked = Asked { stream, lease, at };
                    return Ok(Taken { attempt, asked });
                }
                Err(error) => attempt.again(&lease, error)?,
            }
        }
    }

    /// Waits for the first piece; the request goes to another replica if this one dies before, and also if it
    /// takes long and the endpoint hedges.
    ///
    /// # Errors
    /// As [`Gateway::generate`].
    pub(crate) async fn first(
        &self,
        mut taken: Taken,
        request: &GenerateRequest,
    ) -> Result<Generation, GatewayError> {
        loop {
            let Taken { mut attempt, asked } = taken;
            let after = attempt.watch.call.hedge_after();
            let first = begin(asked, &attempt);
            let mut beside = None;
            let begun = hedged(first, after, || {
                let lease = attempt.lease_beside(self.random())?;
                beside = Some(lease.replica.clone());
                Some(self.ask_beside(lease, &attempt, request))
            })
            .await;
            if let Some(replica) = &beside {
                attempt.watch.hedges(replica);
            }
            match begun {
                Ok(begun) => {
                    // Once, however often it was begun.
                    if attempt.watch.tried().len() == 1 {
                        self.copy_generation(&attempt.watch.call, request);
                    }
                    return Ok(self.under_way(attempt, begun));
                }
                Err(broken) => {
                    attempt.again(&broken.lease, broken.error)?;
                    drop(broken.lease);
                    taken = self.hand_over(attempt, request).await?;
                }
            }
        }
    }

    /// Asks a second replica beside the first; what goes wrong with it is held against it and nothing else.
    async fn ask_beside(&self, lease: Lease, attempt: &Attempt, request: &GenerateRequest) -> Option<Begun> {
        let at = Instant::now();
        let taken = timeout_at(attempt.must_begin(at, &lease), lease.way.generate(request)).await;
        let broken = match taken.ok()? {
            Ok(stream) => match begin(Asked { stream, lease, at }, attempt).await {
                Ok(begun) => return Some(begun),
                Err(broken) => broken,
            },
            Err(error) => Broken { lease, error },
        };
        broken.lease.blamed(&broken.error, self.sources.clock.now());
        None
    }

    fn under_way(&self, mut attempt: Attempt, begun: Begun) -> Generation {
        let Begun { asked, prompt, first } = begun;
        asked.lease.answered(asked.at.elapsed(), self.sources.clock.now());
        attempt.watch.answers(&asked.lease);
        attempt.watch.first(prompt);
        let limit = self.config.generate_timeout;
        Generation {
            stream: asked.stream,
            first: Some(first),
            prompt,
            lease: asked.lease,
            attempt,
            silence: self.config.silence_timeout,
            deadline: Instant::now() + limit,
            limit,
        }
    }
}

/// Waits for the first piece.
async fn begin(mut asked: Asked, attempt: &Attempt) -> Result<Begun, Broken> {
    let until = attempt.must_begin(asked.at, &asked.lease);
    let begun = match timeout_at(until, first_piece(&mut asked.stream)).await {
        Ok(begun) => begun,
        Err(_) => Err(attempt.too_silent(&asked.lease)),
    };
    match begun {
        Ok((prompt, first)) => Ok(Begun { asked, prompt, first }),
        Err(error) => Err(Broken {
            lease: asked.lease,
            error,
        }),
    }
}

impl Attempt {
    fn lease(&self, random: u64) -> Result<Lease, GatewayError> {
        let load = Load {
            prompt_tokens: self.load.prompt_tokens,
            answer_tokens: self.load.answer_tokens,
            blocks: &self.load.blocks,
            random,
        };
        let now = self.watch.sources.clock.now();
        let endpoint = self.watch.endpoint();
        endpoint.lease(&self.watch.call, &load, now, self.watch.tried())
    }

    /// Another replica, if one more may be asked.
    fn lease_beside(&self, random: u64) -> Option<Lease> {
        if !self.watch.may_ask_another(self.watch.sources.clock.now()) {
            return None;
        }
        let lease = self.lease(random).ok()?;
        self.watch.endpoint().counters.hedged();
        Some(lease)
    }

    /// When a replica that was asked then must have begun to answer.
    fn must_begin(&self, asked: Instant, lease: &Lease) -> Instant {
        let own = self.watch.call.attempt_within(self.patience, lease);
        own.map_or(self.until, |own| (asked + own).min(self.until))
    }

    fn too_silent(&self, lease: &Lease) -> GatewayError {
        let name = self.watch.endpoint().name().to_owned();
        match self.watch.call.attempt_within(self.patience, lease) {
            Some(own) if Instant::now() < self.until => GatewayError::AttemptTimedOut {
                name,
                millis: u64::try_from(own.as_millis()).unwrap_or(u64::MAX),
            },
            _ => GatewayError::deadline(name, self.patience),
        }
    }

    /// After a failure: goes on if another replica may do better, else counts the request as ended.
    fn again(&mut self, lease: &Lease, error: GatewayError) -> Result<(), GatewayError> {
        self.watch.again(lease, error).map_err(|error| self.failed(error))
    }

    fn failed(&mut self, error: GatewayError) -> GatewayError {
        self.watch.ended(Some(&error));
        error
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
                timing,
            } => {
                let end = Piece::End {
                    finish_reason,
                    completion_tokens,
                    timing,
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
    /// As [`Gateway::generate`], or if the last attempt breaks as well.
    pub(crate) async fn generate_whole(
        &self,
        call: Call,
        request: &GenerateRequest,
        patience: Duration,
    ) -> Result<Whole, GatewayError> {
        let mut generation = self.generate(call, request, patience).await?;
        loop {
            let error = match generation.collect().await {
                Ok(whole) => return Ok(whole),
                Err(error) => error,
            };
            let Generation {
                stream,
                lease,
                mut attempt,
                ..
            } = generation;
            drop(stream);
            attempt.again(&lease, error)?;
            drop(lease);
            attempt.until = Instant::now() + attempt.patience;
            let taken = self.hand_over(attempt, request).await?;
            generation = self.first(taken, request).await?;
        }
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
                    timing,
                } => {
                    self.attempt
                        .watch
                        .generated(completion_tokens, finish_reason, timing);
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
            // A piece is a token, or a few that make one letter together.
            Ok(Piece::Text { .. } | Piece::Call { .. }) => {
                let watch = &mut self.attempt.watch;
                watch.wrote(watch.written().saturating_add(1));
            }
            Ok(Piece::End {
                finish_reason,
                completion_tokens,
                timing,
            }) => self
                .attempt
                .watch
                .generated(*completion_tokens, *finish_reason, *timing),
            Err(error) => {
                let watch = &mut self.attempt.watch;
                self.lease.blamed(error, watch.sources.clock.now());
                watch.ended(Some(error));
            }
        }
        piece
    }

    async fn read_next(&mut self) -> Result<Piece, GatewayError> {
        match self.first.take() {
            Some(piece) => Ok(piece),
            None => self.read().await,
        }
    }

    async fn read(&mut self) -> Result<Piece, GatewayError> {
        let now = Instant::now();
        let (until, allowed) = if now + self.silence < self.deadline {
            (now + self.silence, self.silence)
        } else {
            (self.deadline, self.limit)
        };
        loop {
            let event = match timeout_at(until, next_event(&mut self.stream)).await {
                Ok(event) => event?,
                Err(_) => {
                    let name = self.attempt.watch.endpoint().name().to_owned();
                    return Err(GatewayError::deadline(name, allowed));
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
                    timing,
                } => Ok(Piece::End {
                    finish_reason,
                    completion_tokens,
                    timing,
                }),
                GenerateEvent::Error { error } => Err(GatewayError::Generation(Box::new(error))),
            };
        }
    }
}
