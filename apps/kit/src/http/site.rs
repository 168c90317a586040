//! Whom a server answers: by which names, and to pages of which origins.

use core::fmt;
use core::net::IpAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use sockeye_handler::{
    BoxHandler, Decision, Forbidden, InvalidOrigin, Layer, Next, Opening, OriginPolicy, Request,
    Response,
};

use super::asset::{Asset, Pages, PagesError};
use super::proxy::{self, ClientIp};
use super::{error, sendable};

/// The flags about who may connect; flatten them into a program's own.
#[derive(Clone, Debug, Default, clap::Args)]
#[group(skip)]
pub struct SiteArgs {
    /// Origin such as `https://app.example` whose pages may connect, beside those of this
    /// server; may be repeated.
    #[arg(
        long = "allow-origin",
        value_name = "ORIGIN",
        help_heading = "Who may connect"
    )]
    pub allow_origins: Vec<String>,

    /// Name that this server is called by, beside localhost, IP addresses and the host
    /// of --listen; may be repeated. Requests for any other are answered with 421.
    #[arg(
        long = "allow-host",
        value_name = "NAME",
        help_heading = "Who may connect"
    )]
    pub allow_hosts: Vec<String>,

    /// Addresses of proxies such as 10.0.0.0/8, whose X-Forwarded-For and
    /// X-Forwarded-Host are believed; may be repeated.
    #[arg(
        long = "trust-proxy",
        value_name = "RANGE",
        value_parser = range,
        help_heading = "Who may connect"
    )]
    pub trust_proxies: Vec<IpNet>,

    /// Directory whose files are served in place of the built-in pages, and beside
    /// them; they are read once, at the start.
    #[arg(long, value_name = "DIR")]
    pub static_dir: Option<PathBuf>,
}

/// A range, or one address.
fn range(text: &str) -> Result<IpNet, &'static str> {
    let address = || text.parse().map(|ip: IpAddr| IpNet::from(ip)).ok();
    text.parse()
        .ok()
        .or_else(address)
        .ok_or("not an address or a range such as 10.0.0.0/8")
}

impl SiteArgs {
    /// What stands around the router of a program that listens on `listen`.
    ///
    /// # Errors
    ///
    /// A flag is no origin or no name.
    pub fn site(&self, listen: &str) -> Result<Site, SiteError> {
        let mut policy = OriginPolicy::same_host().addresses();
        // `localhost` can be resolved, but by nobody else.
        let own = listen.rsplit_once(':').map_or(listen, |(host, _)| host);
        let own = (!own.is_empty()).then_some(own);
        let listed = self.allow_hosts.iter().map(String::as_str);
        for host in ["localhost"].into_iter().chain(own).chain(listed) {
            policy = match policy.host(host) {
                Ok(policy) => policy,
                Err(InvalidOrigin) => return Err(SiteError::Host(host.into())),
            };
        }
        for origin in &self.allow_origins {
            policy = match policy.origin(origin) {
                Ok(policy) => policy,
                Err(InvalidOrigin) => return Err(SiteError::Origin(origin.clone())),
            };
        }
        Ok(Site {
            policy,
            proxies: self.trust_proxies.clone(),
        })
    }

    /// The pages of a program, with those of `--static-dir`.
    ///
    /// # Errors
    ///
    /// The directory, or something in it, cannot be served.
    pub fn pages(&self, built_in: impl IntoIterator<Item = Asset>) -> Result<Pages, PagesError> {
        let pages = Pages::new(built_in);
        match &self.static_dir {
            Some(dir) => pages.with_dir(dir),
            None => Ok(pages),
        }
    }
}

/// Stands around a [`Router`](sockeye_handler::Router), by [`wrap`], and refuses what is none
/// of its business.
///
/// Any page can open a WebSocket to any server, and any page can make its own name resolve to
/// this machine. So a request that calls the server by an unknown name is answered with 421,
/// and an upgrade from a page of elsewhere with 403. Within, [`client_ip`](super::client_ip)
/// looks behind the proxies that are trusted. Errors that the router answers become JSON.
///
/// [`wrap`]: sockeye_handler::Router::wrap
#[derive(Clone, Debug)]
pub struct Site {
    policy: OriginPolicy,
    proxies: Vec<IpNet>,
}

impl Layer for Site {
    fn on_request(
        &self,
        request: &Request<'_>,
        cx: &mut Opening<'_>,
        next: Next<'_>,
    ) -> Decision<BoxHandler> {
        let seen = proxy::see(request, cx.address(), &self.proxies);
        if let Err(forbidden) = self.policy.check_host(seen.host) {
            return Decision::Respond(refusal(forbidden));
        }
        if request.is_upgrade()
            && let Err(forbidden) = self.policy.check_origin(request, seen.host)
        {
            return Decision::Respond(refusal(forbidden));
        }
        cx.insert(ClientIp(seen.client));
        in_json(next.on_request(request, cx))
    }

    fn on_refusal(&self, refusal: Response) -> Response {
        explained(refusal)
    }
}

fn refusal(forbidden: Forbidden) -> Response {
    explained(forbidden.response())
}

fn in_json(decision: Decision<BoxHandler>) -> Decision<BoxHandler> {
    match decision {
        Decision::Respond(response) => Decision::Respond(explained(response)),
        Decision::Later(decision) => Decision::later(async { in_json(decision.await) }),
        accept @ Decision::Accept(..) => accept,
    }
}

/// An error of plain text, in JSON; any other answer as it is.
fn explained(response: Response) -> Response {
    let is_text = response
        .value("Content-Type")
        .is_some_and(|value| value.starts_with(b"text/plain"));
    if response.status() < 400 || !is_text {
        return response;
    }
    let reason = String::from_utf8_lossy(response.content());
    let explained = error(
        response.status(),
        code(response.status()),
        reason.trim_end(),
    );
    let fields = response
        .fields()
        .filter(|(name, _)| !name.eq_ignore_ascii_case("Content-Type"));
    fields.fold(explained, |explained, (name, value)| {
        sendable(explained.field(name, value))
    })
}

fn code(status: u16) -> &'static str {
    match status {
        400 => "bad-request",
        401 => "unauthorized",
        403 => "forbidden",
        404 => "not-found",
        405 => "method-not-allowed",
        408 => "too-slow",
        411 => "length-required",
        413 | 414 | 431 => "too-large",
        417 => "expectation",
        421 => "wrong-host",
        426 => "upgrade-required",
        429 => "too-many",
        503 => "unavailable",
        505 => "http-version",
        _ => "error",
    }
}

/// Which flag says something that cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SiteError {
    /// `--allow-host`, or the host of `--listen`.
    Host(Box<str>),
    /// `--allow-origin`.
    Origin(String),
}

impl fmt::Display for SiteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => write!(f, "{host:?} is not a host name without a port"),
            Self::Origin(origin) => {
                write!(f, "{origin:?} is not an origin such as https://app.example")
            }
        }
    }
}

impl core::error::Error for SiteError {}
