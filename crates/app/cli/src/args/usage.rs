//! `corliss jobs usage`

use clap::Args;
use corliss_types::Timestamp;

/// `corliss jobs usage`
#[derive(Debug, Args)]
pub struct UsageArgs {
    /// The last so many days
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=3660), conflicts_with_all = ["from", "to"])]
    pub days: u16,
    /// From this day on, in UTC
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    pub from: Option<Timestamp>,
    /// Up to and with this day, in UTC [default: now]
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day, requires = "from")]
    pub to: Option<Timestamp>,
    /// A line for each of these, separated by commas
    #[arg(long, value_name = "WHAT", value_delimiter = ',', default_value = "user", value_parser = ["user", "project", "queue"])]
    pub by: Vec<String>,
    /// A line for each part of the time
    #[arg(long, value_name = "PERIOD", value_parser = ["hour", "day", "week", "month"])]
    pub per: Option<String>,
    /// Print it as CSV
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
}

fn day(text: &str) -> Result<Timestamp, String> {
    Timestamp::of_date(text).ok_or_else(|| "write a day as in 2026-11-22".to_owned())
}
