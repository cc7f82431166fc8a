//! Names of objects that others write, which may be anything: `a//b`, `../a`, `folder/`.
//!
//! The library's paths cannot hold some of them. It fails on a list with one, and takes a slash from the end of
//! another, which then is a different object. So those are taken out of the list's answer on its way up, and told
//! apart. All three clouds answer lists in XML that has the name of an object in an element of its own.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::Method;
use http::header::CONTENT_LENGTH;
use object_store::client::{HttpError, HttpErrorKind, HttpRequest, HttpResponse};
use object_store::path::Path;

/// Names that are told; others are counted.
const TOLD: usize = 1000;

/// What was taken out of lists.
#[derive(Debug, Default)]
pub(super) struct Unfit(Mutex<(Vec<String>, u64)>);

impl Unfit {
    /// The names so far, the first thousand, and how many there were; from then on it begins anew.
    pub fn take(&self) -> (Vec<String>, u64) {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The answer without what cannot be held.
    pub async fn sort_out(&self, answer: HttpResponse) -> Result<HttpResponse, HttpError> {
        let (mut parts, body) = answer.into_parts();
        let body = body.bytes().await?;
        let text = str::from_utf8(&body).map_err(|error| HttpError::new(HttpErrorKind::Decode, error))?;
        let (fit, unfit) = split(text);
        if unfit.is_empty() {
            return Ok(HttpResponse::from_parts(parts, body.into()));
        }
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        noted.1 += unfit.len() as u64;
        let room = TOLD.saturating_sub(noted.0.len());
        noted.0.extend(unfit.into_iter().take(room));
        drop(noted);
        parts.headers.remove(CONTENT_LENGTH);
        Ok(HttpResponse::from_parts(parts, Bytes::from(fit).into()))
    }
}

/// Whether a request asks for a list of objects.
pub(super) fn is_list(request: &HttpRequest) -> bool {
    let mut asked = request.uri().query().unwrap_or_default().split('&');
    request.method() == Method::GET && asked.any(|one| one == "list-type=2" || one == "comp=list")
}

/// Whether the library's path of a name is that name.
pub(super) fn is_fit(name: &str) -> bool {
    !name.is_empty() && Path::parse(name).is_ok_and(|path| path.as_ref() == name)
}

/// The list without those whose names do not fit, and these.
fn split(list: &str) -> (String, Vec<String>) {
    let (element, name) = if list.contains("<EnumerationResults") {
        ("Blob", "Name")
    } else {
        ("Contents", "Key")
    };
    let (begin, end) = (format!("<{element}>"), format!("</{element}>"));
    let (mut fit, mut unfit, mut rest) = (String::with_capacity(list.len()), Vec::new(), list);
    while let Some(at) = rest.find(&begin) {
        let Some(len) = rest[at..].find(&end) else { break };
        let (before, after) = (&rest[..at], at + len + end.len());
        let object = &rest[at..after];
        fit.push_str(before);
        match text_of(object, name).filter(|name| !is_fit(name)) {
            Some(name) => unfit.push(name),
            None => fit.push_str(object),
        }
        rest = &rest[after..];
    }
    fit.push_str(rest);
    (fit, unfit)
}

/// The text of the first such element.
fn text_of(xml: &str, element: &str) -> Option<String> {
    if xml.contains(&format!("<{element}/>")) {
        return Some(String::new());
    }
    let (_, rest) = xml.split_once(&format!("<{element}>"))?;
    let (text, _) = rest.split_once(&format!("</{element}>"))?;
    Some(unescaped(text))
}

/// The five entities of XML, and characters by number; anything else is left as it is.
fn unescaped(text: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let entity = rest[1..].split_once(';').map(|(entity, _)| entity);
        match entity.and_then(|entity| Some((entity, character(entity)?))) {
            Some((entity, one)) => {
                out.push(one);
                rest = &rest[entity.len() + 2..];
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

fn character(entity: &str) -> Option<char> {
    let number = match entity {
        "amp" => return Some('&'),
        "lt" => return Some('<'),
        "gt" => return Some('>'),
        "quot" => return Some('"'),
        "apos" => return Some('\''),
        entity => entity.strip_prefix('#')?,
    };
    let code = match number.strip_prefix(['x', 'X']) {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => number.parse(),
    };
    char::from_u32(code.ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_library_cannot_hold_is_taken_out_by_name() {
        let object = |key: &str| format!("<Contents><Key>{key}</Key><Size>1</Size></Contents>");
        let keys = [
            "a",
            "b/",
            "c//d",
            "../e",
            "f&amp;g",
            "h&#x0A;i",
            "/j",
            "k/./l",
            "m &lt;n&gt;",
        ];
        let body: String = keys.into_iter().map(object).collect();
        let list = format!("<ListBucketResult><Name>n</Name>{body}<KeyCount>9</KeyCount></ListBucketResult>");
        let (fit, unfit) = split(&list);
        assert_eq!(unfit, ["b/", "c//d", "../e", "h\ni", "/j", "k/./l"]);
        let left: String = ["a", "f&amp;g", "m &lt;n&gt;"].into_iter().map(object).collect();
        assert_eq!(
            fit,
            format!("<ListBucketResult><Name>n</Name>{left}<KeyCount>9</KeyCount></ListBucketResult>")
        );
    }

    #[test]
    fn azures_lists_are_of_another_form() {
        let blob = |name: &str| format!("<Blob><Name>{name}</Name></Blob>");
        let list = |blobs: &str| format!("<EnumerationResults><Blobs>{blobs}</Blobs></EnumerationResults>");
        let (fit, unfit) = split(&list(&(blob("a") + &blob("b//c"))));
        assert_eq!((fit, unfit), (list(&blob("a")), vec!["b//c".to_owned()]));
    }

    #[test]
    fn what_is_no_list_is_left_as_it_is() {
        for text in ["", "<Contents>", "<Contents><Key>a//b", "{}"] {
            assert_eq!(split(text), (text.to_owned(), Vec::new()));
        }
        assert_eq!(unescaped("a&b;c&#xZZ;&amp;amp;"), "a&b;c&#xZZ;&amp;");
    }
}
