//! How far webhooks reach: the settings of `[webhooks]`.

use corliss_webhook::Reach;

use super::{ConfigError, bad};

/// The section of this module, with every setting of it.
pub const KEYS: &[(&str, &str)] = &[(
    "webhooks.allow",
    "addresses, networks and host names beyond the public internet that webhooks may reach, separated by commas, \
     such as 127.0.0.1, 10.0.0.0/8 or hooks.internal",
)];

pub(super) fn reach<'a>(text: &impl Fn(&'static str) -> Option<&'a str>) -> Result<Reach, ConfigError> {
    let allow = text("webhooks.allow").unwrap_or_default();
    let entries = allow.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    Reach::with(entries).map_err(|_| {
        bad(
            "webhooks.allow",
            allow,
            "a list of IP addresses, networks such as 10.0.0.0/8, and host names such as hooks.internal or *.internal",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_says_what_may_be_reached() {
        let read = |text: &'static str| reach(&|_| Some(text));
        let listed = read("127.0.0.1, 10.0.0.0/8,hooks.internal,").unwrap();
        assert!(listed.permits("x", [10, 1, 2, 3].into()));
        assert!(listed.permits("hooks.internal", [192, 168, 0, 1].into()));
        assert!(!listed.permits("x", [192, 168, 0, 1].into()));
        assert_eq!(reach(&|_| None).unwrap(), Reach::default());
        for wrong in ["10.0.0.0/33", "http://hooks.internal", "127.0.0.1 10.0.0.1"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
