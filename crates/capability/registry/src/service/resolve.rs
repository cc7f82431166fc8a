//! From `name`, `name@alias` or `name/3` to a version.

use corliss_diagnostics::nearest;
use corliss_metastore::Tx;

use super::{Registry, existing, existing_version};
use crate::types::ModelVersion;
use crate::{RegistryError, store};

impl Registry {
    /// The version that a reference names now; a bare name is the latest.
    ///
    /// # Errors
    /// It is not a reference, or names nothing; then the error names what was likely meant.
    pub async fn resolve(&self, reference: &str) -> Result<ModelVersion, RegistryError> {
        let parsed = parse(reference)?;
        self.store.read(move |tx| find(tx, &parsed)).await
    }

    /// The version that an alias points at.
    ///
    /// # Errors
    /// There is no such model or alias.
    pub async fn version_by_alias(&self, name: String, alias: String) -> Result<ModelVersion, RegistryError> {
        let reference = match alias.eq_ignore_ascii_case("latest") {
            true => Reference::Latest(name),
            false => Reference::Alias(name, alias),
        };
        self.store.read(move |tx| find(tx, &reference)).await
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Reference {
    Latest(String),
    Alias(String, String),
    Number(String, i64),
}

fn parse(reference: &str) -> Result<Reference, RegistryError> {
    let wrong = || RegistryError::Reference(reference.chars().take(300).collect());
    let parsed = if let Some((name, alias)) = reference.split_once('@') {
        match alias {
            "latest" => Reference::Latest(name.to_owned()),
            _ => Reference::Alias(name.to_owned(), alias.to_owned()),
        }
    } else if let Some((name, number)) = reference.split_once('/') {
        let number = number
            .parse()
            .ok()
            .filter(|number| *number > 0)
            .ok_or_else(wrong)?;
        Reference::Number(name.to_owned(), number)
    } else {
        Reference::Latest(reference.to_owned())
    };
    let (Reference::Latest(name) | Reference::Alias(name, _) | Reference::Number(name, _)) = &parsed;
    if name.is_empty() || matches!(&parsed, Reference::Alias(_, alias) if alias.is_empty()) {
        return Err(wrong());
    }
    Ok(parsed)
}

fn find(tx: &mut dyn Tx, reference: &Reference) -> Result<ModelVersion, RegistryError> {
    match reference {
        Reference::Number(name, number) => {
            existing(tx, name)?;
            existing_version(tx, name, *number)
        }
        Reference::Latest(name) => match existing(tx, name)?.latest_version {
            Some(number) => existing_version(tx, name, number),
            None => Err(RegistryError::VersionNotFound {
                name: name.clone(),
                version: "latest".to_owned(),
                latest: None,
            }),
        },
        Reference::Alias(name, alias) => {
            let model = existing(tx, name)?;
            match store::alias_of(tx, name, alias)? {
                Some(number) => existing_version(tx, name, number),
                None => Err(RegistryError::AliasNotFound {
                    name: name.clone(),
                    alias: alias.clone(),
                    nearest: nearest(alias, model.aliases.keys().map(String::as_str)).map(str::to_owned),
                }),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references() {
        assert_eq!(parse("digits").unwrap(), Reference::Latest("digits".into()));
        assert_eq!(
            parse("digits@champion").unwrap(),
            Reference::Alias("digits".into(), "champion".into())
        );
        assert_eq!(
            parse("digits@latest").unwrap(),
            Reference::Latest("digits".into())
        );
        assert_eq!(parse("digits/3").unwrap(), Reference::Number("digits".into(), 3));
        for bad in [
            "",
            "@a",
            "digits@",
            "/3",
            "digits/x",
            "digits/0",
            "digits/-1",
            "a/b/c",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
