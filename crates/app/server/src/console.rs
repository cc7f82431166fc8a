//! The console's files, embedded in the binary.

use std::borrow::Cow;
use std::fmt::Write;

use corliss_http::{Asset, Assets};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/../../../ui/dist"]
#[allow_missing = true]
struct Files;

const NOT_BUILT: &str = "<!doctype html><html lang=\"en\"><title>Corliss</title><body><h1>Corliss runs, without its console</h1>\
<p>This binary was built before <code>ui/dist</code> existed. <code>make build</code> builds both.</p></body></html>";

/// Serves the embedded files.
pub struct Console;

impl Assets for Console {
    fn get(&self, path: &str) -> Option<Asset> {
        if let Some(file) = Files::get(path) {
            let digest = file
                .metadata
                .sha256_hash()
                .iter()
                .fold(String::new(), |mut hex, byte| {
                    let _ = write!(hex, "{byte:02x}");
                    hex
                });
            let content_type = file.metadata.mimetype().to_owned();
            return Some(Asset {
                bytes: file.data,
                content_type,
                digest,
            });
        }
        (path == "index.html").then(|| Asset {
            bytes: Cow::Borrowed(NOT_BUILT.as_bytes()),
            content_type: "text/html; charset=utf-8".to_owned(),
            digest: "not-built".to_owned(),
        })
    }
}
