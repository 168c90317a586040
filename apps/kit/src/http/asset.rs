//! Pages and what belongs to them.

use alloc::collections::BTreeMap;
use core::fmt;
use core::hash::Hasher;
use std::fs;
use std::hash::DefaultHasher;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use sockeye_handler::{Request, Response, RouteError, Router};

use super::sendable;

/// Nothing from other hosts, nothing inline, nobody's frame; and no text becomes markup.
const POLICY: &str = "default-src 'self'; base-uri 'none'; form-action 'self'; \
                      frame-ancestors 'none'; require-trusted-types-for 'script'; \
                      trusted-types 'none'";

/// A file of a page, in memory.
#[derive(Clone, Debug)]
pub struct Asset {
    name: Box<str>,
    content_type: &'static str,
    content: Bytes,
    etag: Box<str>,
}

impl Asset {
    /// A file of this name, which tells its type: `chat.html`, `chat.js`, `img/logo.svg`.
    #[must_use]
    pub fn new(name: &str, content: impl Into<Bytes>) -> Self {
        let content = content.into();
        let mut hasher = DefaultHasher::new();
        hasher.write(&content);
        Self {
            name: name.into(),
            content_type: content_type(name),
            etag: format!("\"{:016x}\"", hasher.finish()).into(),
            content,
        }
    }

    /// The answer to a `GET`: 304 if the client has it already.
    ///
    /// An HTML page is not kept anywhere: its address may tell who somebody is. What it refers
    /// to is kept, and asked about each time.
    #[must_use]
    pub fn respond(&self, request: &Request<'_>) -> Response {
        let is_page = self.is_page();
        let is_known = !is_page && request.values("If-None-Match").any(|known| self.is(known));
        let response = if is_known {
            Ok(Response::new(304))
        } else {
            Response::new(200).body(self.content_type, self.content.clone())
        };
        let caching = if is_page { "no-store" } else { "no-cache" };
        sendable(
            response
                .and_then(|response| response.field("ETag", &*self.etag))
                .and_then(|response| response.field("Cache-Control", caching))
                .and_then(|response| response.field("Content-Security-Policy", POLICY))
                .and_then(|response| response.field("X-Content-Type-Options", "nosniff"))
                .and_then(|response| response.field("Referrer-Policy", "no-referrer")),
        )
    }

    /// Where it is served: `chat.html` at `/chat`, `index.html` at `/`, others by their name.
    #[must_use]
    pub fn path(&self) -> String {
        let name = self.name.strip_suffix(".html").unwrap_or(&self.name);
        match name.strip_suffix("index") {
            Some(folder) if self.is_page() && (folder.is_empty() || folder.ends_with('/')) => {
                format!("/{folder}")
            }
            _ => format!("/{name}"),
        }
    }

    fn is_page(&self) -> bool {
        self.name.ends_with(".html")
    }

    /// RFC 9110 §13.1.2: a list of tags, which are compared weakly, or `*`.
    fn is(&self, known: &[u8]) -> bool {
        known
            .split(|byte| *byte == b',')
            .map(<[u8]>::trim_ascii)
            .map(|tag| tag.strip_prefix(b"W/").unwrap_or(tag))
            .any(|tag| tag == b"*" || tag == self.etag.as_bytes())
    }
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("json" | "map") => "application/json",
        Some("txt" | "md") => "text/plain; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("webp") => "image/webp",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        Some("webmanifest") => "application/manifest+json",
        _ => "application/octet-stream",
    }
}

/// The pages of a program.
#[derive(Clone, Debug, Default)]
pub struct Pages(BTreeMap<Box<str>, Asset>);

impl Pages {
    /// The most files of a directory, and the most bytes of each: they are held in memory.
    const MAX_FILES: usize = 1000;
    const MAX_FILE: u64 = 8 << 20;

    /// What the program brings along.
    #[must_use]
    pub fn new(assets: impl IntoIterator<Item = Asset>) -> Self {
        let by_name = |asset: Asset| (asset.name.clone(), asset);
        Self(assets.into_iter().map(by_name).collect())
    }

    /// With the files of a directory in place of those of the same names, and beside the
    /// others. They are read now and never again; hidden ones are left out.
    ///
    /// # Errors
    ///
    /// Names the file that cannot be served.
    pub fn with_dir(mut self, dir: &Path) -> Result<Self, PagesError> {
        let mut folders = vec![(dir.to_owned(), String::new())];
        while let Some((folder, prefix)) = folders.pop() {
            let fail = |error| PagesError::Read(folder.clone(), error);
            for entry in fs::read_dir(&folder).map_err(fail)? {
                let path = entry.map_err(fail)?.path();
                let name = path.file_name().and_then(|name| name.to_str());
                let name = name.filter(|name| name.bytes().all(is_plain));
                let Some(name) = name else {
                    return Err(PagesError::Name(path));
                };
                if name.starts_with('.') {
                    continue;
                }
                let fail = |error| PagesError::Read(path.clone(), error);
                let metadata = fs::metadata(&path).map_err(fail)?;
                if metadata.is_dir() {
                    folders.push((path.clone(), format!("{prefix}{name}/")));
                    continue;
                }
                if metadata.len() > Self::MAX_FILE || self.0.len() >= Self::MAX_FILES {
                    return Err(PagesError::TooMuch(path));
                }
                let content = fs::read(&path).map_err(fail)?;
                let asset = Asset::new(&format!("{prefix}{name}"), content);
                self.0.insert(asset.name.clone(), asset);
            }
            if folders.len() > Self::MAX_FILES {
                return Err(PagesError::TooMuch(folder));
            }
        }
        Ok(self)
    }

    /// Serves each at its [path](Asset::path).
    ///
    /// # Errors
    ///
    /// The router has one of these paths already.
    pub fn mount(self, router: Router) -> Result<Router, RouteError> {
        self.0.into_values().try_fold(router, |router, asset| {
            router.get(&asset.path(), move |request| asset.respond(request))
        })
    }
}

/// What stands in a path as it is (RFC 3986 §2.3).
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Why the files of a directory cannot be served.
#[derive(Debug)]
pub enum PagesError {
    /// It cannot be read.
    Read(PathBuf, io::Error),
    /// The name is not made of ASCII letters, digits and `- . _ ~`.
    Name(PathBuf),
    /// It is too large, or one too many.
    TooMuch(PathBuf),
}

impl fmt::Display for PagesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(path, error) => write!(f, "cannot read {}: {error}", path.display()),
            Self::Name(path) => write!(
                f,
                "cannot serve {}: its name is not made of letters, digits and - . _ ~",
                path.display()
            ),
            Self::TooMuch(path) => write!(
                f,
                "cannot serve {}: at most {} files of {} MiB are held",
                path.display(),
                Pages::MAX_FILES,
                Pages::MAX_FILE >> 20
            ),
        }
    }
}

impl core::error::Error for PagesError {}
