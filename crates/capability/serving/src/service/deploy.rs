//! Deploy and remove: both only store what should be and wake the reconciler.

use std::fs::Metadata;

use corliss_diagnostics::nearest;
use corliss_engine::{EngineError, model_dir};
use corliss_metastore::Tx;
use corliss_policy_serving::RoutingProblem;
use corliss_policy_serving::release::{ReleasePlan, Strategy};
use corliss_types::{Flavor, ModelName, ReleaseId, Resources, Timestamp};

use super::Serving;
use crate::services::{delete_service, get_service};
use crate::store::{self, Desired, EndpointRow, ReleaseRow, Target};
use crate::types::{DeployRequest, EndpointView};
use crate::{DeployedModel, ServingError};

const MAX_REPLICAS: u32 = 64;
const MAX_CPU_MILLI: u64 = 1_000_000;

impl Serving {
    /// Stores what an endpoint should be by the word of `by`, having looked at the model's files. One that is on its way
    /// out stays after all, as one of which nothing else was said. Whether `by` may allow pickles is for the caller to know.
    pub async fn deploy(
        &self,
        name: &str,
        request: DeployRequest,
        by: &str,
    ) -> Result<EndpointView, ServingError> {
        check(name, &request)?;
        let known = self.known(name).await?;
        let (replicas, resources) = size(&request, known.as_ref());
        self.must_fit(&resources)?;
        let model = self.parts.models.resolve(&request.model).await?;
        let flavor = self.servable(&model, request.allow_pickle, &resources).await?;
        // What it has by an earlier model under its alias is no reason not to load it again.
        if known.is_none_or(|known| known.batching != request.batching) {
            request.batching.check_for(flavor)?;
        }
        let desired = Desired {
            reference: request.model,
            model: model.model,
            version: model.version,
            files: model.files,
            flavor,
            replicas,
            resources,
            allow_pickle: request.allow_pickle,
            batching: request.batching,
        };
        let order = Order {
            name: name.to_owned(),
            desired,
            plan: request.release,
            by: by.to_owned(),
            id: ReleaseId::new(self.parts.sources.id_seed()),
            now: self.parts.sources.clock.now(),
        };
        self.parts.store.write(move |tx| order.store(tx)).await?;
        self.wake.signal();
        self.until_routed(name).await;
        self.get(name).await
    }

    /// What the endpoint is told to be, if it is there to stay.
    async fn known(&self, name: &str) -> Result<Option<Desired>, ServingError> {
        let name = name.to_owned();
        let read = move |tx: &mut dyn Tx| Ok::<_, ServingError>(store::get_endpoint(tx, &name)?);
        let known = self.parts.store.read(read).await?;
        Ok(known.filter(|row| !row.deleting).map(|row| row.desired))
    }

    /// Lets an endpoint go away: its replicas finish their requests and end.
    pub async fn remove(&self, name: &str) -> Result<(), ServingError> {
        let (owned, now) = (name.to_owned(), self.parts.sources.clock.now());
        let found = self
            .parts
            .store
            .write(move |tx| {
                store::supersede_release(tx, &owned, "the endpoint was removed", now)?;
                let is_endpoint = store::mark_deleting(tx, &owned, now)?;
                Ok::<_, ServingError>(is_endpoint || delete_service(tx, &owned)?)
            })
            .await?;
        if !found {
            return Err(self.not_found(name).await);
        }
        self.wake.signal();
        self.publish_services().await?;
        Ok(())
    }

    /// Refuses what this machine never has, for which a replica would wait for ever.
    fn must_fit(&self, resources: &Resources) -> Result<(), ServingError> {
        let machine = &self.parts.machine;
        let fields = [
            ("cpu_milli", resources.cpu_milli, machine.cpu_milli),
            ("memory_bytes", resources.memory_bytes, machine.memory_bytes),
            (
                "accelerators",
                resources.accelerators.into(),
                machine.accelerators.into(),
            ),
        ];
        match fields.into_iter().find(|(_, wanted, there)| wanted > there) {
            None => Ok(()),
            Some((name, wanted, there)) => Err(ServingError::Invalid {
                field: format!("resources.{name}"),
                problem: format!("is {wanted}, and this machine has {there} to give"),
            }),
        }
    }

    /// The kind of engine for these files, or why they are not served by replicas that have these resources.
    pub(crate) async fn servable(
        &self,
        model: &DeployedModel,
        allow_pickle: bool,
        resources: &Resources,
    ) -> Result<Flavor, ServingError> {
        self.parts.models.clear(model, allow_pickle).await?;
        let folder = self.parts.models.materialise(&model.files).await?;
        // Looked for as the engine will, so that what it would refuse is refused before it is deployed.
        let located = tokio::task::spawn_blocking(move || {
            let found = model_dir::locate(&folder)?;
            let file = std::fs::metadata(&found.path).ok().filter(Metadata::is_file);
            Ok((found.flavor, file.map_or(0, |file| file.len())))
        });
        let memory_bytes = match resources.memory_bytes {
            0 => self.parts.machine.memory_bytes,
            given => given,
        };
        match located.await {
            // Before anything that serves is moved for it.
            Ok(Ok((_, size_bytes))) if size_bytes > memory_bytes => Err(ServingError::TooLarge {
                model: model.model.to_string(),
                version: model.version,
                size_bytes,
                memory_bytes,
            }),
            Ok(Ok((flavor, _))) => Ok(flavor),
            Ok(Err(EngineError::ModelMissing { .. })) | Err(_) => Err(ServingError::NoEngine {
                model: model.model.to_string(),
                version: model.version,
            }),
            Ok(Err(error)) => Err(error.into()),
        }
    }

    pub(crate) async fn not_found(&self, name: &str) -> ServingError {
        let names = self.list().await.unwrap_or_default();
        let nearest = nearest(name, names.iter().map(|one| one.name.as_str())).map(str::to_owned);
        ServingError::NotFound {
            name: name.to_owned(),
            nearest,
        }
    }
}

/// How many replicas it is to have, and what each of them: what is asked for, else what it has.
fn size(request: &DeployRequest, known: Option<&Desired>) -> (u32, Resources) {
    let known = known.map_or((1, Resources::default()), |desired| {
        (desired.replicas, desired.resources)
    });
    (
        request.replicas.unwrap_or(known.0),
        request.resources.unwrap_or(known.1),
    )
}

/// A deployment that was looked at and may be stored.
struct Order {
    name: String,
    desired: Desired,
    /// How to let it out, if that was said.
    plan: Option<ReleasePlan>,
    by: String,
    id: ReleaseId,
    now: Timestamp,
}

impl Order {
    fn store(&self, tx: &mut dyn Tx) -> Result<(), ServingError> {
        if get_service(tx, &self.name)?.is_some() {
            return Err(ServingError::NameTaken {
                name: self.name.clone(),
                by: "a service elsewhere",
            });
        }
        let row = store::get_endpoint(tx, &self.name)?;
        let stays = row.as_ref().filter(|row| !row.deleting);
        let known = stays.map(|row| row.release_plan.clone());
        let plan = self.plan.clone().or(known).unwrap_or_default();
        match row {
            Some(row) if !row.deleting && plan.strategy != Strategy::Rolling => {
                let target = self.target();
                if target.is_in(&row.desired) {
                    self.replace(tx, Some(row))?;
                } else {
                    self.release(tx, &row, target, &plan)?;
                }
            }
            row => self.replace(tx, row)?,
        }
        let text = serde_json::to_string(&plan).map_err(|error| ServingError::Invalid {
            field: "release".to_owned(),
            problem: error.to_string(),
        })?;
        Ok(store::set_release_plan(tx, &self.name, &text)?)
    }

    fn target(&self) -> Target {
        Target::of(&self.desired)
    }

    /// It takes the place of what there is, replica by replica.
    fn replace(&self, tx: &mut dyn Tx, row: Option<EndpointRow>) -> Result<(), ServingError> {
        let stays = |row: &EndpointRow| row.desired == self.desired && !row.deleting;
        let version = self.desired.version;
        let reason = format!("{} deployed version {version}", self.by);
        store::supersede_release(tx, &self.name, &reason, self.now)?;
        // The same again is no new generation: its replicas stay as they are.
        if !row.is_some_and(|row| stays(&row)) {
            store::upsert_endpoint(tx, &self.name, &self.desired, &self.by, self.now)?;
        }
        Ok(())
    }

    /// It is let out beside what there is.
    fn release(
        &self,
        tx: &mut dyn Tx,
        row: &EndpointRow,
        target: Target,
        plan: &ReleasePlan,
    ) -> Result<(), ServingError> {
        comparable(&row.desired, &target)?;
        if (row.desired.replicas, row.desired.resources) != (self.desired.replicas, self.desired.resources) {
            let Desired {
                replicas, resources, ..
            } = self.desired;
            store::set_size(tx, &self.name, replicas, resources, self.now)?;
        }
        let active = store::newest_release(tx, &self.name)?.filter(ReleaseRow::is_active);
        // The same again goes on where it is.
        if active.is_some_and(|active| active.target == target && active.plan == *plan) {
            return Ok(());
        }
        let reason = format!("{} released version {}", self.by, target.version);
        store::supersede_release(tx, &self.name, &reason, self.now)?;
        let by = Some(self.by.clone());
        let row = ReleaseRow::begin(self.id.clone(), row, target, plan.clone(), by, self.now);
        Ok(store::insert_release(tx, &row)?)
    }
}

/// Versions are told apart by their number, and run in one kind of engine.
pub(crate) fn comparable(desired: &Desired, target: &Target) -> Result<(), ServingError> {
    let problem = if desired.version == target.version {
        format!(
            "is version {} too, as what is served now; only versions of another number stand side by side",
            target.version
        )
    } else if desired.flavor != target.flavor {
        "needs another kind of engine than what is served now".to_owned()
    } else {
        return Ok(());
    };
    Err(ServingError::Invalid {
        field: "model".to_owned(),
        problem: format!("{problem}; deploy it with the strategy rolling"),
    })
}

fn check(name: &str, request: &DeployRequest) -> Result<(), ServingError> {
    let invalid = |field: &str, problem: String| {
        let field = field.to_owned();
        Err(ServingError::Invalid { field, problem })
    };
    if let Err(error) = name.parse::<ModelName>() {
        return invalid("name", error.to_string());
    }
    if let Some(replicas) = request
        .replicas
        .filter(|replicas| !(1..=MAX_REPLICAS).contains(replicas))
    {
        return invalid(
            "replicas",
            format!("is {replicas} but must lie between 1 and {MAX_REPLICAS}"),
        );
    }
    if let Some(Err(RoutingProblem { field, problem })) = request.release.as_ref().map(ReleasePlan::check) {
        return Err(ServingError::Invalid { field, problem });
    }
    if request
        .resources
        .is_some_and(|resources| resources.cpu_milli > MAX_CPU_MILLI)
    {
        return invalid("resources.cpu_milli", format!("must not exceed {MAX_CPU_MILLI}"));
    }
    request.batching.check()
}
