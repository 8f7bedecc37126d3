//! Files in memory: where they come from, what kind they are, their compressed forms.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::OnceLock;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use rust_embed::RustEmbed;

use crate::keys::{hex, sha256};

#[derive(RustEmbed)]
#[folder = "static/"]
struct BuiltIn;

/// Folders of the built-in page that only the demo serves.
const DEMO_ONLY: &[&str] = &["developer/", "documents/"];

/// The largest file of an operator's folder that is served, in bytes.
const LARGEST: u64 = 16 * 1024 * 1024;

/// How many files of an operator's folder are served at most.
const MOST_FILES: usize = 5000;

/// Smaller files are sent as they are, in bytes: one packet holds them anyway.
const WORTH_COMPRESSING: usize = 1024;

/// How bytes are written on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Coding {
    /// As they are.
    Plain,
    /// gzip.
    Gzip,
    /// Brotli.
    Brotli,
}

/// One file.
pub(in crate::http) struct File {
    /// Its media type.
    pub kind: &'static str,
    plain: Bytes,
    hash: String,
    /// Made once for the process, when a browser first asks for it.
    gzip: OnceLock<Bytes>,
    brotli: OnceLock<Bytes>,
}

impl File {
    /// A file called `name` (its ending tells the kind).
    pub fn new(name: &str, bytes: impl Into<Bytes>) -> Self {
        let plain = bytes.into();
        Self {
            kind: kind(name),
            hash: hex(&sha256(&plain)[..16]),
            plain,
            gzip: OnceLock::new(),
            brotli: OnceLock::new(),
        }
    }

    /// The text, when it is one.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.plain).ok()
    }

    /// The best coding that the browser takes and that is worth it.
    pub fn coding_for(&self, headers: &HeaderMap) -> Coding {
        let text = self.kind.starts_with("text/") || self.kind.contains("json") || self.kind.contains("xml");
        if !text || self.plain.len() < WORTH_COMPRESSING {
            return Coding::Plain;
        }
        if takes(headers, "br") {
            Coding::Brotli
        } else if takes(headers, "gzip") {
            Coding::Gzip
        } else {
            Coding::Plain
        }
    }

    /// The strong tag of the content in that coding.
    pub fn tag(&self, coding: Coding) -> HeaderValue {
        let ending = match coding {
            Coding::Plain => "",
            Coding::Gzip => "-gzip",
            Coding::Brotli => "-br",
        };
        HeaderValue::try_from(format!("\"{}{ending}\"", self.hash)).expect("hexadecimal digits are a header value")
    }

    /// The content in that coding.
    pub fn bytes(&self, coding: Coding) -> Bytes {
        match coding {
            Coding::Plain => self.plain.clone(),
            Coding::Gzip => self.gzip.get_or_init(|| gzip(&self.plain)).clone(),
            Coding::Brotli => self.brotli.get_or_init(|| brotli(&self.plain)).clone(),
        }
    }
}

fn gzip(plain: &[u8]) -> Bytes {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    writer.write_all(plain).expect("memory takes every byte");
    writer.finish().expect("memory takes every byte").into()
}

fn brotli(plain: &[u8]) -> Bytes {
    let mut writer = brotli::CompressorWriter::new(Vec::new(), 4096, 9, 22);
    writer.write_all(plain).expect("memory takes every byte");
    writer.into_inner().into()
}

/// Whether `Accept-Encoding` names `coding` without refusing it.
fn takes(headers: &HeaderMap, coding: &str) -> bool {
    let Some(accepted) = headers
        .get(header::ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok())
    else {
        return false;
    };
    accepted.split(',').any(|part| {
        let mut pieces = part.split(';').map(str::trim);
        let refused = |piece: &str| piece.strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0));
        pieces.next() == Some(coding) && !pieces.any(refused)
    })
}

/// The built-in web cabinet.
pub(super) fn built_in(demo: bool) -> BTreeMap<String, File> {
    let served = |path: &str| {
        let source = path.ends_with(".d.ts") || path.ends_with("tsconfig.json") || path.starts_with("sandbox/");
        !source && (demo || !DEMO_ONLY.iter().any(|folder| path.starts_with(folder)))
    };
    let paths = BuiltIn::iter().filter(|path| served(path));
    let read = |path: std::borrow::Cow<'static, str>| {
        let bytes = match BuiltIn::get(&path)?.data {
            std::borrow::Cow::Borrowed(bytes) => Bytes::from_static(bytes),
            std::borrow::Cow::Owned(bytes) => Bytes::from(bytes),
        };
        Some((path.to_string(), File::new(&path, bytes)))
    };
    paths.filter_map(read).collect()
}

/// The operator's folder. Hidden files, links that lead out of it and what is too large are left out.
pub(super) fn folder(root: &Path) -> BTreeMap<String, File> {
    let mut files = BTreeMap::new();
    match root.canonicalize() {
        Ok(root) => collect(&root, &root, &mut files),
        Err(error) => tracing::error!(%error, "web.static_dir cannot be read"),
    }
    files
}

fn collect(root: &Path, folder: &Path, files: &mut BTreeMap<String, File>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        // The true place of what a link names: inside the folder, or not served.
        let Ok(path) = entry.path().canonicalize() else {
            continue;
        };
        let Ok(meta) = path.metadata() else { continue };
        if hidden || !path.starts_with(root) || files.len() >= MOST_FILES {
            continue;
        }
        if meta.is_dir() {
            // A link to a folder above would never end.
            if path == entry.path() {
                collect(root, &path, files);
            }
        } else if meta.len() > LARGEST {
            tracing::warn!(bytes = meta.len(), "a file of web.static_dir is too large to be served");
        } else if let (Some(name), Ok(bytes)) = (name_of(root, &entry.path()), std::fs::read(&path)) {
            let file = File::new(&name, bytes);
            files.insert(name, file);
        }
    }
}

fn name_of(root: &Path, path: &Path) -> Option<String> {
    let parts = path.strip_prefix(root).ok()?.iter().map(|part| part.to_str());
    Some(parts.collect::<Option<Vec<_>>>()?.join("/"))
}

fn kind(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "gif" => "image/gif",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "wasm" => "application/wasm",
        "txt" | "md" => "text/plain; charset=utf-8",
        "xml" => "application/xml",
        "pdf" => "application/pdf",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(value))])
    }

    #[test]
    fn the_best_accepted_coding_is_taken() {
        let file = File::new("a.css", "a { color: red }\n".repeat(200));
        assert_eq!(file.coding_for(&asking("gzip, deflate, br, zstd")), Coding::Brotli);
        assert_eq!(file.coding_for(&asking("gzip, br;q=0")), Coding::Gzip);
        assert_eq!(file.coding_for(&asking("identity")), Coding::Plain);
        assert_eq!(file.coding_for(&HeaderMap::new()), Coding::Plain);
        let picture = File::new("a.png", vec![0; 5000]);
        assert_eq!(picture.coding_for(&asking("br")), Coding::Plain);
    }

    #[test]
    fn compressed_forms_are_smaller_and_have_tags_of_their_own() {
        let file = File::new("a.css", "a { color: red }\n".repeat(200));
        let plain = file.bytes(Coding::Plain).len();
        for coding in [Coding::Gzip, Coding::Brotli] {
            assert!(file.bytes(coding).len() < plain / 10);
            assert_ne!(file.tag(coding), file.tag(Coding::Plain));
        }
    }

    #[test]
    fn a_folder_gives_its_files_and_nothing_else() {
        let root = tempfile::tempdir().expect("a folder");
        let outside = tempfile::tempdir().expect("a folder");
        std::fs::write(outside.path().join("secret.txt"), "secret").expect("written");
        std::fs::create_dir(root.path().join("css")).expect("made");
        std::fs::write(root.path().join("index.html"), "<p>").expect("written");
        std::fs::write(root.path().join("css/a.css"), "a{}").expect("written");
        std::fs::write(root.path().join(".env"), "secret").expect("written");
        std::os::unix::fs::symlink(outside.path(), root.path().join("out")).expect("linked");
        std::os::unix::fs::symlink(outside.path().join("secret.txt"), root.path().join("s.txt")).expect("linked");
        std::os::unix::fs::symlink(root.path(), root.path().join("loop")).expect("linked");
        let names: Vec<String> = folder(root.path()).into_keys().collect();
        assert_eq!(names, ["css/a.css", "index.html"]);
    }
}
