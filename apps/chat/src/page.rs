//! The page that people chat with.

use sockeye_kit::http::Asset;
use sockeye_kit::page::shared;

/// The files of the page.
#[must_use]
pub fn assets() -> Vec<Asset> {
    let mut assets = shared();
    assets.extend([
        // One document: the script looks at the address.
        Asset::new("index.html", include_str!("../assets/index.html")),
        Asset::new("chat.html", include_str!("../assets/index.html")),
        Asset::new("assets/chat.css", include_str!("../assets/chat.css")),
        Asset::new("assets/chat.js", include_str!("../assets/chat.js")),
        Asset::new("assets/client.js", include_str!("../assets/client.js")),
        Asset::new("assets/composer.js", include_str!("../assets/composer.js")),
        Asset::new(
            "assets/conversation.js",
            include_str!("../assets/conversation.js"),
        ),
        Asset::new("assets/lists.js", include_str!("../assets/lists.js")),
        Asset::new("assets/login.js", include_str!("../assets/login.js")),
        Asset::new("assets/memory.js", include_str!("../assets/memory.js")),
        Asset::new("assets/timeline.js", include_str!("../assets/timeline.js")),
        Asset::new("assets/words.js", include_str!("../assets/words.js")),
    ]);
    assets
}
