//! A server with a page and two sockets, and how to ask it.

use std::fs;
use std::path::PathBuf;

use clap::Parser;
use serde_json::Value;
use sockeye_handler::testing::TestServer;
use sockeye_handler::{CloseCode, Context, Handler, Message, Response, Router};
use sockeye_kit::caps::{Admission, CapsArgs};
use sockeye_kit::http::{Site, SiteArgs, client_ip};

#[derive(Parser)]
pub(crate) struct Flags {
    #[command(flatten)]
    pub(crate) site: SiteArgs,
    #[command(flatten)]
    pub(crate) caps: CapsArgs,
}

pub(crate) fn flags(flags: &[&str]) -> Flags {
    Flags::parse_from([&["test"], flags].concat())
}

pub(crate) fn site(given: &[&str]) -> Site {
    flags(given)
        .site
        .site("127.0.0.1:9001")
        .expect("good flags")
}

pub(crate) struct Idle {
    #[expect(dead_code, reason = "kept, and dropped with the handler")]
    pub(crate) admission: Option<Admission>,
}

impl Handler for Idle {
    fn on_message(&mut self, _: Message<'_>, cx: &mut Context<'_>) {
        let _ = cx.close(CloseCode::NORMAL, "");
    }
}

/// A page at `/page`, WebSocket at `/ws`, who asks at `/who`.
pub(crate) fn server(site: Site) -> TestServer<Router> {
    let router = Router::new()
        .get("/page", |_| Response::text(200, "well\n"))
        .and_then(|router| router.post("/page", |_| Response::text(200, "posted\n")))
        .and_then(|router| router.ws("/ws", |_, _| Idle { admission: None }))
        .and_then(|router| {
            router.ws("/who", |_, cx| {
                let who = client_ip(cx).map(|ip| ip.to_string());
                Err::<Idle, _>(Response::html(403, who.unwrap_or_default()))
            })
        });
    TestServer::new(router.expect("good routes").wrap(site))
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

/// Asks with exactly these lines.
pub(crate) fn ask(server: &TestServer<Router>, lines: &[&str]) -> Answer {
    let mut client = server.raw();
    client.write(format!("{}\r\n\r\n", lines.join("\r\n")).as_bytes());
    let answer = String::from_utf8(client.read()).expect("text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a whole head");
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    Answer {
        status: status.expect("a status"),
        head: head.into(),
        body: body.into(),
    }
}

pub(crate) fn get(server: &TestServer<Router>, path: &str) -> Answer {
    ask(
        server,
        &[&format!("GET {path} HTTP/1.1"), "Host: localhost"],
    )
}

pub(crate) fn upgrade(server: &TestServer<Router>, path: &str, fields: &[&str]) -> Answer {
    let line = format!("GET {path} HTTP/1.1");
    let fixed = [
        &line,
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ];
    ask(server, &[&fixed, fields].concat())
}

pub(crate) struct TempDir(pub(crate) PathBuf);

impl TempDir {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sockeye-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).expect("a directory");
        Self(path)
    }

    pub(crate) fn write(&self, name: &str, content: &str) {
        let path = self.0.join(name);
        let folder = path.parent().expect("below the directory");
        fs::create_dir_all(folder).expect("a directory");
        fs::write(&path, content).expect("a file");
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
