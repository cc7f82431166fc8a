//! A service's stream on its way to the client: no task and no queue between them, so that a client that reads slowly
//! makes the service wait, and one that goes away ends its work.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use corliss_upstream::Answer;
use http_body::Body;
use tokio::time::{Instant, Sleep, sleep_until};

use super::events::{Broken, Events, Usage};
use crate::error::GatewayError;
use crate::service::endpoint::{Admission, Lease};
use crate::service::quota::Meter;
use crate::service::timing::{PromptTokens, Watch};

/// An answer under way. Dropping it closes the connection to the service.
pub(crate) struct Passing {
    pub(super) answer: Answer,
    pub(super) events: Events,
    /// Read ahead.
    pub(super) first: Option<Bytes>,
    pub(super) lease: Lease,
    pub(super) watch: Watch,
    pub(super) meter: Meter,
    /// Tokens of the prompt, about, until the service tells.
    pub(super) guess: PromptTokens,
    /// How long the service may say nothing.
    pub(super) silence: Duration,
    /// How long the answer may take from its first event on.
    pub(super) limit: Duration,
    /// When anything came last.
    pub(super) heard: Instant,
    /// When the answer has taken too long.
    pub(super) until: Instant,
    /// Rings when it may have been silent for too long: set once and not again with every piece.
    pub(super) alarm: Option<Pin<Box<Sleep>>>,
    /// Whether nothing follows.
    pub(super) over: bool,
    pub(super) _admission: Admission,
}

impl Passing {
    /// More of the answer, whole events only; none at its end, nothing after an error.
    pub(crate) fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, GatewayError>>> {
        if let Some(first) = self.first.take() {
            self.told();
            return Poll::Ready(Some(Ok(first)));
        }
        if self.over {
            return Poll::Ready(None);
        }
        loop {
            match Pin::new(&mut self.answer).poll_frame(context) {
                Poll::Pending => return self.poll_silence(context),
                Poll::Ready(Some(Ok(frame))) => {
                    self.heard = Instant::now();
                    let Ok(chunk) = frame.into_data() else {
                        continue;
                    };
                    match self.events.pass(chunk) {
                        Ok(events) => {
                            self.told();
                            if !events.is_empty() {
                                return Poll::Ready(Some(Ok(events)));
                            }
                        }
                        Err(Broken(how)) => return self.broken(how),
                    }
                }
                Poll::Ready(Some(Err(error))) => return self.failed(error.into()),
                Poll::Ready(None) if self.events.is_complete() => {
                    self.complete();
                    self.over = true;
                    return Poll::Ready(None);
                }
                Poll::Ready(None) => return self.broken("the stream ended without its last event"),
            }
        }
    }

    /// What was read so far is counted, and the record closed where the stream said its last word.
    fn told(&mut self) {
        let tally = &self.events.tally;
        let (prompt, answer) = match tally.usage {
            Some(Usage { prompt, completion }) => (prompt, completion.max(1)),
            None => (self.guess, tally.pieces),
        };
        self.meter.prompts(&[prompt], 1);
        self.meter.answers(u64::from(answer));
        self.watch.wrote(answer);
        if self.events.gave_up {
            self.gives_up();
        } else if self.events.ended {
            self.complete();
        }
    }

    /// The service has said what went wrong; its client hears that and nothing more.
    fn gives_up(&mut self) {
        self.over = true;
        let error = match self.lease.way.service() {
            Ok(remote) => remote.lost("the service ended the stream with an error".to_owned()),
            Err(error) => error,
        };
        self.lease.blamed(&error, self.watch.sources.clock.now());
        self.watch.ended(Some(&error));
    }

    fn complete(&mut self) {
        let tally = &self.events.tally;
        let usage = tally.usage.unwrap_or(Usage {
            prompt: self.guess,
            completion: tally.pieces,
        });
        self.watch
            .complete(usage.prompt, usage.completion, super::finish(tally));
    }

    fn poll_silence(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, GatewayError>>> {
        let due = self.until.min(self.heard + self.silence);
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(due)));
        while alarm.as_mut().poll(context).is_ready() {
            if Instant::now() >= due {
                let name = self.watch.endpoint().name().to_owned();
                let allowed = if due == self.until {
                    self.limit
                } else {
                    self.silence
                };
                return self.failed(GatewayError::deadline(name, allowed));
            }
            alarm.as_mut().reset(due);
        }
        Poll::Pending
    }

    fn broken(&mut self, how: &str) -> Poll<Option<Result<Bytes, GatewayError>>> {
        let error = match self.lease.way.service() {
            Ok(remote) => remote.lost(how.to_owned()),
            Err(error) => error,
        };
        self.failed(error)
    }

    fn failed(&mut self, error: GatewayError) -> Poll<Option<Result<Bytes, GatewayError>>> {
        self.over = true;
        // After its last word a stream has nothing to lose.
        if self.events.ended {
            return Poll::Ready(None);
        }
        self.lease.blamed(&error, self.watch.sources.clock.now());
        self.watch.ended(Some(&error));
        Poll::Ready(Some(Err(error)))
    }
}
