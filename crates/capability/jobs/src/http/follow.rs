//! Following a log as server-sent events: `line` for each line, `end` once nothing will follow.

use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use corliss_executor::logs::LogStart;
use corliss_http::{SseSender, sse};
use corliss_types::JobId;
use serde_json::json;

use super::views::LogLineView;
use crate::{Jobs, LogRequest, LogSlice};

/// Between looks at a log that has nothing new.
const LOOK: Duration = Duration::from_millis(150);
/// Lines sent ahead of a slow client; beyond that we wait for it.
const QUEUE: usize = 256;

/// Sends the first slice and then whatever comes, until the worker has ended or the client is gone.
pub(super) fn follow(jobs: Arc<Jobs>, id: JobId, mut request: LogRequest, first: LogSlice) -> Response {
    let (sender, response) = sse(QUEUE);
    tokio::spawn(async move {
        let mut slice = first;
        loop {
            let (ended, quiet) = (slice.ended, slice.lines.is_empty());
            request.start = LogStart::Offset(slice.next_offset);
            if !send(&sender, slice).await {
                return;
            }
            if ended {
                let LogStart::Offset(next_offset) = request.start else {
                    return;
                };
                let _ = sender.event("end", &json!({ "next_offset": next_offset })).await;
                return;
            }
            if quiet {
                tokio::select! {
                    () = tokio::time::sleep(LOOK) => {}
                    () = sender.closed() => return,
                }
            }
            slice = match jobs.logs(&id, request.clone()).await {
                Ok(next) => next,
                Err(error) => {
                    let report = corliss_diagnostics::ErrorReport::of(&error);
                    let _ = sender.event("error", &json!({ "error": report })).await;
                    return;
                }
            };
        }
    });
    response
}

async fn send(sender: &SseSender, slice: LogSlice) -> bool {
    for line in slice.lines {
        if sender.event("line", &LogLineView::of(line)).await.is_err() {
            return false;
        }
    }
    true
}
