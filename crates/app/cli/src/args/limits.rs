//! `corliss admin limits …`: what callers of models may use.

use clap::{ArgGroup, Args, Subcommand};

use super::bounds::{self, whole};
use super::some_text;
use crate::money;

/// `corliss admin limits …`
#[derive(Debug, Subcommand)]
pub enum LimitsCommand {
    /// Show who has limits, and what of them is used
    #[command(after_help = "Examples:\n  corliss admin limits list\n  corliss admin limits list --json")]
    List,
    /// Show the limits of a caller, and what of them it has used; without a name your own, as everybody may
    #[command(after_help = "Examples:\n  corliss admin limits show\n  corliss admin limits show ana --json")]
    Show {
        /// The name of its tokens
        #[arg(value_parser = some_text())]
        name: Option<String>,
    },
    /// Limit what a caller may use; * for everybody who has no limits of their own
    ///
    /// Sets all limits of the caller: one that is not given does not bind any more. What was used stays used.
    #[command(
        allow_negative_numbers = true,
        after_help = "Examples:
  corliss admin limits set ana --requests-per-minute 60 --tokens-per-minute 100000
  corliss admin limits set ana --budget 25.00 --per month
  corliss admin limits set '*' --at-once 4
  corliss endpoints routing chat --price-prompt 0.15 --price-answer 0.60"
    )]
    Set(SetLimitsArgs),
    /// Take the limits of a caller away
    #[command(after_help = "Examples:\n  corliss admin limits remove ana\n  corliss admin limits remove '*'")]
    Remove {
        /// The name of its tokens
        #[arg(value_parser = some_text())]
        name: String,
    },
}

/// `corliss admin limits set`
#[derive(Debug, Args)]
#[command(group(
    ArgGroup::new("limits")
        .args(["requests_per_minute", "tokens_per_minute", "at_once", "budget"])
        .required(true)
        .multiple(true)
))]
pub struct SetLimitsArgs {
    /// The name of its tokens
    #[arg(value_parser = some_text())]
    pub name: String,
    /// Requests a minute
    #[arg(long, value_name = "N", value_parser = whole(bounds::RATE))]
    pub requests_per_minute: Option<u64>,
    /// Tokens a minute, of prompts and answers together
    #[arg(long, value_name = "N", value_parser = whole(bounds::RATE))]
    pub tokens_per_minute: Option<u64>,
    /// Requests at once
    #[arg(long, value_name = "N", value_parser = whole(bounds::AT_ONCE))]
    pub at_once: Option<u32>,
    /// Money, in the unit of the prices that endpoints have
    #[arg(long, value_name = "AMOUNT", value_parser = money::parse)]
    pub budget: Option<u64>,
    /// What the budget is for
    #[arg(long, value_name = "PERIOD", default_value = "month", value_parser = ["day", "month", "ever"], requires = "budget")]
    pub per: String,
}
