//! The gateway's route table is serving's, in the gateway's own words.

use std::sync::Arc;

use corliss_gateway::{RouteEndpoint, RouteReplica, RouteTable};
use corliss_serving as serving;
use tokio::sync::watch;

/// Follows serving's table for as long as the server runs.
pub fn route_table(mut from: watch::Receiver<serving::RouteTable>) -> watch::Receiver<Arc<RouteTable>> {
    let first = translate(&from.borrow_and_update());
    let (sender, receiver) = watch::channel(Arc::new(first));
    tokio::spawn(async move {
        while from.changed().await.is_ok() {
            let table = translate(&from.borrow_and_update());
            sender.send_replace(Arc::new(table));
        }
    });
    receiver
}

fn translate(table: &serving::RouteTable) -> RouteTable {
    let endpoint = |endpoint: &serving::RouteEndpoint| RouteEndpoint {
        name: endpoint.name.clone(),
        model: endpoint.model.to_string(),
        version: endpoint.version,
        flavor: endpoint.flavor,
        reason: endpoint.reason.clone(),
        routing: endpoint.routing.clone(),
        replicas: endpoint
            .replicas
            .iter()
            .map(|replica| RouteReplica {
                id: replica.id.clone(),
                version: replica.version,
                socket: replica.socket.clone(),
            })
            .collect(),
    };
    RouteTable {
        generation: table.generation,
        endpoints: table.endpoints.iter().map(endpoint).collect(),
    }
}
