//! What stands in a version for a file whose bytes lie in a source and were not copied.
//!
//! Form, frozen by a test: `corliss-link 1\n` and JSON with `source`, `key`, `size_bytes`, `etag` and, if the source
//! told it, `version`, in this order and without blanks. It is stored like any content, so that it is carried, kept and
//! collected with the version that has it. Equal objects have equal links, and a version that links to them is the
//! same whoever made it.
//!
//! A link names a source as it is configured, and no address: whoever sends one can reach with it what may be imported
//! by the same permission, and nothing else. The etag tells whether the object is still the one that was meant, also
//! where another server calls another place by that name.

mod trouble;

use std::collections::VecDeque;

use corliss_blobstore::{BlobError, BlobId, BlobStore, Kind, Piece};
use serde::{Deserialize, Serialize};

use crate::source::{Object, is_source_name};
use crate::transfer::BODY_BYTES;
use crate::{DataError, EntryPath};

pub use trouble::LinkTrouble;

const MAGIC: &[u8] = b"corliss-link 1\n";
/// Bytes of a link; twice what the longest names take.
pub(crate) const LINK_BYTES_MAX: u64 = 8 << 10;
/// Bytes of an object, 1 PiB: more than any service has, and few enough that sums of many are numbers.
const OBJECT_BYTES_MAX: u64 = 1 << 50;
/// Bytes of an etag or of a version. Services use less than a hundred.
const TAG_BYTES_MAX: usize = 256;

/// Where the bytes of a linked file lie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Link {
    /// What the source is called.
    pub source: String,
    /// The object, as it was when it was linked.
    #[serde(flatten)]
    pub object: Object,
}

/// The stored form, whose fields stay as they are whatever becomes of [`Object`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    source: String,
    key: String,
    size_bytes: u64,
    etag: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<String>,
}

impl Link {
    /// The piece to be stored.
    ///
    /// # Errors
    /// The object cannot be linked to; why is for people, as what follows its name.
    pub(crate) fn to_piece(&self) -> Result<Piece, &'static str> {
        let Object {
            key,
            size_bytes,
            etag,
            version,
        } = self.object.clone();
        let form = Form {
            source: self.source.clone(),
            key,
            size_bytes,
            etag,
            version,
        };
        let json = serde_json::to_vec(&form).map_err(|_| "cannot be written down")?;
        let bytes = [MAGIC, &json].concat();
        match Self::decode(&bytes) {
            Ok(_) => Ok(Piece::chunk(bytes)),
            Err(_) => Err("has a name or etag that cannot be noted"),
        }
    }

    /// Reads one; what is wrong with it is for people.
    ///
    /// # Errors
    /// It is not a link in the one form that it can have.
    pub fn decode(bytes: &[u8]) -> Result<Self, &'static str> {
        let json = bytes.strip_prefix(MAGIC).ok_or("it has another form")?;
        if bytes.len() as u64 > LINK_BYTES_MAX {
            return Err("it is too long");
        }
        let form: Form = serde_json::from_slice(json).map_err(|_| "it has another form")?;
        // Else one object could have many links.
        if !serde_json::to_vec(&form).is_ok_and(|again| again == json) {
            return Err("it is not in the canonical form");
        }
        if !is_source_name(&form.source) {
            return Err("its source has a name that none can have");
        }
        if form.key.parse::<EntryPath>().is_err() {
            return Err("its key cannot be a path");
        }
        if form.size_bytes > OBJECT_BYTES_MAX {
            return Err("its object is larger than one can be");
        }
        let is_tag = |tag: &str| !tag.is_empty() && tag.len() <= TAG_BYTES_MAX;
        if !is_tag(&form.etag) || !form.version.as_deref().is_none_or(is_tag) {
            return Err("its etag or version cannot be one");
        }
        let Form {
            source,
            key,
            size_bytes,
            etag,
            version,
        } = form;
        let object = Object {
            key,
            size_bytes,
            etag,
            version,
        };
        Ok(Self { source, object })
    }
}

/// A linked file that somebody sent is wrong.
pub(crate) fn invalid(path: &str, problem: &'static str) -> DataError {
    DataError::Link {
        path: path.to_owned(),
        trouble: LinkTrouble::Invalid(problem),
    }
}

/// Links by their ids, in order; of what is none, why.
///
/// # Errors
/// One is not stored or damaged, or the blob store failed.
pub(crate) async fn read(
    blobs: &BlobStore,
    ids: Vec<BlobId>,
) -> Result<Vec<Result<Link, &'static str>>, DataError> {
    let mut links = Vec::with_capacity(ids.len());
    let mut left = VecDeque::from(ids);
    while !left.is_empty() {
        let asked = left.iter().copied().collect();
        let pieces = blobs.read_pieces(asked, BODY_BYTES as u64).await?;
        left.drain(..pieces.len().min(left.len()));
        links.extend(pieces.iter().map(|piece| match piece.kind {
            Kind::Chunk => Link::decode(&piece.bytes),
            Kind::Node(_) | Kind::Record => Err("it has another form"),
        }));
    }
    Ok(links)
}

/// The same for who looks at many and wants to see what there is; None for one that is damaged or gone, of which a
/// check tells.
///
/// # Errors
/// The blob store failed.
pub(crate) async fn read_sound(blobs: &BlobStore, ids: Vec<BlobId>) -> Result<Vec<Option<Link>>, DataError> {
    match read(blobs, ids.clone()).await {
        Ok(links) => return Ok(links.into_iter().map(Result::ok).collect()),
        Err(error) if !is_of_one(&error) => return Err(error),
        Err(_) => {}
    }
    let mut links = Vec::with_capacity(ids.len());
    for id in ids {
        match read(blobs, vec![id]).await {
            Ok(one) => links.push(one.into_iter().find_map(Result::ok)),
            Err(error) if is_of_one(&error) => links.push(None),
            Err(error) => return Err(error),
        }
    }
    Ok(links)
}

/// Whether others may be sound.
const fn is_of_one(error: &DataError) -> bool {
    matches!(
        error,
        DataError::Blob(BlobError::Damaged { .. } | BlobError::NotFound { .. })
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(version: Option<&str>) -> Link {
        Link {
            source: "lake".to_owned(),
            object: Object {
                key: "a/b \"c\" é".to_owned(),
                size_bytes: 12,
                etag: "\"9a0364b9\"".to_owned(),
                version: version.map(str::to_owned),
            },
        }
    }

    /// Frozen: a change here would give every linked file a second link.
    #[test]
    fn the_form_is_what_it_was() {
        let plain = r#"{"source":"lake","key":"a/b \"c\" é","size_bytes":12,"etag":"\"9a0364b9\""}"#;
        let versioned =
            r#"{"source":"lake","key":"a/b \"c\" é","size_bytes":12,"etag":"\"9a0364b9\"","version":"v7"}"#;
        for (link, json) in [(link(None), plain), (link(Some("v7")), versioned)] {
            let piece = link.to_piece().unwrap();
            assert_eq!(piece.bytes, format!("corliss-link 1\n{json}"));
            assert_eq!(Link::decode(&piece.bytes), Ok(link));
        }
        assert_eq!(
            link(None).to_piece().unwrap().id.to_string(),
            "1547933b3ea89f161e672687c3ac3593b44d025a11cb1510ca75887547025c9d"
        );
    }

    #[test]
    fn what_is_no_link_is_told() {
        let long = "x".repeat(9000);
        let with = |source: &str, key: &str, etag: &str| {
            format!(
                r#"corliss-link 1{}{{"source":"{source}","key":"{key}","size_bytes":1,"etag":"{etag}"}}"#,
                '\n'
            )
        };
        for (text, why) in [
            ("".to_owned(), "it has another form"),
            ("corliss-link 2\n{}".to_owned(), "it has another form"),
            ("corliss-link 1\n{}".to_owned(), "it has another form"),
            (with("lake", "a", "e") + "\n", "it is not in the canonical form"),
            (
                with("lake", "a", "e").replace(",\"etag", ", \"etag"),
                "it is not in the canonical form",
            ),
            (
                with("lake", "a", "e").replace("\"etag", "\"url\":\"x\",\"etag"),
                "it has another form",
            ),
            (
                with("s3://x", "a", "e"),
                "its source has a name that none can have",
            ),
            (with("a/b", "a", "e"), "its source has a name that none can have"),
            (with("", "a", "e"), "its source has a name that none can have"),
            (with("lake", "../a", "e"), "its key cannot be a path"),
            (with("lake", "/etc/passwd", "e"), "its key cannot be a path"),
            (with("lake", "a//b", "e"), "its key cannot be a path"),
            (with("lake", "a", ""), "its etag or version cannot be one"),
            (
                with("lake", "a", &"e".repeat(257)),
                "its etag or version cannot be one",
            ),
            (with("lake", &long, "e"), "it is too long"),
        ] {
            assert_eq!(Link::decode(text.as_bytes()), Err(why), "{text}");
        }
    }
}
