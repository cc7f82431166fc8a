//! How Vault and OpenBao refuse, and what is made of it: the same against the twin and a real OpenBao.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

mod transit;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use corliss_diagnostics::{Diagnose, Meaning};
use corliss_keyring::{KeyError, RootKey, Token, TransitRootKey, TransitSettings, Trouble};
use serde_json::json;
use transit::{Engine, OPERATOR};
use zeroize::Zeroizing;

/// What was refused, checked for the words that every refusal must have and the secrets none may have.
fn trouble(error: &KeyError, engine: &Engine) -> Trouble {
    let KeyError::Transit { trouble, .. } = error else {
        panic!("{error}");
    };
    let text = format!("{error} {error:?} {}", error.hint().unwrap());
    assert!(!text.contains(&engine.token), "{text}");
    assert_eq!(error.retryable(), error.meaning() == Meaning::Unavailable);
    assert!(error.code().starts_with("transit_"), "{}", error.code());
    trouble.clone()
}

async fn opening(engine: &Engine, change: impl FnOnce(&mut TransitSettings)) -> Trouble {
    let mut settings = engine.settings("corliss");
    change(&mut settings);
    let error = TransitRootKey::open(&settings).await.err().unwrap();
    trouble(&error, engine)
}

async fn what_is_not_there_or_not_allowed_is_named(engine: &Engine) {
    engine.make_key("corliss", false).await;
    let no_key = opening(engine, |settings| settings.key = "corliss-none".to_owned()).await;
    assert_eq!(
        no_key,
        Trouble::NoKey {
            key: "corliss-none".to_owned()
        }
    );
    let denied = opening(engine, |settings| settings.key = "anothers".to_owned()).await;
    let path = "transit/keys/anothers".to_owned();
    assert_eq!(denied, Trouble::Denied { path });
    let hidden = opening(engine, |settings| settings.mount = "nowhere".to_owned()).await;
    let path = "nowhere/keys/corliss".to_owned();
    assert_eq!(
        hidden,
        Trouble::Denied { path },
        "who may see nothing is told nothing"
    );
    let no_mount = opening(engine, |settings| {
        settings.token = Token::File(engine.token_file(OPERATOR));
        settings.mount = "nowhere".to_owned();
    });
    assert_eq!(
        no_mount.await,
        Trouble::NoMount {
            mount: "nowhere".to_owned()
        }
    );
    let namespace = opening(engine, |settings| settings.namespace = Some("nope".to_owned())).await;
    assert!(
        matches!(&namespace, Trouble::Refused { status: 404, message } if message.contains("namespace")),
        "{namespace:?}"
    );
    engine
        .operate("POST", "transit/keys/corliss-rsa", json!({"type": "rsa-2048"}))
        .await;
    let kind = opening(engine, |settings| settings.key = "corliss-rsa".to_owned()).await;
    assert_eq!(
        kind,
        Trouble::KeyType {
            kind: "rsa-2048".to_owned()
        }
    );
}

async fn a_token_is_read_again_when_it_changes(engine: &Engine) {
    engine.make_key("corliss-token", false).await;
    let root = engine.open("corliss-token").await.unwrap();
    let wrapped = root.wrap("a", &Zeroizing::new([5; 32])).await.unwrap();
    let path = engine.token_file("expired");
    let denied = root.unwrap("t", "a", &wrapped).await.unwrap_err();
    assert!(
        matches!(trouble(&denied, engine), Trouble::Denied { .. }),
        "{denied}"
    );
    engine.token_file(&engine.token);
    assert_eq!(*root.unwrap("t", "a", &wrapped).await.unwrap(), [5; 32]);
    engine.token_file("");
    let empty = root.unwrap("t", "a", &wrapped).await.unwrap_err();
    assert!(
        matches!(trouble(&empty, engine), Trouble::Token { .. }),
        "{empty}"
    );
    engine.token_file(&engine.token);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let open = root.unwrap("t", "a", &wrapped).await.unwrap_err();
    assert!(open.to_string().contains("0644"), "{open}");
    fs::remove_file(&path).unwrap();
    let gone = root.unwrap("t", "a", &wrapped).await.unwrap_err();
    assert!(gone.to_string().contains(&path.display().to_string()), "{gone}");
    let unset = opening(engine, |settings| {
        settings.token = Token::Variable("CORLISS_NO_SUCH".to_owned())
    });
    assert!(matches!(unset.await, Trouble::Token { problem } if problem.contains("CORLISS_NO_SUCH")));
}

async fn an_archived_version_opens_nothing_until_it_is_back(engine: &Engine) {
    engine.make_key("corliss-old", true).await;
    let root = engine.open("corliss-old").await.unwrap();
    let wrapped = root.wrap("a", &Zeroizing::new([6; 32])).await.unwrap();
    engine.rotate("corliss-old").await;
    let archive = async |version: u32| {
        let body = json!({ "min_decryption_version": version });
        engine
            .operate("POST", "transit/keys/corliss-old/config", body)
            .await;
    };
    archive(2).await;
    for error in [
        root.unwrap("t", "a", &wrapped).await.unwrap_err(),
        root.rewrap("t", "a", &wrapped).await.unwrap_err(),
    ] {
        let id = "transit:corliss-old:v1".to_owned();
        assert_eq!(trouble(&error, engine), Trouble::TooOld { id });
    }
    archive(1).await;
    let moved = root.rewrap("t", "a", &wrapped).await.unwrap().unwrap();
    archive(2).await;
    assert_eq!(*root.unwrap("t", "a", &moved).await.unwrap(), [6; 32]);
}

/// The last one: nothing works after it.
async fn a_sealed_one_says_so(engine: &Engine) {
    let root = engine.open("corliss").await.unwrap();
    engine.operate("POST", "sys/seal", json!({})).await;
    let error = root.wrap("a", &Zeroizing::new([1; 32])).await.unwrap_err();
    assert_eq!(trouble(&error, engine), Trouble::Sealed);
    assert!(error.retryable());
}

async fn refuse(engine: &Engine) {
    what_is_not_there_or_not_allowed_is_named(engine).await;
    a_token_is_read_again_when_it_changes(engine).await;
    an_archived_version_opens_nothing_until_it_is_back(engine).await;
    a_sealed_one_says_so(engine).await;
}

#[tokio::test]
async fn the_twin_refuses() {
    refuse(&Engine::twin().await).await;
}

/// A module, so that one filter runs what needs the binary.
mod openbao {
    use super::*;

    #[tokio::test]
    #[ignore = "needs OpenBao: set CORLISS_TEST_BAO"]
    async fn a_real_one_refuses_in_the_same_way() {
        refuse(&Engine::bao().await).await;
    }
}
