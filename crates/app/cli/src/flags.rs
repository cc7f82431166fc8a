//! The server names what is wrong by the members of its API; who typed a command line reads the flag that they typed.

use crate::error::CliError;

/// The flags of a command: the member that each fills, and the flag as it is told, perhaps with its value.
#[derive(Debug, Default)]
pub struct Flags(Vec<(String, String)>);

impl Flags {
    /// Flags, each of which fills one member.
    #[must_use]
    pub fn new(flags: &[(&str, &str)]) -> Self {
        let own = |(member, flag): &(&str, &str)| ((*member).to_owned(), (*flag).to_owned());
        Self(flags.iter().map(own).collect())
    }

    /// Adds one, told with its value.
    #[must_use]
    pub fn and(mut self, member: impl Into<String>, flag: impl Into<String>) -> Self {
        self.0.push((member.into(), flag.into()));
        self
    }

    /// The error with the flag in the member's place. One about a member that no flag fills stays as it is.
    #[must_use]
    pub fn name(&self, mut error: CliError) -> CliError {
        let report = &mut error.report;
        let about = |(member, _): &&(String, String)| report.field.as_ref() == Some(member);
        if let Some((member, flag)) = self.0.iter().find(about) {
            report.message = report.message.replacen(member.as_str(), flag, 1);
            report.field = flag.split(' ').next().map(str::to_owned);
        }
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(field: &str, message: &str) -> CliError {
        let mut error = CliError::input(message);
        error.report.field = Some(field.to_owned());
        error
    }

    #[test]
    fn the_flag_stands_for_the_member() {
        let flags = Flags::new(&[("release.steps", "--steps")]).and("targets[1].url", "--url 'here'");
        let error = flags.name(refused(
            "release.steps",
            "release.steps must be 1 to 20 percentages",
        ));
        assert_eq!(error.report.message, "--steps must be 1 to 20 percentages");
        assert_eq!(error.report.field.as_deref(), Some("--steps"));
        let error = flags.name(refused("targets[1].url", "targets[1].url is not a URL"));
        assert_eq!(error.report.message, "--url 'here' is not a URL");
        assert_eq!(error.report.field.as_deref(), Some("--url"));
        let error = flags.name(refused("resources.cpu_milli", "resources.cpu_milli is 9"));
        assert_eq!(error.report.message, "resources.cpu_milli is 9");
    }
}
