//! The query parameters of jobs.

use corliss_diagnostics::Meaning;
use corliss_executor::logs::{LogStart, LogStream};
use corliss_http::{ApiError, PageQuery};
use corliss_types::Timestamp;
use serde::Deserialize;

use crate::{JobFilter, JobState, LogRequest, UsageQuery};

const LIST_DEFAULT: u32 = 100;
const LIST_MAX: u32 = 1000;
const LINES_DEFAULT: usize = 1000;
const LINES_MAX: usize = 10_000;
const USAGE_DEFAULT_MS: i64 = 30 * 86_400_000;

fn wrong(field: &'static str, message: String) -> ApiError {
    ApiError::new(Meaning::InvalidInput, "query_invalid", message).with_field(field)
}

/// Of `GET /jobs`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    state: Option<String>,
    run_id: Option<String>,
    limit: Option<u32>,
    page_token: Option<String>,
}

impl ListQuery {
    pub(super) fn parse(self) -> Result<(JobFilter, u32), ApiError> {
        let page = PageQuery {
            limit: self.limit,
            page_token: self.page_token,
        };
        let limit = page.limit(LIST_DEFAULT, LIST_MAX)?;
        let state = self
            .state
            .map(|text| text.parse::<JobState>().map_err(|reason| wrong("state", reason)));
        let run_id = self
            .run_id
            .map(|text| text.parse().map_err(|error| wrong("run_id", format!("{error}"))));
        let before = page.page_token.map(|text| {
            text.parse()
                .map_err(|error| wrong("page_token", format!("{error}")))
        });
        let filter = JobFilter {
            state: state.transpose()?,
            run_id: run_id.transpose()?,
            before: before.transpose()?,
        };
        Ok((filter, limit))
    }
}

/// Of `GET /jobs/{id}/logs`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogsQuery {
    rank: Option<u32>,
    stream: Option<String>,
    attempt: Option<u32>,
    offset: Option<u64>,
    limit: Option<usize>,
    tail: Option<usize>,
    pub(super) follow: Option<bool>,
}

impl LogsQuery {
    pub(super) fn parse(&self) -> Result<LogRequest, ApiError> {
        let stream = match self.stream.as_deref() {
            None | Some("both") => None,
            Some("stdout") => Some(LogStream::Stdout),
            Some("stderr") => Some(LogStream::Stderr),
            Some(other) => {
                return Err(wrong(
                    "stream",
                    format!("'{other}' is none of stdout, stderr, both"),
                ));
            }
        };
        let start = match (self.offset, self.tail) {
            (Some(_), Some(_)) => return Err(wrong("tail", "give offset or tail, not both".to_owned())),
            (None, Some(lines)) => LogStart::Tail(lines.min(LINES_MAX)),
            (offset, None) => LogStart::Offset(offset.unwrap_or(0)),
        };
        let limit = self.limit.unwrap_or(LINES_DEFAULT);
        if !(1..=LINES_MAX).contains(&limit) {
            return Err(wrong(
                "limit",
                format!("limit is {limit} but must lie between 1 and {LINES_MAX}"),
            ));
        }
        Ok(LogRequest {
            rank: self.rank.unwrap_or(0),
            stream,
            attempt: self.attempt,
            start,
            limit,
        })
    }
}

/// Of `PUT /queues` and `PUT /nodes`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DryRun {
    /// Whether nothing is to be changed.
    #[serde(default)]
    pub dry_run: bool,
}

/// Body of `POST /nodes/{name}/drain`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Drain {
    /// Whether jobs that are there are stopped, to start elsewhere.
    #[serde(default)]
    pub evict: bool,
}

/// Of `GET /usage`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AskUsage {
    from_ms: Option<i64>,
    to_ms: Option<i64>,
    by: Option<String>,
    per: Option<String>,
}

impl AskUsage {
    /// Of the last thirty days and by user, if it does not say otherwise.
    pub(super) fn parse(&self, now: Timestamp) -> Result<UsageQuery, ApiError> {
        let to = self.to_ms.map_or(now, Timestamp::from_millis);
        let usual = || to.as_millis().saturating_sub(USAGE_DEFAULT_MS);
        let by = self.by.as_deref().unwrap_or("user");
        let by = by.split(',').filter(|name| !name.is_empty()).map(str::parse);
        let per = self.per.as_deref().map(str::parse);
        Ok(UsageQuery {
            from: Timestamp::from_millis(self.from_ms.unwrap_or_else(usual)),
            to,
            by: by
                .collect::<Result<_, String>>()
                .map_err(|reason| wrong("by", reason))?,
            per: per.transpose().map_err(|reason| wrong("per", reason))?,
        })
    }
}
