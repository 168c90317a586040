//! The page that tries the server out.

use sockeye_handler::{InvalidField, Response};

/// Nothing from other hosts, nothing inline, nobody's frame; and no text becomes markup.
const POLICY: &str = "default-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'; require-trusted-types-for 'script'; \
                      trusted-types 'none'";

/// The answer to a plain request.
pub(crate) fn respond(method: &str, path: &str) -> Response {
    let (content_type, file) = match path {
        "/" => (
            "text/html; charset=utf-8",
            include_str!("../page/index.html"),
        ),
        // The look of all programs: two of their files, without the crate that they stand in,
        // because this program is small and stays so.
        "/base.css" => (
            "text/css; charset=utf-8",
            include_str!("../../kit/assets/base.css"),
        ),
        "/icon.svg" => ("image/svg+xml", include_str!("../../kit/assets/icon.svg")),
        "/echo.css" => ("text/css; charset=utf-8", include_str!("../page/echo.css")),
        "/echo.js" => (
            "text/javascript; charset=utf-8",
            include_str!("../page/echo.js"),
        ),
        _ => {
            return Response::text(
                404,
                "There is no such page; every path takes a WebSocket.\n",
            );
        }
    };
    let response = if matches!(method, "GET" | "HEAD") {
        found(content_type, file)
    } else {
        Response::text(405, "This page can only be read.\n").field("Allow", "GET, HEAD")
    };
    // All names and values are those above, which can be sent.
    response.unwrap_or_else(|_| Response::new(500))
}

fn found(content_type: &str, file: &'static str) -> Result<Response, InvalidField> {
    Response::new(200)
        .body(content_type, file)?
        .field("Content-Security-Policy", POLICY)?
        .field("X-Content-Type-Options", "nosniff")?
        .field("Referrer-Policy", "no-referrer")?
        .field("Cache-Control", "no-cache")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_and_its_parts_are_served_and_nothing_else_is() {
        for path in ["/", "/base.css", "/echo.css", "/echo.js", "/icon.svg"] {
            let response = respond("GET", path);
            assert_eq!(response.status(), 200, "{path}");
            assert!(response.value("Content-Security-Policy").is_some());
            assert_eq!(
                response.value("X-Content-Type-Options"),
                Some(&b"nosniff"[..])
            );
            assert_eq!(respond("POST", path).status(), 405);
        }
        assert_eq!(respond("GET", "/other").status(), 404);
    }

    #[test]
    fn the_page_holds_to_its_policy() {
        let page = include_str!("../page/index.html");
        for forbidden in ["style=", "onclick", "<style", "http://", "https://"] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
        let script = include_str!("../page/echo.js");
        for forbidden in ["innerHTML", "insertAdjacentHTML", "eval("] {
            assert!(!script.contains(forbidden), "{forbidden}");
        }
    }
}
