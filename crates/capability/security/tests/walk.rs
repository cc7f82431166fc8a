//! Every route of this capability, and some of others, as every kind of caller.

#![allow(clippy::unwrap_used)]

mod support;

use corliss_http::RouteInfo;
use corliss_metastore::Metastore;
use corliss_security::MIGRATIONS;
use corliss_testkit::walk::{Walker, walk};
use corliss_types::{DurationMs, IdSeed, Role, RunId, Timestamp};
use http::Method;
use serde_json::json;
use support::House;

#[tokio::test(flavor = "multi_thread")]
async fn every_route_does_what_it_declares() {
    let house = House::new(Metastore::in_memory(&[MIGRATIONS]).await.unwrap()).await;
    let bearer = format!("Bearer {}", house.admin);
    let mut walkers = vec![Walker::anonymous(), Walker::with_wrong_token()];
    for role in [Role::DataScientist, Role::MlEngineer, Role::PlatformAdmin] {
        let body = json!({"name": format!("walker-{role}"), "role": role});
        let (_, made) = house
            .ask(
                Method::POST,
                "/api/v1/tokens",
                &[("authorization", &bearer)],
                body,
            )
            .await;
        walkers.push(Walker::of_role(role, made["token"].as_str().unwrap()));
    }
    let run = RunId::new(IdSeed {
        at: Timestamp::from_millis(5),
        random: [5; 10],
    });
    let token = house
        .security
        .issue_workload(&run, "train", 1, DurationMs::from_secs(60))
        .await
        .unwrap();
    walkers.push(Walker::of_role(Role::Workload, &token));

    let allows = |role, permission| corliss_policy_access::decide(role, permission).allows();
    let wrong = walk(&house.router, &house.table, &walkers, allows, &[]).await;
    assert_eq!(wrong, Vec::<String>::new());

    // The walk itself must notice a lie: a table that promises more than the routes keep.
    let lying: Vec<RouteInfo> = house
        .table
        .iter()
        .cloned()
        .map(|route| RouteInfo {
            access: corliss_types::Access::Public,
            ..route
        })
        .collect();
    assert!(
        !walk(&house.router, &lying, &walkers, allows, &[])
            .await
            .is_empty()
    );
}
