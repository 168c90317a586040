//! The page that shows who is online, and tries the service out.

use sockeye_kit::http::Asset;

/// The files of the page.
pub(crate) fn assets() -> Vec<Asset> {
    Vec::new()
}
