//! The page that shows who is online, and tries the service out.

use sockeye_kit::http::Asset;
use sockeye_kit::page::shared;

/// The files of the page.
#[must_use]
pub fn assets() -> Vec<Asset> {
    let mut assets = shared();
    assets.extend([
        Asset::new("index.html", include_str!("../assets/index.html")),
        Asset::new(
            "assets/presence.css",
            include_str!("../assets/presence.css"),
        ),
        Asset::new("assets/presence.js", include_str!("../assets/presence.js")),
        Asset::new("assets/me.js", include_str!("../assets/me.js")),
    ]);
    assets
}
