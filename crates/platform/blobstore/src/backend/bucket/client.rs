//! The clients of the three clouds, each from the settings and a few variables of the environment.
//!
//! The library's own reading of the environment is not used: it takes every variable that looks like an
//! option, among them those that switch TLS or its checks off.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey as S3Key};
use object_store::azure::{AzureConfigKey as AzureKey, MicrosoftAzureBuilder};
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::multipart::MultipartStore;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};

use super::address::{Address, Cloud, check_endpoint, settings_error};
use super::failure::Watching;
use super::settings::{BucketCredentials, BucketSettings};
use crate::BlobError;

/// A client, as a store of whole objects and as one of parts.
#[derive(Clone)]
pub(super) struct Client {
    pub objects: Arc<dyn ObjectStore>,
    pub parts: Arc<dyn MultipartStore>,
}

/// A variable of the environment.
pub(super) type Variable<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Whose identity S3 is used with, if no credentials are set. The first that is set counts where two mean the
/// same.
const S3_IDENTITY: [(&str, S3Key); 9] = [
    ("AWS_ACCESS_KEY_ID", S3Key::AccessKeyId),
    ("AWS_SECRET_ACCESS_KEY", S3Key::SecretAccessKey),
    ("AWS_SESSION_TOKEN", S3Key::Token),
    ("AWS_WEB_IDENTITY_TOKEN_FILE", S3Key::WebIdentityTokenFile),
    ("AWS_ROLE_ARN", S3Key::RoleArn),
    ("AWS_ROLE_SESSION_NAME", S3Key::RoleSessionName),
    (
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        S3Key::ContainerCredentialsRelativeUri,
    ),
    (
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        S3Key::ContainerCredentialsFullUri,
    ),
    (
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        S3Key::ContainerAuthorizationTokenFile,
    ),
];

/// As [`S3_IDENTITY`], for Azure.
const AZURE_IDENTITY: [(&str, AzureKey); 6] = [
    ("AZURE_STORAGE_KEY", AzureKey::AccessKey),
    ("AZURE_STORAGE_SAS_TOKEN", AzureKey::SasKey),
    ("AZURE_CLIENT_ID", AzureKey::ClientId),
    ("AZURE_CLIENT_SECRET", AzureKey::ClientSecret),
    ("AZURE_TENANT_ID", AzureKey::AuthorityId),
    ("AZURE_FEDERATED_TOKEN_FILE", AzureKey::FederatedTokenFile),
];

/// Makes the client; nothing is sent yet.
pub(super) fn client(
    address: &Address,
    settings: &BucketSettings,
    variable: Variable<'_>,
    watching: Watching,
) -> Result<Client, BlobError> {
    match address.cloud {
        Cloud::S3 => s3(address, settings, variable, watching),
        Cloud::Google => google(address, settings, variable, watching),
        Cloud::Azure => azure(address, settings, variable, watching),
    }
}

fn s3(
    address: &Address,
    settings: &BucketSettings,
    variable: Variable<'_>,
    watching: Watching,
) -> Result<Client, BlobError> {
    let first = |names: [&str; 2]| names.iter().find_map(|name| variable(name));
    let endpoint = settings.endpoint.clone();
    let endpoint = endpoint.or_else(|| first(["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]));
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&address.bucket)
        // One request of the core of S3, which every service has that speaks it.
        .with_disable_bulk_delete(true)
        .with_client_options(options(settings, endpoint.as_deref())?)
        .with_retry(no_retry())
        .with_http_connector(watching);
    if let Some(endpoint) = endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    let region = settings.region.clone();
    if let Some(region) = region.or_else(|| first(["AWS_REGION", "AWS_DEFAULT_REGION"])) {
        builder = builder.with_region(region);
    }
    match &settings.credentials {
        BucketCredentials::AccessKey {
            id,
            secret,
            session_token,
        } => {
            builder = builder
                .with_access_key_id(id)
                .with_secret_access_key(secret.reveal());
            if let Some(token) = session_token {
                builder = builder.with_token(token.reveal());
            }
        }
        BucketCredentials::Environment => {
            for (name, key) in S3_IDENTITY {
                if let Some(value) = variable(name) {
                    builder = builder.with_config(key, value);
                }
            }
        }
        _ => return Err(other_cloud()),
    }
    built(builder.build())
}

fn google(
    address: &Address,
    settings: &BucketSettings,
    variable: Variable<'_>,
    watching: Watching,
) -> Result<Client, BlobError> {
    let mut builder = GoogleCloudStorageBuilder::new()
        .with_bucket_name(&address.bucket)
        .with_client_options(options(settings, settings.endpoint.as_deref())?)
        .with_retry(no_retry())
        .with_http_connector(watching);
    if let Some(endpoint) = &settings.endpoint {
        builder = builder.with_base_url(endpoint);
    }
    match &settings.credentials {
        BucketCredentials::ServiceAccount { key } => {
            builder = builder.with_service_account_key(key.reveal());
        }
        BucketCredentials::Environment => {
            if let Some(path) = variable("GOOGLE_APPLICATION_CREDENTIALS") {
                builder = builder.with_application_credentials(path);
            }
        }
        _ => return Err(other_cloud()),
    }
    built(builder.build())
}

fn azure(
    address: &Address,
    settings: &BucketSettings,
    variable: Variable<'_>,
    watching: Watching,
) -> Result<Client, BlobError> {
    let named = match &settings.credentials {
        BucketCredentials::StorageAccount { account, .. }
        | BucketCredentials::SharedAccess { account, .. } => account.clone(),
        _ => variable("AZURE_STORAGE_ACCOUNT"),
    };
    let account = address.account.clone().or(named).ok_or_else(|| {
        let problem = "no storage account is named; use abfss://CONTAINER@ACCOUNT.dfs.core.windows.net";
        settings_error("url", problem)
    })?;
    let mut builder = MicrosoftAzureBuilder::new()
        .with_account(account)
        .with_container_name(&address.bucket)
        .with_client_options(options(settings, settings.endpoint.as_deref())?)
        .with_retry(no_retry())
        .with_http_connector(watching);
    if let Some(endpoint) = &settings.endpoint {
        builder = builder.with_endpoint(endpoint.clone());
    }
    match &settings.credentials {
        BucketCredentials::StorageAccount { key, .. } => builder = builder.with_access_key(key.reveal()),
        BucketCredentials::SharedAccess { signature, .. } => {
            builder = builder.with_config(AzureKey::SasKey, signature.reveal());
        }
        BucketCredentials::Environment => {
            for (name, key) in AZURE_IDENTITY {
                if let Some(value) = variable(name) {
                    builder = builder.with_config(key, value);
                }
            }
        }
        _ => return Err(other_cloud()),
    }
    built(builder.build())
}

/// TLS with the system's certificates wherever the endpoint does not say otherwise, and a limit on every wait.
fn options(settings: &BucketSettings, endpoint: Option<&str>) -> Result<ClientOptions, BlobError> {
    let is_http = match endpoint {
        Some(endpoint) => check_endpoint(endpoint, settings.allow_http)?,
        None => false,
    };
    Ok(ClientOptions::new()
        .with_allow_http(is_http)
        .with_connect_timeout(settings.limits.connect)
        .with_timeout(settings.limits.request))
}

/// What is tried again is decided in one place, `retry.rs`.
fn no_retry() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig::default(),
        max_retries: 0,
        retry_timeout: Duration::ZERO,
    }
}

/// The library's reason is left out: it may repeat what it was given.
fn built<T: ObjectStore + MultipartStore>(client: object_store::Result<T>) -> Result<Client, BlobError> {
    let client = client.map_err(|_| {
        let problem = "they are incomplete, cannot be read, or are not of this cloud's form";
        settings_error("credentials", problem)
    })?;
    let client = Arc::new(client);
    Ok(Client {
        objects: Arc::clone(&client) as _,
        parts: client,
    })
}

fn other_cloud() -> BlobError {
    settings_error("credentials", "they are of another cloud than the url")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::bucket::Secret;

    /// A client for a URL, credentials and an environment; else the field at fault.
    fn made(
        url: &str,
        credentials: BucketCredentials,
        environment: &[(&str, &str)],
    ) -> Result<String, &'static str> {
        let settings = BucketSettings {
            credentials,
            ..BucketSettings::of(url)
        };
        assert!(
            !format!("{settings:?}").contains("hunter2"),
            "a secret is printed"
        );
        let variable = |name: &str| {
            let set = environment.iter().find(|(one, _)| *one == name);
            set.map(|(_, value)| (*value).to_owned())
        };
        let made = Address::parse(url)
            .and_then(|address| client(&address, &settings, &variable, Watching::default()));
        match made {
            Ok(client) => Ok(client.objects.to_string()),
            Err(BlobError::BucketSettings { field, problem }) => {
                assert!(!problem.contains("hunter2"), "{problem}");
                Err(field)
            }
            Err(other) => panic!("{other}"),
        }
    }

    fn access_key() -> BucketCredentials {
        BucketCredentials::AccessKey {
            id: "id".to_owned(),
            secret: Secret::new("hunter2"),
            session_token: Some(Secret::new("hunter2")),
        }
    }

    #[test]
    fn each_cloud_takes_its_own_credentials_and_no_others() {
        let azure = |key: &str| BucketCredentials::StorageAccount {
            account: None,
            key: Secret::new(key),
        };
        let abfs = "abfss://box@acme.dfs.core.windows.net/p";
        assert_eq!(made("s3://data/p", access_key(), &[]).unwrap(), "AmazonS3(data)");
        assert!(made(abfs, azure("aHVudGVyMg=="), &[]).is_ok());
        assert_eq!(
            made("az://box", azure("aHVudGVyMg=="), &[]),
            Err("url"),
            "no account"
        );
        assert_eq!(
            made(abfs, azure("hunter2!"), &[]),
            Err("credentials"),
            "not base64"
        );
        let key = Secret::new("{\"hunter2\": 1}");
        assert_eq!(
            made("gs://data", BucketCredentials::ServiceAccount { key }, &[]),
            Err("credentials")
        );
        for url in [abfs, "gs://data"] {
            assert_eq!(made(url, access_key(), &[]), Err("credentials"), "{url}");
        }
        assert_eq!(made("s3://data", azure("aHVudGVyMg=="), &[]), Err("credentials"));
    }

    #[test]
    fn the_environment_fills_in_what_is_not_set_and_cannot_weaken_tls() {
        let none = BucketCredentials::Environment;
        let half = [("AWS_SECRET_ACCESS_KEY", "hunter2")];
        assert_eq!(made("s3://data", none.clone(), &half), Err("credentials"));
        assert!(
            made("s3://data", access_key(), &half).is_ok(),
            "settings are not mixed with it"
        );
        let far = [
            ("AWS_ENDPOINT_URL", "http://far.example.org"),
            ("AWS_ALLOW_HTTP", "true"),
        ];
        assert_eq!(made("s3://data", access_key(), &far), Err("endpoint"));
        let near = [("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1"), far[0]];
        assert!(made("s3://data", access_key(), &near).is_ok());
        let account = [
            ("AZURE_STORAGE_ACCOUNT", "acme"),
            ("AZURE_STORAGE_KEY", "aHVudGVyMg=="),
        ];
        assert!(made("az://box", none.clone(), &account).is_ok());
        assert_eq!(made("az://box", none.clone(), &account[1..]), Err("url"));
        let absent = [("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/hunter2.json")];
        assert_eq!(made("gs://data", none, &absent), Err("credentials"));
    }
}
