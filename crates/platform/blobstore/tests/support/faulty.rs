//! A service that speaks as much of S3 as the backend needs, and fails where a test tells it to.
//!
//! On bare sockets: an HTTP library would not let it break off in the middle of what it announced.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use corliss_blobstore::{BucketCredentials, BucketLimits, BucketSettings, Secret};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Must never be seen in an error.
pub const SECRET: &str = "hunter2-hunter2";

const HEADERS: &str = "ETag: \"e\"\r\nLast-Modified: Sat, 21 Nov 2026 10:00:00 GMT\r\nConnection: close\r\n";
/// Keys on a page of a list.
const PAGE: usize = 3;

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Refused with this status and code.
    Status(u16, &'static str),
    /// The connection is closed before an answer.
    Reset,
    /// The answer begins after so long.
    Late(Duration),
    /// The head comes, and of the body the first half; then nothing more for so long.
    Stalls(Duration),
    /// The head promises the whole range, and the connection is closed after half of it.
    Truncated,
    /// Half of the range, with a length that agrees with the half.
    Short,
    /// More bytes than the range has, with a length that agrees with them.
    Long,
    /// The range, and the bytes, from one byte further on.
    Shifted,
    /// The whole object with 200, as if no range had been asked for.
    Whole,
    /// Nothing, with 200.
    Empty,
    /// A write is answered as done, and is not.
    Forgets,
    /// A write is answered as done, and only the first half is.
    Halves,
    /// Answered with 200 and an error in the body, as S3 may answer the end of an upload in parts.
    ErrorIn200,
}

struct Rule {
    method: &'static str,
    target: String,
    times: usize,
    fault: Fault,
}

/// The service.
#[derive(Default)]
pub struct Faulty {
    objects: Mutex<BTreeMap<String, Vec<u8>>>,
    uploads: Mutex<BTreeMap<String, BTreeMap<usize, Vec<u8>>>>,
    rules: Mutex<Vec<Rule>>,
    requests: Mutex<Vec<String>>,
    /// Not listed, though there.
    pub hidden: Mutex<BTreeSet<String>>,
    /// Listed, though gone.
    pub ghosts: Mutex<BTreeMap<String, usize>>,
}

struct Request {
    method: String,
    /// Without the bucket.
    key: String,
    query: BTreeMap<String, String>,
    range: Option<(usize, Option<usize>)>,
    body: Vec<u8>,
}

impl Faulty {
    /// Starts it; answers how to reach it, with limits that suit a test.
    pub async fn start() -> (Arc<Self>, BucketSettings) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let service = Arc::new(Self::default());
        let served = Arc::clone(&service);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&served).serve(stream));
            }
        });
        let settings = BucketSettings {
            endpoint: Some(endpoint),
            credentials: BucketCredentials::AccessKey {
                id: "an-id".to_owned(),
                secret: Secret::new(SECRET),
                session_token: None,
            },
            limits: BucketLimits {
                request: Duration::from_secs(3),
                operation: Duration::from_secs(60),
                tries: 4,
                pause: Duration::from_millis(2),
                ..BucketLimits::default()
            },
            ..BucketSettings::of("s3://bucket/home")
        };
        (service, settings)
    }

    /// From now on, so many requests of this method whose target has this in it go wrong.
    pub fn fail(&self, method: &'static str, target: &str, times: usize, fault: Fault) {
        self.rules.lock().unwrap().push(Rule {
            method,
            target: target.to_owned(),
            times,
            fault,
        });
    }

    /// Nothing goes wrong any more.
    pub fn recover(&self) {
        self.rules.lock().unwrap().clear();
    }

    /// Requests since the last call, as method and target.
    pub fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }

    /// Keys of the objects that are there.
    pub fn keys(&self) -> Vec<String> {
        self.objects.lock().unwrap().keys().cloned().collect()
    }

    /// Removes an object behind everybody's back.
    pub fn lose(&self, key: &str) -> Vec<u8> {
        self.objects.lock().unwrap().remove(key).unwrap()
    }

    async fn serve(self: Arc<Self>, mut stream: TcpStream) {
        let Some(request) = receive(&mut stream).await else {
            return;
        };
        let query: Vec<String> = request
            .query
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let target = format!("{}?{}", request.key, query.join("&"));
        self.requests
            .lock()
            .unwrap()
            .push(format!("{} {target}", request.method));
        let fault = self.fault(&request.method, &target);
        match fault {
            Some(Fault::Reset) => return,
            Some(Fault::Late(wait)) => tokio::time::sleep(wait).await,
            _ => {}
        }
        let (head, body) = self.answer(request, fault);
        let sent = match fault {
            Some(Fault::Truncated | Fault::Stalls(_)) => &body[..body.len() / 2],
            _ => &body[..],
        };
        let _ = stream.write_all(head.as_bytes()).await;
        let _ = stream.write_all(sent).await;
        if let Some(Fault::Stalls(wait)) = fault {
            tokio::time::sleep(wait).await;
        }
        let _ = stream.shutdown().await;
    }

    fn fault(&self, method: &str, target: &str) -> Option<Fault> {
        let mut rules = self.rules.lock().unwrap();
        let rule = rules
            .iter_mut()
            .find(|rule| rule.times > 0 && rule.method == method && target.contains(&rule.target))?;
        rule.times -= 1;
        Some(rule.fault)
    }

    fn answer(&self, request: Request, fault: Option<Fault>) -> (String, Vec<u8>) {
        match fault {
            Some(Fault::Status(status, code)) => {
                let said = format!("<Error><Code>{code}</Code><Message>As told.</Message></Error>");
                let body = if request.method == "HEAD" {
                    String::new()
                } else {
                    said
                };
                return answer(status, "", body.into_bytes());
            }
            Some(Fault::ErrorIn200) => {
                return answer(200, "", b"<Error><Code>InternalError</Code></Error>".to_vec());
            }
            Some(Fault::Empty) => return answer(200, "", Vec::new()),
            _ => {}
        }
        let has = |name: &str| request.query.contains_key(name);
        match request.method.as_str() {
            "GET" if has("list-type") => self.list(&request),
            "GET" => self.get(&request, fault),
            "HEAD" => match self.objects.lock().unwrap().get(&request.key) {
                Some(object) => (
                    head(200, &format!("Content-Length: {}\r\n", object.len())),
                    Vec::new(),
                ),
                None => answer(404, "", Vec::new()),
            },
            "POST" if has("uploads") => {
                let id = format!("upload-{}", self.uploads.lock().unwrap().len());
                self.uploads.lock().unwrap().insert(id.clone(), BTreeMap::new());
                let body = format!(
                    "<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
                );
                answer(200, "", body.into_bytes())
            }
            "POST" => {
                let Some(parts) = self.uploads.lock().unwrap().remove(&request.query["uploadId"]) else {
                    return answer(404, "", b"<Error><Code>NoSuchUpload</Code></Error>".to_vec());
                };
                let whole: Vec<u8> = parts.into_values().flatten().collect();
                self.store(request.key, whole, fault);
                let body = "<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>";
                answer(200, "", body.as_bytes().to_vec())
            }
            "PUT" if has("uploadId") => {
                let number = request.query["partNumber"].parse().unwrap();
                let mut uploads = self.uploads.lock().unwrap();
                let parts = uploads.get_mut(&request.query["uploadId"]).unwrap();
                parts.insert(number, request.body);
                answer(200, "", Vec::new())
            }
            "PUT" => {
                self.store(request.key, request.body, fault);
                answer(200, "", Vec::new())
            }
            "DELETE" if has("uploadId") => {
                self.uploads.lock().unwrap().remove(&request.query["uploadId"]);
                answer(204, "", Vec::new())
            }
            _ => {
                self.objects.lock().unwrap().remove(&request.key);
                answer(204, "", Vec::new())
            }
        }
    }

    fn store(&self, key: String, mut bytes: Vec<u8>, fault: Option<Fault>) {
        match fault {
            Some(Fault::Forgets) => return,
            Some(Fault::Halves) => bytes.truncate(bytes.len() / 2),
            _ => {}
        }
        self.objects.lock().unwrap().insert(key, bytes);
    }

    fn get(&self, request: &Request, fault: Option<Fault>) -> (String, Vec<u8>) {
        let Some(object) = self.objects.lock().unwrap().get(&request.key).cloned() else {
            return answer(404, "", b"<Error><Code>NoSuchKey</Code></Error>".to_vec());
        };
        let Some((start, end)) = request.range else {
            return answer(200, "", object);
        };
        if fault == Some(Fault::Whole) {
            return answer(200, "", object);
        }
        if start >= object.len() {
            return answer(416, "", b"<Error><Code>InvalidRange</Code></Error>".to_vec());
        }
        let end = end.map_or(object.len(), |end| end.min(object.len()));
        let shift = usize::from(fault == Some(Fault::Shifted));
        let mut body = object[(start + shift).min(end)..end].to_vec();
        let range = format!(
            "Content-Range: bytes {}-{}/{}\r\n",
            start + shift,
            end - 1,
            object.len()
        );
        match fault {
            Some(Fault::Short) => body.truncate(body.len() / 2),
            Some(Fault::Long) => body.extend_from_slice(b"more"),
            _ => {}
        }
        answer(206, &range, body)
    }

    fn list(&self, request: &Request) -> (String, Vec<u8>) {
        let prefix = &request.query["prefix"];
        let after = request
            .query
            .get("continuation-token")
            .cloned()
            .unwrap_or_default();
        let mut sizes: BTreeMap<String, usize> = self.ghosts.lock().unwrap().clone();
        let objects = self.objects.lock().unwrap();
        sizes.extend(objects.iter().map(|(key, bytes)| (key.clone(), bytes.len())));
        let hidden = self.hidden.lock().unwrap();
        let mut found = sizes
            .iter()
            .filter(|(key, _)| key.starts_with(prefix) && **key > after && !hidden.contains(*key));
        let mut xml = "<ListBucketResult>".to_owned();
        let mut last = "";
        for (key, size) in found.by_ref().take(PAGE) {
            let time = "2026-11-21T10:00:00.000Z";
            let _ = write!(
                xml,
                "<Contents><Key>{key}</Key><LastModified>{time}</LastModified><Size>{size}</Size></Contents>"
            );
            last = key;
        }
        if found.next().is_some() {
            let _ = write!(xml, "<NextContinuationToken>{last}</NextContinuationToken>");
        }
        xml.push_str("</ListBucketResult>");
        answer(200, "", xml.into_bytes())
    }
}

fn answer(status: u16, headers: &str, body: Vec<u8>) -> (String, Vec<u8>) {
    let length = format!("{headers}Content-Length: {}\r\n", body.len());
    (head(status, &length), body)
}

fn head(status: u16, headers: &str) -> String {
    format!("HTTP/1.1 {status} Told\r\n{headers}{HEADERS}\r\n")
}

async fn receive(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let header = |name: &str| {
        let mut lines = text.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.to_owned())
    };
    let mut body = bytes[end + 4..].to_vec();
    let len: usize = header("content-length").map_or(0, |len| len.parse().unwrap());
    while body.len() < len {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    let (method, rest) = text.split_once(' ').unwrap();
    let target = rest.split(' ').next().unwrap();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let query = pairs.map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key.to_owned(), value.replace("%2F", "/"))
    });
    let range = header("range").map(|range| {
        let (start, end) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
        let end = (!end.is_empty()).then(|| end.parse::<usize>().unwrap() + 1);
        (start.parse().unwrap(), end)
    });
    Some(Request {
        method: method.to_owned(),
        key: path
            .trim_start_matches("/bucket")
            .trim_start_matches('/')
            .to_owned(),
        query: query.collect(),
        range,
        body,
    })
}
