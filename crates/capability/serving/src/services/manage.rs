//! Connect and show.

use corliss_types::{Flavor, ModelName, ReplicaId, Resources};
use corliss_upstream::BaseUrl;

use super::store::{get_service, put_service};
use super::{ConnectRequest, RouteTarget, ServiceRow, ServiceView, Target, TargetRequest};
use crate::routes::RouteService;
use crate::store::get_endpoint;
use crate::types::{EndpointPhase, EndpointView};
use crate::{Serving, ServingError};

const TARGETS_MAX: usize = 64;
const WEIGHT_MAX: u32 = 1_000;
const MODEL_MAX_BYTES: usize = 500;
const KEY_MAX_BYTES: usize = 4_096;

impl Serving {
    /// Stores that an endpoint is answered by a service, by the word of `by`. Requests on their way are not disturbed.
    pub async fn connect(
        &self,
        name: &str,
        request: ConnectRequest,
        by: &str,
    ) -> Result<EndpointView, ServingError> {
        let urls = check(name, &request)?;
        let sealed = match request.api_key.as_ref().and_then(Option::as_ref) {
            None => None,
            Some(key) => Some(self.parts.sealer.seal(&context(name), key.as_bytes()).await?),
        };
        let (owned, by, now) = (name.to_owned(), by.to_owned(), self.parts.sources.clock.now());
        let sources = self.parts.sources.clone();
        self.parts
            .store
            .write(move |tx| {
                if get_endpoint(tx, &owned)?.is_some() {
                    return Err(ServingError::NameTaken {
                        name: owned.clone(),
                        by: "a model that is served here",
                    });
                }
                let before = get_service(tx, &owned)?;
                let known = before.as_ref().map_or(&[][..], |row| &row.targets);
                let targets = urls.iter().zip(&request.targets).map(|(url, target)| Target {
                    // A target that stays keeps what is known of it.
                    id: known
                        .iter()
                        .find(|known| known.url == url.as_str())
                        .map_or_else(|| ReplicaId::new(sources.id_seed()), |known| known.id.clone()),
                    url: url.as_str().to_owned(),
                    weight: target.weight,
                });
                let row = ServiceRow {
                    name: owned.clone(),
                    dialect: request.dialect,
                    model: request.model.clone(),
                    targets: targets.collect(),
                    key: match (&request.api_key, &before) {
                        (None, Some(before)) => before.key.clone(),
                        _ => sealed.clone(),
                    },
                    routing: Default::default(),
                    created_by: by.clone(),
                    created: now,
                    updated: now,
                };
                Ok(put_service(tx, &row)?)
            })
            .await?;
        // By the time that this is answered it is so.
        self.publish_services().await?;
        self.get(name).await
    }

    /// What may take requests of these services. One whose key does not open takes none, and says why.
    pub(crate) fn route_services(&self, rows: Vec<ServiceRow>) -> Vec<RouteService> {
        rows.into_iter().map(|row| self.route_service(row)).collect()
    }

    fn route_service(&self, row: ServiceRow) -> RouteService {
        let opened = row
            .key
            .as_ref()
            .map(|key| self.parts.sealer.open(&context(&row.name), key));
        let (key, reason) = match opened.transpose() {
            Ok(key) => (key, None),
            Err(error) => (None, Some(format!("its key cannot be opened: {error}"))),
        };
        let targets = row.targets.into_iter().filter_map(|target| {
            Some(RouteTarget {
                url: target.url.parse().ok()?,
                id: target.id,
                weight: target.weight,
            })
        });
        RouteService {
            targets: if reason.is_none() {
                targets.collect()
            } else {
                Vec::new()
            },
            name: row.name,
            dialect: row.dialect,
            model: row.model,
            key,
            reason,
            routing: row.routing.into(),
        }
    }
}

/// What a key is sealed for: it does not open for another endpoint.
fn context(name: &str) -> String {
    format!("key of the service behind endpoint {name}")
}

/// A service as an endpoint is shown, which so many requests were made to, and some of whose addresses failed the last
/// one that they were given.
pub(crate) fn view(row: ServiceRow, requests_total: u64, troubles: &[(ReplicaId, String)]) -> EndpointView {
    let count = u32::try_from(row.targets.len()).unwrap_or(u32::MAX);
    let troubled: Vec<String> = row
        .targets
        .iter()
        .filter_map(|target| {
            let (_, trouble) = troubles.iter().find(|(id, _)| *id == target.id)?;
            Some(format!("the last request to {} failed: {trouble}", target.url))
        })
        .collect();
    let ready = count.saturating_sub(u32::try_from(troubled.len()).unwrap_or(u32::MAX));
    EndpointView {
        name: row.name,
        model: row.model.clone(),
        model_name: None,
        desired_version: 1,
        serving_version: Some(1),
        flavor: Flavor::Other,
        state: match ready {
            _ if ready == count => EndpointPhase::Ready,
            0 => EndpointPhase::Failed,
            _ => EndpointPhase::Degraded,
        },
        reason: (!troubled.is_empty()).then(|| troubled.join("; ")),
        replicas_desired: count,
        replicas_ready: ready,
        resources: Resources::default(),
        routing: row.routing,
        routing_notes: Vec::new(),
        batching: Default::default(),
        release_plan: Default::default(),
        release: None,
        allow_pickle: false,
        deployed_by: Some(row.created_by),
        service: Some(ServiceView {
            dialect: row.dialect,
            model: row.model,
            targets: row.targets,
            has_key: row.key.is_some(),
            updated_ms: row.updated,
        }),
        replicas: Vec::new(),
        requests_total,
        created_ms: row.created,
        updated_ms: row.updated,
    }
}

fn check(name: &str, request: &ConnectRequest) -> Result<Vec<BaseUrl>, ServingError> {
    let invalid = |field: &str, problem: &str| ServingError::Invalid {
        field: field.to_owned(),
        problem: problem.to_owned(),
    };
    name.parse::<ModelName>()
        .map_err(|error| invalid("name", &error.to_string()))?;
    if request.model.is_empty() || request.model.len() > MODEL_MAX_BYTES {
        return Err(invalid("model", "must have between 1 and 500 bytes"));
    }
    if request.targets.is_empty() || request.targets.len() > TARGETS_MAX {
        return Err(invalid("targets", "must be 1 to 64 addresses"));
    }
    if let Some(Some(key)) = &request.api_key
        && (key.is_empty() || key.len() > KEY_MAX_BYTES || !key.bytes().all(|byte| byte.is_ascii_graphic()))
    {
        return Err(invalid(
            "api_key",
            "must have between 1 and 4096 visible ASCII characters",
        ));
    }
    let mut urls: Vec<BaseUrl> = Vec::with_capacity(request.targets.len());
    for (index, TargetRequest { url, weight }) in request.targets.iter().enumerate() {
        let field = |member: &str| format!("targets[{index}].{member}");
        if !(1..=WEIGHT_MAX).contains(weight) {
            return Err(invalid(&field("weight"), "must lie between 1 and 1000"));
        }
        let url: BaseUrl = url.parse().map_err(|error: corliss_upstream::UpstreamError| {
            let text = error.to_string();
            let problem = text.strip_prefix("the address ").unwrap_or(&text);
            invalid(&field("url"), problem)
        })?;
        if urls.contains(&url) {
            return Err(invalid(&field("url"), "is there already"));
        }
        urls.push(url);
    }
    Ok(urls)
}
