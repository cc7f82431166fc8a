//! A run registers its models in the registry.

use async_trait::async_trait;
use corliss_pipelines::ports::{ModelsPort, PortError, Registration};
use corliss_reconcile::Wake;
use corliss_registry::{DataInput, Expected, NewVersion, Registry, RegistryError};
use corliss_types::ModelName;

/// The registry, and who follows its aliases.
pub struct Models {
    /// The registry.
    pub registry: Registry,
    /// Serving's signal: an alias moved.
    pub moved: Wake,
}

#[async_trait]
impl ModelsPort for Models {
    async fn register(&self, registration: &Registration) -> Result<u32, PortError> {
        let data = registration.data.iter().map(|(name, version)| DataInput {
            name: name.clone(),
            version: version.clone(),
        });
        let new = NewVersion {
            model: registration.name.clone(),
            source_version: registration.source.clone(),
            run_id: registration.run.clone(),
            step: registration.step.clone(),
            tracking_run_id: Some(registration.tracking_run.clone()),
            data: data.collect(),
            code: Some(registration.code.clone()),
            metrics: registration.metrics.clone(),
        };
        let registered = self
            .registry
            .acting_as(&registration.submitted_by)
            .register(new)
            .await
            .map_err(|error| PortError::of(&error))?;
        Ok(u32::try_from(registered.version.version).unwrap_or(u32::MAX))
    }

    /// Read, then compare-and-set: of two runs that end at once the newer version wins in either order.
    async fn set_alias(
        &self,
        name: &ModelName,
        alias: &str,
        version: u32,
        submitted_by: &str,
    ) -> Result<(), PortError> {
        let registry = self.registry.acting_as(submitted_by);
        loop {
            let expected = match registry
                .version_by_alias(name.to_string(), alias.to_owned())
                .await
            {
                Ok(current) if current.version >= i64::from(version) => return Ok(()),
                Ok(current) => Expected::Version(current.version),
                Err(RegistryError::AliasNotFound { .. }) => Expected::Absent,
                Err(error) => return Err(PortError::of(&error)),
            };
            let set = registry
                .set_alias(name.to_string(), alias.to_owned(), i64::from(version), expected)
                .await;
            match set {
                Ok(_) => break,
                Err(RegistryError::AliasMoved { .. }) => {}
                Err(error) => return Err(PortError::of(&error)),
            }
        }
        self.moved.signal();
        Ok(())
    }
}
