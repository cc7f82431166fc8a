//! The life of a credential, on every database.

#![allow(clippy::unwrap_used)]

mod support;

use corliss_http::{Credential, Guard};
use corliss_metastore::Metastore;
use corliss_security::{Keeper, MIGRATIONS};
use corliss_testkit::metastore::for_each_backend;
use corliss_types::{DurationMs, IdSeed, Role, RunId, Timestamp};
use http::Method;
use serde_json::{Value, json};
use support::House;

async fn issue(house: &House, body: Value) -> (u16, Value) {
    let bearer = format!("Bearer {}", house.admin);
    let (answer, body) = house
        .ask(
            Method::POST,
            "/api/v1/tokens",
            &[("authorization", &bearer)],
            body,
        )
        .await;
    (answer.status().as_u16(), body)
}

async fn tokens(store: Metastore) {
    let house = House::new(store).await;
    let (status, made) = issue(
        &house,
        json!({"name": "ada", "role": "data-scientist", "expires_in_s": 3600}),
    )
    .await;
    assert_eq!(
        (status, made["role"].as_str()),
        (201, Some("data-scientist")),
        "{made}"
    );
    let ada = made["token"].as_str().unwrap();
    assert!(ada.starts_with("corliss_"));
    assert_eq!(house.status(Method::GET, "/api/v1/runs", ada).await, 200);
    assert_eq!(house.status(Method::POST, "/api/v1/endpoints", ada).await, 403);
    assert_eq!(house.status(Method::GET, "/api/v1/tokens", ada).await, 403);

    // A second token of the same name is the same principal; a name cannot change its role.
    let (_, second) = issue(&house, json!({"name": "ada", "role": "data-scientist"})).await;
    let who = async |token: &str| {
        house
            .security
            .authenticate(Credential::Token(token.to_owned()), None)
            .await
            .unwrap()
            .id
    };
    assert_eq!(who(ada).await, who(second["token"].as_str().unwrap()).await);
    let (status, error) = issue(&house, json!({"name": "ada", "role": "platform-admin"})).await;
    assert_eq!(
        (status, error["error"]["code"].as_str()),
        (409, Some("principal_exists"))
    );

    // Expiry, then revocation: both at once, although the cache has seen the tokens.
    house.clock.advance(DurationMs::from_secs(3600));
    assert_eq!(house.status(Method::GET, "/api/v1/runs", ada).await, 401);
    let (second_token, id) = (second["token"].as_str().unwrap(), second["id"].as_str().unwrap());
    assert_eq!(house.status(Method::GET, "/api/v1/runs", second_token).await, 200);
    assert_eq!(
        house
            .status(Method::DELETE, &format!("/api/v1/tokens/{id}"), &house.admin)
            .await,
        204
    );
    assert_eq!(house.status(Method::GET, "/api/v1/runs", second_token).await, 401);
    assert_eq!(
        house
            .status(Method::DELETE, &format!("/api/v1/tokens/{id}"), &house.admin)
            .await,
        404
    );

    let bearer = format!("Bearer {}", house.admin);
    let (_, list) = house
        .ask(
            Method::GET,
            "/api/v1/tokens",
            &[("authorization", &bearer)],
            Value::Null,
        )
        .await;
    let names: Vec<_> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|token| token["name"].clone())
        .collect();
    assert_eq!(names, ["local-admin"]);
    assert!(!list.to_string().contains("corliss_"), "{list}");
    let own = list["items"][0]["id"].as_str().unwrap();
    let path = format!("/api/v1/tokens/{own}");
    let (answer, error) = house
        .ask(Method::DELETE, &path, &[("authorization", &bearer)], Value::Null)
        .await;
    assert_eq!(
        (answer.status().as_u16(), error["error"]["code"].as_str()),
        (409, Some("last_admin_token"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_issued_expire_and_are_revoked() {
    for_each_backend(&[MIGRATIONS], tokens).await;
}

async fn requests(store: Metastore) {
    let house = House::new(store).await;
    for (body, field) in [
        (json!({"name": "", "role": "data-scientist"}), "name"),
        (json!({"name": "a b", "role": "data-scientist"}), "name"),
        (json!({"name": "a", "role": "workload"}), "role"),
        (json!({"name": "a", "role": "king"}), "role"),
        (
            json!({"name": "a", "role": "ml-engineer", "expires_in_s": 1}),
            "expires_in_s",
        ),
    ] {
        let (status, error) = issue(&house, body).await;
        assert_eq!(
            (status, error["error"]["field"].as_str()),
            (400, Some(field)),
            "{error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_request_for_a_token_names_the_field() {
    requests(Metastore::in_memory(&[MIGRATIONS]).await.unwrap()).await;
}

async fn sessions(store: Metastore) {
    let house = House::new(store).await;
    let (answer, view) = house
        .ask(
            Method::POST,
            "/api/v1/session",
            &[],
            json!({"token": house.admin}),
        )
        .await;
    assert_eq!(
        (answer.status().as_u16(), view),
        (200, json!({"name": "local-admin", "role": "platform-admin"}))
    );
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let pair = cookie.split(';').next().unwrap();
    assert!(!pair.contains(&house.admin));
    let session = [("cookie", pair)];
    let get = async |headers: &[(&str, &str)]| {
        house
            .ask(Method::GET, "/api/v1/session", headers, Value::Null)
            .await
            .0
            .status()
            .as_u16()
    };
    assert_eq!(get(&session).await, 200);
    // Neither passes for the other.
    let secret = pair.split_once('=').unwrap().1;
    assert_eq!(house.status(Method::GET, "/api/v1/session", secret).await, 401);
    assert_eq!(
        get(&[("cookie", &format!("corliss_session={}", house.admin))]).await,
        401
    );

    let sign_out = [("cookie", pair), ("x-corliss-console", "1")];
    let (answer, _) = house
        .ask(Method::DELETE, "/api/v1/session", &sign_out, Value::Null)
        .await;
    assert_eq!(answer.status(), 204);
    assert!(
        answer.headers()["set-cookie"]
            .to_str()
            .unwrap()
            .contains("Max-Age=0")
    );
    assert_eq!(get(&session).await, 401);

    let (answer, error) = house
        .ask(
            Method::POST,
            "/api/v1/session",
            &[],
            json!({"token": "corliss_no"}),
        )
        .await;
    assert_eq!(
        (answer.status().as_u16(), error["error"]["code"].as_str()),
        (401, Some("credential_unknown"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_lives_until_it_is_closed() {
    for_each_backend(&[MIGRATIONS], sessions).await;
}

async fn ends_with_its_token(store: Metastore) {
    let house = House::new(store).await;
    let (_, made) = issue(&house, json!({"name": "eve", "role": "ml-engineer"})).await;
    let (answer, _) = house
        .ask(
            Method::POST,
            "/api/v1/session",
            &[],
            json!({"token": made["token"]}),
        )
        .await;
    let cookie = answer.headers()["set-cookie"]
        .to_str()
        .unwrap()
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    let get = async || {
        house
            .ask(
                Method::GET,
                "/api/v1/session",
                &[("cookie", &cookie)],
                Value::Null,
            )
            .await
            .0
            .status()
            .as_u16()
    };
    assert_eq!(get().await, 200);
    let id = made["id"].as_str().unwrap();
    assert_eq!(
        house
            .status(Method::DELETE, &format!("/api/v1/tokens/{id}"), &house.admin)
            .await,
        204
    );
    assert_eq!(get().await, 401);

    // And with time, whatever the browser does with the cookie.
    let (answer, _) = house
        .ask(
            Method::POST,
            "/api/v1/session",
            &[],
            json!({"token": house.admin}),
        )
        .await;
    let cookie = answer.headers()["set-cookie"]
        .to_str()
        .unwrap()
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    house.clock.advance(DurationMs::from_secs(12 * 3600));
    let (answer, error) = house
        .ask(
            Method::GET,
            "/api/v1/session",
            &[("cookie", &cookie)],
            Value::Null,
        )
        .await;
    assert_eq!(
        (answer.status().as_u16(), error["error"]["code"].as_str()),
        (401, Some("credential_expired"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_with_its_token_and_with_time() {
    for_each_backend(&[MIGRATIONS], ends_with_its_token).await;
}

async fn workload(store: Metastore) {
    let mut house = House::new(store).await;
    let run = RunId::new(IdSeed {
        at: Timestamp::from_millis(5),
        random: [5; 10],
    });
    let ttl = DurationMs::from_secs(600);
    let token = house
        .security
        .issue_workload(&run, "train", 1, ttl)
        .await
        .unwrap();
    assert_eq!(
        house
            .status(Method::POST, "/api/2.0/mlflow/runs/log-metric", &token)
            .await,
        200
    );
    assert_eq!(house.status(Method::GET, "/api/v1/models", &token).await, 200);
    assert_eq!(house.status(Method::GET, "/api/v1/runs", &token).await, 403);
    let caller = house
        .security
        .authenticate(Credential::Token(token.clone()), None)
        .await
        .unwrap();
    assert_eq!(
        (caller.role, caller.name),
        (Role::Workload, format!("{run}/train"))
    );

    // A server that was killed before it started the task asks again and gets the same token.
    house.restart().await;
    assert_eq!(
        house
            .security
            .issue_workload(&run, "train", 1, ttl)
            .await
            .unwrap(),
        token
    );
    let next = house
        .security
        .issue_workload(&run, "train", 2, ttl)
        .await
        .unwrap();
    let other = house.security.issue_workload(&run, "test", 1, ttl).await.unwrap();
    assert!(next != token && other != token);

    house.security.revoke_workload(&run, Some("train")).await.unwrap();
    house.security.revoke_workload(&run, Some("train")).await.unwrap();
    assert_eq!(house.status(Method::GET, "/api/v1/models", &token).await, 401);
    assert_eq!(house.status(Method::GET, "/api/v1/models", &next).await, 401);
    assert_eq!(house.status(Method::GET, "/api/v1/models", &other).await, 200);
    house.clock.advance(ttl);
    assert_eq!(house.status(Method::GET, "/api/v1/models", &other).await, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workload_token_is_narrow_short_and_stable() {
    for_each_backend(&[MIGRATIONS], workload).await;
}

async fn first_start(store: Metastore) {
    let mut house = House::new(store).await;
    let first = house.admin.clone();
    assert_eq!(house.status(Method::GET, "/api/v1/tokens", &first).await, 200);
    house.restart().await;
    assert_eq!(house.admin, first);

    // The file is lost: the next start makes another, and the lost one opens nothing any more.
    std::fs::remove_file(&house.credentials).unwrap();
    house.restart().await;
    assert_ne!(house.admin, first);
    assert_eq!(
        house.status(Method::GET, "/api/v1/tokens", &house.admin).await,
        200
    );
    assert_eq!(house.status(Method::GET, "/api/v1/tokens", &first).await, 401);

    // A planted file is not believed once the installation has tokens.
    let planted = format!(
        "url = \"http://127.0.0.1:7070\"\ntoken = \"corliss_{}\"\n",
        "a".repeat(64)
    );
    std::fs::write(&house.credentials, planted).unwrap();
    house.restart().await;
    assert_eq!(
        house.status(Method::GET, "/api/v1/tokens", &house.admin).await,
        401
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_start_makes_the_only_door() {
    for_each_backend(&[MIGRATIONS], first_start).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_was_killed_after_the_file_adopts_it() {
    let before = House::new(Metastore::in_memory(&[MIGRATIONS]).await.unwrap()).await;
    let file = std::fs::read_to_string(&before.credentials).unwrap();
    let mut house = House::new(Metastore::in_memory(&[MIGRATIONS]).await.unwrap()).await;
    // The same home, but nothing of the database had been written.
    house.store = Metastore::in_memory(&[MIGRATIONS]).await.unwrap();
    std::fs::write(&house.credentials, file).unwrap();
    house.restart().await;
    assert_eq!(house.admin, before.admin);
    assert_eq!(
        house.status(Method::GET, "/api/v1/tokens", &house.admin).await,
        200
    );
}

async fn record(store: Metastore) {
    let house = House::new(store).await;
    let keeper = Keeper::new(house.security.clone());
    issue(&house, json!({"name": "ada", "role": "data-scientist"})).await;
    assert_eq!(
        house.status(Method::GET, "/api/v1/runs", "corliss_wrong").await,
        401
    );
    assert_eq!(
        house
            .status(Method::POST, "/api/2.0/mlflow/runs/log-metric", &house.admin)
            .await,
        200
    );
    keeper.flush().await.unwrap();
    let bearer = format!("Bearer {}", house.admin);
    let (_, list) = house
        .ask(
            Method::GET,
            "/api/v1/audit",
            &[("authorization", &bearer)],
            Value::Null,
        )
        .await;
    let mut lines: Vec<_> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| {
            let text = |name: &str| line[name].as_str().unwrap_or("-").to_owned();
            format!(
                "{} {} {} {}",
                text("principal"),
                text("method"),
                text("route"),
                line["status"]
            )
        })
        .collect();
    lines.sort();
    assert_eq!(
        lines,
        ["- GET /api/v1/runs 401", "local-admin POST /api/v1/tokens 201"]
    );
    let (_, page) = house
        .ask(
            Method::GET,
            "/api/v1/audit?limit=1",
            &[("authorization", &bearer)],
            Value::Null,
        )
        .await;
    let next = format!(
        "/api/v1/audit?limit=1&page_token={}",
        page["next_page_token"].as_str().unwrap()
    );
    let (_, rest) = house
        .ask(Method::GET, &next, &[("authorization", &bearer)], Value::Null)
        .await;
    assert_ne!(rest["items"][0]["id"], page["items"][0]["id"]);
    assert!(rest["next_page_token"].is_null());
    // The use of a token is written down too.
    let (_, list) = house
        .ask(
            Method::GET,
            "/api/v1/tokens",
            &[("authorization", &bearer)],
            Value::Null,
        )
        .await;
    let own = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|token| token["name"] == "local-admin")
        .unwrap();
    assert_eq!(own["last_used_ms"], 1_700_000_000_000_i64);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_and_refusals_are_recorded() {
    for_each_backend(&[MIGRATIONS], record).await;
}

async fn purge(store: Metastore) {
    use corliss_reconcile::Reconciler;
    let house = House::new(store).await;
    let keeper = Keeper::new(house.security.clone());
    issue(
        &house,
        json!({"name": "ada", "role": "data-scientist", "expires_in_s": 60}),
    )
    .await;
    keeper.reconcile().await.unwrap();
    house.clock.advance(DurationMs::from_secs(91 * 24 * 3600));
    let outcome = keeper.reconcile().await.unwrap();
    assert_eq!(outcome.progress, "0 lines recorded, 2 expired rows deleted");
    assert_eq!(
        house.status(Method::GET, "/api/v1/tokens", &house.admin).await,
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_had_its_time_is_deleted() {
    for_each_backend(&[MIGRATIONS], purge).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_is_throttled_but_a_known_token_still_enters() {
    let house = House::new(Metastore::in_memory(&[MIGRATIONS]).await.unwrap()).await;
    let peer = Some("10.1.2.3".parse().unwrap());
    let enter = async |token: String| house.security.authenticate(Credential::Token(token), peer).await;
    enter(house.admin.clone()).await.unwrap();
    let mut throttled = 0;
    for n in 0..40 {
        if let Err(corliss_http::AuthFailure::Throttled { .. }) = enter(format!("corliss_guess{n}")).await {
            throttled += 1;
        }
    }
    assert_eq!(throttled, 20);
    enter(house.admin.clone()).await.unwrap();
    // One program with one stale token must not lock its neighbours out.
    let other = Some("10.1.2.4".parse().unwrap());
    for _ in 0..100 {
        let stale = Credential::Token("corliss_stale".to_owned());
        assert_eq!(
            house.security.authenticate(stale, other).await.unwrap_err(),
            corliss_http::AuthFailure::Unknown
        );
    }
}
