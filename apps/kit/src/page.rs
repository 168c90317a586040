//! What the pages of the programs share: their look, and a WebSocket that comes back.

use crate::http::Asset;

/// The shared files, all of them under `/assets/`.
///
/// `base.css` and `icon.svg`; `dom.js` makes elements out of text nodes, `link.js` is a
/// connection that knows what each close code asks for.
#[must_use]
pub fn shared() -> Vec<Asset> {
    vec![
        Asset::new("assets/base.css", include_str!("../assets/base.css")),
        Asset::new("assets/icon.svg", include_str!("../assets/icon.svg")),
        Asset::new("assets/dom.js", include_str!("../assets/dom.js")),
        Asset::new("assets/link.js", include_str!("../assets/link.js")),
    ]
}
