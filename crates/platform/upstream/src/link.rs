//! One connection, and who drives it: hyper's half that reads and writes is polled by whoever waits for an answer.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use futures_util::future::FutureExt;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1;

use crate::Pieces;

type Driver = Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>;

/// An open connection. Dropping it closes the socket.
pub(crate) struct Link {
    sender: http1::SendRequest<Pieces>,
    /// None once it has ended.
    driver: Option<Driver>,
}

/// Why there is no head of an answer.
pub(crate) enum Unsent {
    /// Nothing was sent: here is the request again.
    Whole(Box<Request<Pieces>>),
    /// Something may have been.
    Perhaps(hyper::Error),
}

impl Link {
    pub(crate) fn new(
        sender: http1::SendRequest<Pieces>,
        connection: impl Future<Output = hyper::Result<()>> + Send + 'static,
    ) -> Self {
        Self {
            sender,
            driver: Some(Box::pin(connection)),
        }
    }

    /// Reads and writes what can be.
    pub(crate) fn drive(&mut self, context: &mut Context<'_>) {
        if let Some(driver) = &mut self.driver
            && driver.poll_unpin(context).is_ready()
        {
            self.driver = None;
        }
    }

    /// Whether the next request can be sent now, as far as is known.
    pub(crate) fn is_free(&mut self, context: &mut Context<'_>) -> bool {
        self.drive(context);
        self.driver.is_some() && self.sender.is_ready()
    }

    /// Sends a request and waits for the head of its answer.
    pub(crate) async fn exchange(&mut self, request: Request<Pieces>) -> Result<Response<Incoming>, Unsent> {
        let mut answered = pin!(self.sender.try_send_request(request));
        let driver = &mut self.driver;
        let answer = poll_fn(|context| {
            if let Some(half) = driver
                && half.poll_unpin(context).is_ready()
            {
                *driver = None;
            }
            match answered.as_mut().poll(context) {
                Poll::Pending if driver.is_none() => answered.as_mut().poll(context),
                done => done,
            }
        });
        answer.await.map_err(|mut refused| match refused.take_message() {
            Some(request) => Unsent::Whole(Box::new(request)),
            None => Unsent::Perhaps(refused.into_error()),
        })
    }
}
