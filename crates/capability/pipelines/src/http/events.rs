//! Following a run: its whole state on each change, at a bounded pace, until it has ended.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use corliss_http::{ApiError, Path, SseSender, sse};
use corliss_types::RunId;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use super::runs::run_id;
use crate::Pipelines;
use crate::types::RunDetail;

/// Events that wait for a slow client; each is the whole state, so few are enough.
const QUEUE: usize = 2;

pub(super) async fn follow(
    State(pipelines): State<Arc<Pipelines>>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let id = run_id(&id)?;
    // Before the state is read, so that no change falls between.
    let changes = pipelines.changes();
    let first = pipelines.run(&id).await?;
    let (sender, response) = sse(QUEUE);
    tokio::spawn(async move { send(&pipelines, id, changes, first, &sender).await });
    Ok(response)
}

async fn send(
    pipelines: &Pipelines,
    id: RunId,
    mut changes: Receiver<RunId>,
    first: RunDetail,
    client: &SseSender,
) {
    let shutdown = pipelines.context.shutdown.clone();
    let mut detail = first;
    loop {
        if client.event("run", &detail).await.is_err() || detail.summary.state.is_ended() {
            return;
        }
        tokio::select! {
            changed = next_change(&mut changes, &id) => if !changed { return },
            () = client.closed() => return,
            () = shutdown.wait() => return,
        }
        // A change seldom comes alone; a large run is read and sent less often.
        tokio::time::sleep(pause(detail.steps.len())).await;
        forget(&mut changes);
        match pipelines.run(&id).await {
            Ok(now) => detail = now,
            Err(error) => {
                tracing::warn!(run = %id, "events end: {error}");
                return;
            }
        }
    }
}

fn pause(steps: usize) -> Duration {
    Duration::from_millis(20 + u64::try_from(steps / 2).unwrap_or(1_000)).min(Duration::from_secs(1))
}

/// Waits for a change of this run. False if there will be none.
async fn next_change(changes: &mut Receiver<RunId>, id: &RunId) -> bool {
    loop {
        match changes.recv().await {
            Ok(changed) if changed == *id => return true,
            Ok(_) => {}
            // Whatever was missed, the state is read anew.
            Err(RecvError::Lagged(_)) => return true,
            Err(RecvError::Closed) => return false,
        }
    }
}

/// Drops changes that the state read next already holds.
fn forget(changes: &mut Receiver<RunId>) {
    loop {
        match changes.try_recv() {
            Ok(_) | Err(TryRecvError::Lagged(_)) => {}
            Err(_) => return,
        }
    }
}
