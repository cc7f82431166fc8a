//! From what people write to the version that it means now.

use corliss_types::VersionId;

use super::DataService;
use crate::store::{datasets, versions};
use crate::{DataError, Reference};

impl DataService {
    /// The version that a reference means now.
    ///
    /// # Errors
    /// It means none, or more than one.
    pub async fn resolve(&self, reference: &Reference) -> Result<VersionId, DataError> {
        let reference = reference.clone();
        self.store
            .read(move |tx| match &reference {
                Reference::Version(version) => match versions::get(tx, version)? {
                    Some(found) => Ok(found.version),
                    None => Err(DataError::VersionNotFound {
                        version: version.to_string(),
                    }),
                },
                Reference::Latest(name) => datasets::latest(tx, name)?
                    .ok_or_else(|| DataError::DatasetNotFound { name: name.clone() }),
                Reference::Prefix(name, prefix) => {
                    let mut found = datasets::by_prefix(tx, name, prefix)?;
                    match (found.pop(), found.is_empty()) {
                        (Some(version), true) => Ok(version),
                        (None, _) => Err(DataError::VersionNotFound {
                            version: format!("{name}@{prefix}"),
                        }),
                        (Some(_), false) => Err(DataError::BadReference {
                            reference: format!("{name}@{prefix}"),
                            problem: "fits more than one version",
                        }),
                    }
                }
            })
            .await
    }
}
