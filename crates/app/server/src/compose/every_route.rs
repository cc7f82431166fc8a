//! Every route of the one address, as every kind of caller, against the table of who may what.

use corliss_http::RouteInfo;
use corliss_testkit::walk::{Walker, walk};
use corliss_types::{Access, DurationMs, IdSeed, Role, RunId, Timestamp};
use http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;

/// The whole server but for its socket, on a home of its own.
struct House {
    rooms: Rooms,
    router: corliss_http::App,
    table: Vec<RouteInfo>,
    admin: String,
    _home: tempfile::TempDir,
}

async fn house() -> House {
    let folder = tempfile::tempdir().unwrap();
    let config = Config::load(folder.path(), None, std::iter::empty()).unwrap();
    let home = Home::open(folder.path()).unwrap();
    let (sources, url) = (Sources::system(), "http://127.0.0.1:7070");
    let rooms = Rooms::open(&config, &home, &sources, url, &Shutdown::new())
        .await
        .unwrap();
    let routes = all_routes(
        &rooms,
        &home,
        url,
        &config,
        &WorkerBoard::new(&sources),
        &Stop::default(),
    );
    let table = routes.table();
    let router = routes.into_app(rooms.security.clone()).unwrap();
    let credentials = rooms
        .security
        .ensure_credentials(&folder.path().join("credentials"), url, None)
        .await
        .unwrap();
    House {
        rooms,
        router,
        table,
        admin: credentials.token,
        _home: folder,
    }
}

impl House {
    /// A token of this role, made as an administrator makes it.
    async fn token(&self, role: Role) -> String {
        let body = json!({"name": format!("walker-{role}"), "role": role}).to_string();
        let request = Request::post("/api/v1/tokens")
            .header("host", "127.0.0.1:7070")
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {}", self.admin))
            .body(axum::body::Body::from(body))
            .unwrap();
        let answer = self.router.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::CREATED);
        let bytes = axum::body::to_bytes(answer.into_body(), 65_536).await.unwrap();
        let made: Value = serde_json::from_slice(&bytes).unwrap();
        made["token"].as_str().unwrap().to_owned()
    }

    async fn workload_token(&self) -> String {
        let run = RunId::new(IdSeed {
            at: Timestamp::from_millis(5),
            random: [5; 10],
        });
        let lifetime = DurationMs::from_secs(60);
        self.rooms
            .security
            .issue_workload(&run, "train", 1, lifetime)
            .await
            .unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_answers_each_caller_as_the_table_says() {
    let house = house().await;
    let mut walkers = vec![Walker::anonymous(), Walker::with_wrong_token()];
    for role in [Role::DataScientist, Role::MlEngineer, Role::PlatformAdmin] {
        walkers.push(Walker::of_role(role, &house.token(role).await));
    }
    walkers.push(Walker::of_role(Role::Workload, &house.workload_token().await));
    let allows = |role, permission| corliss_policy_access::decide(role, permission).allows();
    // An administrator's call would end the server.
    let spared = [(Method::POST, "/api/v1/system/shutdown")];
    let wrong = walk(&house.router, &house.table, &walkers, allows, &spared).await;
    assert_eq!(wrong, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_of_routes_is_the_golden_one() {
    let house = house().await;
    let lines: String = house
        .table
        .iter()
        .map(|route| {
            let access = match route.access {
                Access::Public => "public".to_owned(),
                Access::Authenticated => "authenticated".to_owned(),
                Access::Requires(permission) => permission.to_string(),
            };
            format!("{:<6} {:<72} {access}\n", route.method.as_str(), route.path)
        })
        .collect();
    assert_eq!(
        lines,
        include_str!("routes.golden"),
        "if the change is meant, write this to routes.golden:\n{lines}"
    );
}
