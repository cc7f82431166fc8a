//! A file from the web, sent to the server as it comes: nothing is laid on this machine's disk.
//!
//! What breaks off is asked for from there on, if the web server says that it is still the same file; else from its
//! beginning. No token goes along, not that of the Corliss server and none of the address.

use std::collections::HashSet;
use std::io::{ErrorKind, Read};
use std::thread::sleep;
use std::time::Duration;

use corliss_blobstore::{BlobInfo, Cutter, Kind, Piece};
use corliss_data::transfer;
use reqwest::blocking::{Client, Response};
use reqwest::header::{ACCEPT_ENCODING, CONTENT_RANGE, ETAG, IF_RANGE, LAST_MODIFIED, RANGE};
use reqwest::redirect::Policy;
use reqwest::{StatusCode, Url};

use super::pieces;
use crate::api::Api;
use crate::error::{CliError, CliResult, EXIT_UNREACHABLE};
use crate::progress::Meter;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Until an answer begins, and until more of it comes.
const WAIT_TIMEOUT: Duration = Duration::from_secs(60);
const REDIRECTS: usize = 5;
/// How often in a row nothing new may come.
const TRIES: u32 = 5;
/// Before the second try; longer each time.
const PAUSE: Duration = Duration::from_millis(200);
const READ_BYTES: usize = 256 << 10;

/// The address of a file.
#[derive(Debug)]
pub struct Address {
    url: Url,
    file_name: String,
}

impl Address {
    /// Looks at what was written.
    pub fn parse(text: &str) -> CliResult<Self> {
        let url =
            Url::parse(text).map_err(|error| CliError::input(format!("that is no address: {error}")))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(CliError::input("the address holds a name or password")
                .hint("download the file with a tool that keeps them to itself, and add its folder"));
        }
        let last = url.path_segments().and_then(|mut parts| parts.next_back());
        let file_name = decoded(last.unwrap_or_default());
        let is_name = !file_name.contains('/') && file_name.parse::<corliss_data::EntryPath>().is_ok();
        if !is_name {
            return Err(
                CliError::input("the address does not end with the name of a file")
                    .hint("name one such as https://example.org/data/digits.csv"),
            );
        }
        Ok(Self { url, file_name })
    }

    /// What it is called.
    pub fn file_name(&self) -> &str {
        &self.file_name
    }

    /// For people and messages: without the query, which may be a signature.
    pub fn shown(&self) -> String {
        let mut url = self.url.clone();
        url.set_query(None);
        url.set_fragment(None);
        url.to_string()
    }
}

/// Percent-encoded bytes as text; what is no text cannot be a name.
fn decoded(part: &str) -> String {
    let bytes = part.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(byte) = bytes.get(at) {
        let digits = part.get(at + 1..at + 3).filter(|_| *byte == b'%');
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8(out).unwrap_or_default()
}

/// Takes pieces, of which those that are listed come before what lists them.
type Sink<'a> = &'a mut dyn FnMut(Vec<Piece>) -> CliResult;

/// Downloads the file and sends what the server lacks of it.
pub fn fetch(api: &Api, address: &Address) -> CliResult<BlobInfo> {
    let what = format!("downloading {}", address.file_name);
    let mut meter = Meter::new(&what);
    let mut told = |read, total| meter.bytes(&what, read, total);
    let done = download(address, &mut |pieces| send_missing(api, &pieces), &mut told);
    meter.clear();
    done
}

fn send_missing(api: &Api, all: &[Piece]) -> CliResult {
    let ids: Vec<_> = all.iter().map(|piece| piece.id).collect();
    let missing: HashSet<_> = pieces::missing(api, &ids)?.into_iter().collect();
    let mut body = Vec::new();
    for piece in all.iter().filter(|piece| missing.contains(&piece.id)) {
        transfer::append(piece.kind, &piece.bytes, &mut body);
        if body.len() >= transfer::BODY_BYTES {
            api.post_bytes("/api/v1/data/pieces", std::mem::take(&mut body))?;
        }
    }
    match body.is_empty() {
        true => Ok(()),
        false => api.post_bytes("/api/v1/data/pieces", body),
    }
}

/// `told` is told what came, and of how much.
fn download(
    address: &Address,
    sink: Sink<'_>,
    told: &mut dyn FnMut(u64, Option<u64>),
) -> CliResult<BlobInfo> {
    let client = client()?;
    let mut download = Download::default();
    let mut cut = Cut::default();
    // However often it begins anew, only what was never reached before counts as getting on.
    let (mut tries, mut furthest) = (0, 0);
    loop {
        let reason = match download.go_on(&client, address, &mut |bytes| cut.push(bytes, sink), told)? {
            Went::ToTheEnd => return cut.finish(sink),
            Went::Anew => {
                (download, cut) = (Download::default(), Cut::default());
                "it is another file each time it is read".to_owned()
            }
            Went::Broke(reason) => {
                if download.read > furthest {
                    (tries, furthest) = (0, download.read);
                }
                reason
            }
        };
        tries += 1;
        if tries >= TRIES {
            return Err(unreachable(&address.shown(), &reason));
        }
        sleep(PAUSE * tries);
    }
}

fn unreachable(address: &str, reason: &str) -> CliError {
    CliError::new(
        EXIT_UNREACHABLE,
        "download_failed",
        format!("cannot download {address}: {reason}"),
    )
    .hint("try again; what the server has of it already is not sent again")
}

/// Anybody's web server, by the system's proxy settings. From https it is not led to http.
fn client() -> CliResult<Client> {
    let policy = Policy::custom(|attempt| {
        let was_secure = attempt.previous().iter().any(|url| url.scheme() == "https");
        let has_user = !attempt.url().username().is_empty() || attempt.url().password().is_some();
        if attempt.previous().len() > REDIRECTS {
            attempt.error("it is redirected too often")
        } else if (was_secure && attempt.url().scheme() != "https") || has_user {
            attempt.error("it is redirected to an address that is not followed")
        } else {
            attempt.follow()
        }
    });
    Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(WAIT_TIMEOUT)
        .redirect(policy)
        .referer(false)
        .build()
        .map_err(|error| CliError::failed(format!("cannot set up an HTTP client: {error}")))
}

/// How an attempt ended.
#[derive(Debug)]
enum Went {
    ToTheEnd,
    /// It is another file now.
    Anew,
    Broke(String),
}

/// A file on its way.
#[derive(Debug, Default)]
struct Download {
    read: u64,
    total: Option<u64>,
    /// By which the web server tells whether it is still the same file.
    validator: Option<String>,
}

impl Download {
    fn go_on(
        &mut self,
        client: &Client,
        address: &Address,
        sink: &mut dyn FnMut(&[u8]) -> CliResult,
        told: &mut dyn FnMut(u64, Option<u64>),
    ) -> CliResult<Went> {
        if self.read > 0 && self.validator.is_none() {
            return Ok(Went::Anew);
        }
        let mut request = client
            .get(address.url.clone())
            .header(ACCEPT_ENCODING, "identity");
        if let Some(validator) = self.validator.as_ref().filter(|_| self.read > 0) {
            request = request
                .header(RANGE, format!("bytes={}-", self.read))
                .header(IF_RANGE, validator);
        }
        let answer = match request.send() {
            Ok(answer) => answer,
            // Its own words leave the address out, which may hold a signature.
            Err(error) if error.is_redirect() || error.is_builder() => {
                return Err(unreachable(&address.shown(), &innermost(&error)));
            }
            Err(error) => return Ok(Went::Broke(innermost(&error))),
        };
        match answer.status() {
            StatusCode::OK if self.read == 0 => self.begin(&answer),
            StatusCode::OK => return Ok(Went::Anew),
            StatusCode::PARTIAL_CONTENT if starts_at(&answer, self.read) && self.is_same(&answer) => {}
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => return Ok(Went::Anew),
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                return Ok(Went::Broke(format!("it answered {status}")));
            }
            status => {
                let reason = format!("it answered {status}");
                return Err(CliError::failed(format!(
                    "cannot download {}: {reason}",
                    address.shown()
                )));
            }
        }
        told(self.read, self.total);
        self.take(answer, sink, told)
    }

    fn begin(&mut self, answer: &Response) {
        self.total = answer.content_length();
        self.validator = validator(answer);
    }

    /// Some servers send a part of whatever they have now, and pay no heed to the condition.
    fn is_same(&self, answer: &Response) -> bool {
        let now = validator(answer);
        now.is_none() || now == self.validator
    }

    fn take(
        &mut self,
        mut answer: Response,
        sink: &mut dyn FnMut(&[u8]) -> CliResult,
        told: &mut dyn FnMut(u64, Option<u64>),
    ) -> CliResult<Went> {
        let mut buffer = vec![0; READ_BYTES];
        loop {
            match answer.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => {
                    sink(&buffer[..read])?;
                    self.read += read as u64;
                    told(self.read, self.total);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Ok(Went::Broke("the answer broke off".to_owned())),
            }
        }
        match self.total {
            Some(total) if self.read < total => Ok(Went::Broke("the answer ended early".to_owned())),
            Some(total) if self.read > total => Ok(Went::Anew),
            _ => Ok(Went::ToTheEnd),
        }
    }
}

/// By what an answer can be told from one of another file. A weak etag does not say that the bytes are the same.
fn validator(answer: &Response) -> Option<String> {
    let header = |name| Some(answer.headers().get(name)?.to_str().ok()?.to_owned());
    let etag = header(ETAG).filter(|etag| !etag.starts_with("W/"));
    etag.or_else(|| header(LAST_MODIFIED))
}

fn starts_at(answer: &Response, start: u64) -> bool {
    let range = answer.headers().get(CONTENT_RANGE);
    let range = range.and_then(|range| range.to_str().ok()?.strip_prefix("bytes "));
    range.is_some_and(|range| range.starts_with(&format!("{start}-")))
}

fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    match std::ptr::addr_eq(cause, error) {
        true => "it does not answer".to_owned(),
        false => cause.to_string(),
    }
}

/// Cuts what comes. Nodes wait until every chunk is sent.
#[derive(Default)]
struct Cut {
    cutter: Option<Cutter>,
    chunks: Vec<Piece>,
    chunk_bytes: usize,
    nodes: Vec<Piece>,
}

impl Cut {
    fn push(&mut self, bytes: &[u8], sink: Sink<'_>) -> CliResult {
        let mut new = Vec::new();
        let cutter = self.cutter.get_or_insert_with(Cutter::new);
        cutter.push(bytes, &mut |piece| new.push(piece));
        self.sort(new);
        if self.chunk_bytes < transfer::BODY_BYTES {
            return Ok(());
        }
        self.chunk_bytes = 0;
        sink(std::mem::take(&mut self.chunks))
    }

    fn sort(&mut self, new: Vec<Piece>) {
        for piece in new {
            if piece.kind == Kind::Chunk {
                self.chunk_bytes += piece.bytes.len();
                self.chunks.push(piece);
            } else {
                self.nodes.push(piece);
            }
        }
    }

    fn finish(mut self, sink: Sink<'_>) -> CliResult<BlobInfo> {
        let mut new = Vec::new();
        let cutter = self.cutter.take().unwrap_or_default();
        let blob = cutter.finish(&mut |piece| new.push(piece));
        self.sort(new);
        sink(self.chunks)?;
        sink(self.nodes)?;
        Ok(blob)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;

    use corliss_blobstore::id_of_reader;

    use super::*;

    /// The whole answer, from the value of the header `range`.
    type Answer = Box<dyn Fn(Option<String>) -> Vec<u8> + Send>;

    /// A web server that answers one request after another, each by its own rule, and closes the connection.
    fn serve(answers: Vec<Answer>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let mut range = None;
                while let Some(Ok(line)) = lines
                    .next()
                    .filter(|line| !matches!(line, Ok(line) if line.is_empty()))
                {
                    let lower = line.to_lowercase();
                    assert!(!lower.starts_with("authorization"), "a token goes along");
                    range = lower.strip_prefix("range: ").map(str::to_owned).or(range);
                }
                let _ = stream.write_all(&answer(range));
            }
        });
        url
    }

    fn content() -> Vec<u8> {
        (0..3_000_000_u32)
            .flat_map(|number| (number.wrapping_mul(2_654_435_761) >> 7).to_le_bytes())
            .collect()
    }

    /// The file from a byte on, as long as it is and with only so much of it.
    fn part(from: usize, len: usize, etag: &str) -> Vec<u8> {
        let content = content();
        let rest = &content[from..];
        let (status, range) = match from {
            0 => ("200 OK", String::new()),
            _ => (
                "206 Partial Content",
                format!(
                    "Content-Range: bytes {from}-{}/{}\r\n",
                    content.len() - 1,
                    content.len()
                ),
            ),
        };
        let head = format!(
            "HTTP/1.1 {status}\r\nETag: \"{etag}\"\r\n{range}Content-Length: {}\r\nConnection: close\r\n\r\n",
            rest.len()
        );
        [head.as_bytes(), &rest[..len.min(rest.len())]].concat()
    }

    fn fetched(url: &str) -> CliResult<(BlobInfo, Vec<Piece>, u64)> {
        let (mut pieces, mut last) = (Vec::new(), 0);
        let address = Address::parse(&format!("{url}/file.bin?signature=hunter2"))?;
        let blob = download(
            &address,
            &mut |new| {
                pieces.extend(new);
                Ok(())
            },
            &mut |read, _| last = read,
        )?;
        Ok((blob, pieces, last))
    }

    #[test]
    fn what_breaks_off_goes_on_where_it_was_and_what_changed_begins_anew() {
        let whole = id_of_reader(content().as_slice()).unwrap();
        let from_range = |range: Option<String>| -> usize {
            let range = range.expect("a range is asked for");
            range
                .strip_prefix("bytes=")
                .unwrap()
                .strip_suffix('-')
                .unwrap()
                .parse()
                .unwrap()
        };
        let url = serve(vec![
            Box::new(|_| part(0, 5_000_000, "one")),
            Box::new(|_| b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec()),
            Box::new(move |range| part(from_range(range), 2_000_000, "one")),
            Box::new(move |range| part(from_range(range), usize::MAX, "one")),
        ]);
        let (blob, pieces, read) = fetched(&url).unwrap();
        assert_eq!((blob, read), (whole, 12_000_000));
        let bytes: usize = pieces
            .iter()
            .filter(|one| one.kind == Kind::Chunk)
            .map(|one| one.bytes.len())
            .sum();
        assert_eq!(bytes, 12_000_000, "nothing came twice");
        assert_eq!(
            pieces.last().unwrap().id,
            whole.id,
            "what lists the others is the last"
        );

        let url = serve(vec![
            Box::new(|_| part(0, 5_000_000, "one")),
            // Another file now: the condition does not hold.
            Box::new(|_| part(0, usize::MAX, "two")),
            Box::new(|range| {
                assert_eq!(range, None);
                part(0, usize::MAX, "two")
            }),
        ]);
        assert_eq!(fetched(&url).unwrap().0, whole);

        let url = serve(vec![
            Box::new(|_| part(0, 5_000_000, "one")),
            // A part of another file, though the condition does not hold.
            Box::new(move |range| part(from_range(range), usize::MAX, "two")),
            Box::new(|range| {
                assert_eq!(range, None);
                part(0, usize::MAX, "two")
            }),
        ]);
        assert_eq!(fetched(&url).unwrap().0, whole);
    }

    #[test]
    fn what_never_gets_further_is_given_up() {
        let short = || b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\nabc".to_vec();
        let answers = (0..20).map(|_| Box::new(move |_| short()) as Answer);
        let error = fetched(&serve(answers.collect())).unwrap_err();
        assert_eq!(error.report.code, "download_failed");
    }

    #[test]
    fn what_cannot_be_had_is_told_without_its_signature() {
        let refused = |status: &'static str, header: &str, times: usize| {
            let answer =
                format!("HTTP/1.1 {status}\r\n{header}Content-Length: 0\r\nConnection: close\r\n\r\n");
            let each = (0..times).map(|_| {
                let answer = answer.clone().into_bytes();
                Box::new(move |_| answer.clone()) as Answer
            });
            let error = fetched(&serve(each.collect())).unwrap_err().report.message;
            assert!(!error.contains("hunter2"), "{error}");
            error
        };
        assert!(refused("404 Not Found", "", 1).contains("404"));
        assert!(refused("302 Found", "Location: /file.bin\r\n", 9).contains("redirected too often"));
        let away = "Location: http://ada:hunter2@127.0.0.1:1/x\r\n";
        assert!(refused("302 Found", away, 1).contains("is not followed"));
        assert!(refused("503 Busy", "", 9).contains("503"));
    }

    #[test]
    fn an_address_names_a_file_and_hides_what_it_signs() {
        let named =
            |text: &str| Address::parse(text).map(|address| (address.file_name.clone(), address.shown()));
        let (name, shown) = named("https://example.org/a/b%20c.csv?signature=hunter2#x").unwrap();
        assert_eq!(name, "b c.csv");
        assert_eq!(shown, "https://example.org/a/b%20c.csv");
        for bad in [
            "https://example.org",
            "https://example.org/a/",
            "https://example.org/..%2Fx",
            "https://example.org/a/%00",
            "https://example.org/%ff",
            "https://ada:hunter2@example.org/x",
            "https://",
        ] {
            let error = named(bad).unwrap_err();
            assert!(!error.report.message.contains("hunter2"), "{bad}");
        }
    }
}
