//! Deploy and remove: both only store what should be and wake the reconciler.

use corliss_diagnostics::nearest;
use corliss_engine::{EngineError, model_dir};
use corliss_policy_serving::{Routing, RoutingProblem};
use corliss_types::{Flavor, ModelName};

use super::Serving;
use crate::store::{self, Desired, EndpointRow};
use crate::types::{DeployRequest, EndpointView};
use crate::{DeployedModel, ServingError};

const MAX_REPLICAS: u32 = 64;
const MAX_CPU_MILLI: u64 = 1_000_000;

impl Serving {
    /// Stores what an endpoint should be by the word of `by`, having looked at the model's files. One that is on its way
    /// out stays after all, with new replicas. Whether `by` may allow pickles is for the caller to know.
    pub async fn deploy(
        &self,
        name: &str,
        request: DeployRequest,
        by: &str,
    ) -> Result<EndpointView, ServingError> {
        check(name, &request)?;
        let model = self.parts.models.resolve(&request.model).await?;
        let flavor = self.servable(&model, request.allow_pickle).await?;
        let desired = Desired {
            reference: request.model,
            model: model.model,
            version: model.version,
            files: model.files,
            flavor,
            replicas: request.replicas,
            resources: request.resources,
            allow_pickle: request.allow_pickle,
            batching: request.batching,
        };
        let (owned, by, now) = (name.to_owned(), by.to_owned(), self.parts.sources.clock.now());
        self.parts
            .store
            .write(move |tx| {
                let stays = |row: &EndpointRow| row.desired == desired && !row.deleting;
                // The same again is no new generation: its replicas stay as they are.
                if !store::get_endpoint(tx, &owned)?.is_some_and(|row| stays(&row)) {
                    store::upsert_endpoint(tx, &owned, &desired, &by, now)?;
                }
                Ok::<_, ServingError>(())
            })
            .await?;
        self.wake.signal();
        self.get(name).await
    }

    /// Stores how an endpoint's requests are routed. Its replicas go on as they are, and so do requests on their way.
    pub async fn set_routing(&self, name: &str, routing: Routing) -> Result<EndpointView, ServingError> {
        let checked = routing.check(name);
        checked.map_err(|RoutingProblem { field, problem }| ServingError::Invalid { field, problem })?;
        let (owned, now) = (name.to_owned(), self.parts.sources.clock.now());
        let text = serde_json::to_string(&routing).map_err(|error| ServingError::Invalid {
            field: "rules".to_owned(),
            problem: error.to_string(),
        })?;
        let found = self
            .parts
            .store
            .write(move |tx| Ok::<_, ServingError>(store::set_routing(tx, &owned, &text, now)?))
            .await?;
        if !found {
            return Err(self.not_found(name).await);
        }
        self.wake.signal();
        self.get(name).await
    }

    /// Lets an endpoint go away: its replicas finish their requests and end.
    pub async fn remove(&self, name: &str) -> Result<(), ServingError> {
        let (owned, now) = (name.to_owned(), self.parts.sources.clock.now());
        let found = self
            .parts
            .store
            .write(move |tx| Ok::<_, ServingError>(store::mark_deleting(tx, &owned, now)?))
            .await?;
        if !found {
            return Err(self.not_found(name).await);
        }
        self.wake.signal();
        Ok(())
    }

    /// The kind of engine for these files, or why they are not served.
    pub(crate) async fn servable(
        &self,
        model: &DeployedModel,
        allow_pickle: bool,
    ) -> Result<Flavor, ServingError> {
        self.parts.models.clear(model, allow_pickle).await?;
        let folder = self.parts.models.materialise(&model.files).await?;
        // Looked for as the engine will, so that what it would refuse is refused before it is deployed.
        match tokio::task::spawn_blocking(move || model_dir::locate(&folder)).await {
            Ok(Ok(found)) => Ok(found.flavor),
            Ok(Err(EngineError::ModelMissing { .. })) | Err(_) => Err(ServingError::NoEngine {
                model: model.model.to_string(),
                version: model.version,
            }),
            Ok(Err(error)) => Err(error.into()),
        }
    }

    pub(crate) async fn not_found(&self, name: &str) -> ServingError {
        let rows = self
            .parts
            .store
            .read(|tx| Ok::<_, ServingError>(store::list_endpoints(tx)?))
            .await;
        let names = rows.unwrap_or_default();
        let nearest = nearest(name, names.iter().map(|row| row.name.as_str())).map(str::to_owned);
        ServingError::NotFound {
            name: name.to_owned(),
            nearest,
        }
    }
}

fn check(name: &str, request: &DeployRequest) -> Result<(), ServingError> {
    let invalid = |field: &str, problem: String| {
        let field = field.to_owned();
        Err(ServingError::Invalid { field, problem })
    };
    if let Err(error) = name.parse::<ModelName>() {
        return invalid("name", error.to_string());
    }
    if !(1..=MAX_REPLICAS).contains(&request.replicas) {
        return invalid(
            "replicas",
            format!(
                "is {} but must lie between 1 and {MAX_REPLICAS}",
                request.replicas
            ),
        );
    }
    if request.resources.cpu_milli > MAX_CPU_MILLI {
        return invalid("resources.cpu_milli", format!("must not exceed {MAX_CPU_MILLI}"));
    }
    request.batching.check()
}
