//! Uploads in parts (`mlflow-artifacts/mpu`), addresses for a while (`presigned`), and the files that pages fetch
//! (`get-artifact`).

use std::ops::Range;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use corliss_http::{ApiError, Json, Path};
use corliss_mlflow_wire::{Args, WireError};
use futures_util::StreamExt;
use http::{HeaderMap, StatusCode, Uri, header};
use serde_json::{Value, json};

use super::Answer;
use super::artifacts::attachment;
use crate::TrackingError;
use crate::service::Tracking;

/// Seconds for which an address takes a file, unless the call says otherwise.
const UPLOAD_SECONDS: i64 = 900;
/// Seconds for which an address opens a file, unless the call says otherwise.
const DOWNLOAD_SECONDS: i64 = 300;
/// Where tickets are used. They stand in the query, which no log keeps.
pub(super) const TRANSFER: &str = "/api/2.0/mlflow-artifacts/transfer";

/// The whole address of a ticket: at the host that the caller has reached us by. What a proxy says about the scheme is
/// believed, since the answer goes to whoever said it.
fn address(tracking: &Tracking, headers: &HeaderMap, ticket: &str) -> Result<String, WireError> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text("host").ok_or_else(|| WireError::new("The request must name its host."))?;
    let is_encrypted = tracking.is_encrypted() || text("x-forwarded-proto") == Some("https");
    let scheme = if is_encrypted { "https" } else { "http" };
    Ok(format!("{scheme}://{host}{TRANSFER}?ticket={ticket}"))
}

/// The file that an upload is of: the name in the body, under the path of the call. Older clients send the path on their
/// own machine, of which the last part counts.
fn destination(folder: &str, args: &Args) -> Result<String, WireError> {
    let sent = args.required_text("path")?;
    let name = sent.rsplit(['/', '\\']).next().unwrap_or_default();
    match name {
        "" | "." | ".." => Err(WireError::new("Invalid path")),
        name => Ok(format!("{}/{name}", folder.trim_end_matches('/'))),
    }
}

pub(super) async fn create(
    State(tracking): State<Tracking>,
    Path(folder): Path<String>,
    headers: HeaderMap,
    args: Args,
) -> Answer {
    let path = destination(&folder, &args)?;
    let upload = tracking
        .create_upload(path, args.integer("num_parts")?.unwrap_or(0))
        .await?;
    let credentials = upload.parts.iter().zip(1_i64..).map(|(ticket, number)| {
        let url = address(&tracking, &headers, ticket)?;
        Ok(json!({ "url": url, "part_number": number, "headers": {} }))
    });
    let credentials: Value = credentials.collect::<Result<Vec<_>, WireError>>()?.into();
    Ok(Json(
        json!({ "upload_id": upload.id, "credentials": credentials }),
    ))
}

pub(super) async fn complete(
    State(tracking): State<Tracking>,
    Path(folder): Path<String>,
    args: Args,
) -> Answer {
    let path = destination(&folder, &args)?;
    let parts = args.objects("parts")?;
    let parts = parts.iter().map(|part| {
        let number = part.integer("part_number")?;
        let number = number.ok_or_else(|| WireError::missing("part_number"))?;
        Ok((number, part.text("etag")?.unwrap_or_default()))
    });
    let parts = parts.collect::<Result<Vec<_>, WireError>>()?;
    tracking
        .complete_upload(path, args.required_text("upload_id")?, parts)
        .await?;
    Ok(Json(json!({})))
}

pub(super) async fn abort(
    State(tracking): State<Tracking>,
    Path(folder): Path<String>,
    args: Args,
) -> Answer {
    let path = destination(&folder, &args)?;
    tracking
        .abort_upload(path, args.required_text("upload_id")?)
        .await?;
    Ok(Json(json!({})))
}

/// `presigned/{path}`, by which clients fetch files of the proxy.
pub(super) async fn presigned(
    State(tracking): State<Tracking>,
    Path(path): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let ticket = tracking.download_ticket(path, DOWNLOAD_SECONDS).await?;
    let url = address(&tracking, &headers, &ticket.ticket)?;
    Ok(Json(
        json!({ "url": url, "headers": {}, "file_size": ticket.size_bytes }),
    ))
}

pub(super) async fn download_url(State(tracking): State<Tracking>, headers: HeaderMap, args: Args) -> Answer {
    let path = args.required_text("path")?;
    let path = tracking.path_in_run(args.run_id()?, &path).await?;
    let seconds = args.integer("expiration")?.unwrap_or(DOWNLOAD_SECONDS);
    let ticket = tracking.download_ticket(path, seconds).await?;
    let url = address(&tracking, &headers, &ticket.ticket)?;
    Ok(Json(
        json!({ "presigned_url": url, "headers": {}, "file_size": ticket.size_bytes }),
    ))
}

pub(super) async fn upload_url(State(tracking): State<Tracking>, headers: HeaderMap, args: Args) -> Answer {
    let given = |name| args.text(name).map(|text| text.filter(|text| !text.is_empty()));
    let path = args.required_text("path")?;
    let path = match (given("run_id")?, given("model_id")?) {
        (Some(run_id), None) => tracking.path_in_run(run_id, &path).await?,
        (None, Some(model_id)) => tracking.path_in_model(model_id, &path).await?,
        _ => return Err(WireError::new("Exactly one of run_id and model_id must be provided.").into()),
    };
    let seconds = args.integer("expiration")?.unwrap_or(UPLOAD_SECONDS);
    let ticket = tracking.upload_ticket(path, seconds).await?;
    let url = address(&tracking, &headers, &ticket.ticket)?;
    Ok(Json(json!({ "presigned_url": url, "headers": {} })))
}

/// The ticket of a call; none is one that nobody made.
fn ticket_of(uri: &Uri) -> &str {
    let pairs = uri.query().unwrap_or_default().split('&');
    let mut tickets = pairs.filter_map(|pair| pair.strip_prefix("ticket="));
    tickets.next().unwrap_or_default()
}

/// Takes a part or a file. What it is answered under `etag` is what `complete` is to name.
pub(super) async fn put(State(tracking): State<Tracking>, request: Request) -> Result<Response, ApiError> {
    let ticket = ticket_of(request.uri()).to_owned();
    let bytes = request
        .into_body()
        .into_data_stream()
        .map(|chunk| chunk.map_err(std::io::Error::other));
    let blob = tracking.put_by_ticket(&ticket, Box::pin(bytes)).await?;
    Ok((StatusCode::OK, [(header::ETAG, format!("\"{blob}\""))]).into_response())
}

pub(super) async fn get(
    State(tracking): State<Tracking>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let ticket = ticket_of(&uri);
    let wanted = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    let cut = |size_bytes| wanted.map_or(Ok(None), |wanted| range_of(wanted, size_bytes));
    let opened = tracking.open_by_ticket(ticket, cut).await;
    let (read, range) = opened.map_err(|error| {
        let beyond = matches!(error, TrackingError::Range { .. });
        let error = ApiError::from(error);
        match beyond {
            true => error.with_status(StatusCode::RANGE_NOT_SATISFIABLE),
            false => error,
        }
    })?;
    let Some(range) = range else {
        return Ok(attachment("artifact", read));
    };
    let bounds = format!("bytes {}-{}/{}", range.start, range.end - 1, read.size_bytes);
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, (range.end - range.start).to_string()),
        (header::CONTENT_RANGE, bounds),
        (header::ETAG, format!("\"{}\"", read.blob)),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    Ok((
        StatusCode::PARTIAL_CONTENT,
        headers,
        Body::from_stream(read.bytes),
    )
        .into_response())
}

/// The bytes of one range, as RFC 9110 writes it. What is no such range is answered as if it were not there, but one that
/// begins after the end is refused.
fn range_of(wanted: &str, size_bytes: u64) -> Result<Option<Range<u64>>, TrackingError> {
    let Some((first, last)) = wanted
        .strip_prefix("bytes=")
        .filter(|ranges| !ranges.contains(','))
        .and_then(|range| range.trim().split_once('-'))
    else {
        return Ok(None);
    };
    let range = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => first..last.saturating_add(1).min(size_bytes),
        (Ok(first), Err(_)) if last.is_empty() => first..size_bytes,
        (Err(_), Ok(count)) if first.is_empty() => size_bytes.saturating_sub(count)..size_bytes,
        _ => return Ok(None),
    };
    match range.start < range.end {
        true => Ok(Some(range)),
        false => Err(TrackingError::Range { size_bytes }),
    }
}

/// `get-artifact`, by which pages fetch a file of a run.
pub(super) async fn of_run(State(tracking): State<Tracking>, args: Args) -> Result<Response, ApiError> {
    let path = args.required_text("path")?;
    let path = tracking.path_in_run(args.run_id()?, &path).await?;
    let name = path.rsplit('/').next().unwrap_or_default().to_owned();
    Ok(attachment(&name, tracking.open_artifact(path).await?))
}

/// `upload-artifact`, by which pages add a small file to a run.
pub(super) async fn to_run(State(tracking): State<Tracking>, request: Request) -> Answer {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let values: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let value = |wanted: &str| {
        let found = values
            .iter()
            .find(|(name, value)| name == wanted && !value.is_empty());
        found.map(|(_, value)| value.clone())
    };
    let run_id = value("run_id").or_else(|| value("run_uuid"));
    let run_id = run_id.ok_or_else(|| WireError::new("Request must specify run_id or run_uuid."))?;
    let path = value("path").ok_or_else(|| WireError::new("Request must specify path."))?;
    let path = tracking.path_in_run(run_id, &path).await?;
    let bytes = request
        .into_body()
        .into_data_stream()
        .map(|chunk| chunk.map_err(std::io::Error::other));
    tracking.put_artifact(path, Box::pin(bytes)).await?;
    Ok(Json(json!({})))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_standard_says() {
        let of = |wanted| range_of(wanted, 10).unwrap();
        for (wanted, range) in [
            ("bytes=0-4", Some(0..5)),
            ("bytes=5-", Some(5..10)),
            ("bytes=-3", Some(7..10)),
            ("bytes=-30", Some(0..10)),
            ("bytes=9-99", Some(9..10)),
            ("bytes=0-0", Some(0..1)),
            ("bytes=4-3", None),
            ("bytes=0-1,3-4", None),
            ("bytes=a-b", None),
            ("items=0-1", None),
            ("bytes=", None),
        ] {
            assert_eq!(of(wanted), range, "{wanted}");
        }
        for beyond in ["bytes=10-", "bytes=10-20", "bytes=-0"] {
            assert!(range_of(beyond, 10).is_err(), "{beyond}");
        }
        assert!(range_of("bytes=0-", 0).is_err());
        assert_eq!(range_of("bytes=0-18446744073709551615", 10).unwrap(), Some(0..10));
    }

    #[test]
    fn the_file_of_an_upload_is_the_last_part_of_what_was_sent() {
        let of = |sent: &str| destination("0/r/artifacts/a", &Args::of_json(&json!({ "path": sent })));
        for sent in ["f.bin", "/home/ada/f.bin", "C:\\x\\f.bin", "../../f.bin"] {
            assert_eq!(of(sent).unwrap(), "0/r/artifacts/a/f.bin", "{sent}");
        }
        for bad in ["", "a/", "..", "a\\.."] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_range_lies_within_the_file(wanted in "(bytes=)?[0-9,-]{0,30}", size_bytes in 0_u64..50) {
            if let Ok(Some(range)) = range_of(&wanted, size_bytes) {
                proptest::prop_assert!(range.start < range.end && range.end <= size_bytes);
            }
        }
    }
}
