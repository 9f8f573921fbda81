//! "Rotate now", by HTTP: Slack's commands and buttons, signed webhooks, GitHub's secret scanning.
//!
//! Everything here decides about a request and queues a job at most: no secret is turned in this function, and
//! it does not sign in to Entra. [`Webhook::answer`] takes a request as it came and needs no network of its own.

mod answer;
mod ask;
mod github;
mod keys;
mod limit;
mod openapi;
mod received;
mod replies;
mod rotate;
mod rotations;
mod slack;
mod status;

use std::time::Duration;

use aws_config::SdkConfig;
use chrono::{DateTime, Utc};
use http::{Method, Request, Response, StatusCode};
use keywheel_core::asking::{Deployment, DeploymentError, Requests};
use keywheel_core::events::FindingKind;
use keywheel_core::http::{self as client, Http, SetupError};
use keywheel_core::queue::Queue;
use keywheel_core::{settings, sha256};
use tracing::info;

use answer::Refused;
use keys::KeyRing;
use limit::Limiter;

pub use openapi::document;
pub use received::received;

/// How many requests a minute one caller has, where nothing else is said.
const PER_MINUTE: u32 = 120;
/// What a body may hold: a form of Slack's, our own JSON, GitHub's event with all it says of a repository.
const SLACK_BODY: usize = 64 * 1024;
const ROTATE_BODY: usize = 16 * 1024;
const GITHUB_BODY: usize = 1024 * 1024;
/// How long a start may take beforehand: whoever sent the first request is waiting, and Slack waits three seconds.
const WARM: Duration = Duration::from_secs(1);

/// How the function is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where requests leave their traces.
    pub deployment: Deployment,
    /// `KEYWHEEL_WEBHOOK_SECRET`: without it nobody is believed.
    pub secret: Option<String>,
    /// `KEYWHEEL_COMPARE_QUEUE_URL`: without it no alert of GitHub's is compared.
    pub compare_queue_url: Option<String>,
    /// `KEYWHEEL_WEBHOOK_REQUESTS_PER_MINUTE`, of one caller.
    pub per_minute: Option<u32>,
    /// `KEYWHEEL_ALLOW_LOOPBACK_HTTP`: a `response_url` may lead to this machine, for tests.
    pub loopback: bool,
}

impl Settings {
    /// Reads the environment.
    pub fn from_env() -> Result<Self, DeploymentError> {
        Ok(Self {
            deployment: Deployment::from_env()?,
            secret: settings::optional("KEYWHEEL_WEBHOOK_SECRET"),
            compare_queue_url: settings::optional("KEYWHEEL_COMPARE_QUEUE_URL"),
            per_minute: settings::optional("KEYWHEEL_WEBHOOK_REQUESTS_PER_MINUTE")
                .and_then(|number| number.parse().ok()),
            loopback: settings::allow_loopback(),
        })
    }
}

/// The function cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    /// The HTTP client.
    #[error(transparent)]
    Http(#[from] SetupError),
    /// The environment.
    #[error(transparent)]
    Deployment(#[from] DeploymentError),
}

/// Everything that answers requests.
#[derive(Debug)]
pub struct Webhook {
    http: Http,
    requests: Requests,
    comparisons: Option<Queue>,
    keys: KeyRing,
    limiter: Limiter,
    loopback: bool,
}

/// What there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route<'a> {
    Command,
    Interaction,
    Rotate,
    Rotation(&'a str),
    GitHub,
    OpenApi,
}

impl<'a> Route<'a> {
    fn of(path: &'a str) -> Option<Self> {
        Some(match path {
            "/slack/commands" => Self::Command,
            "/slack/interactions" => Self::Interaction,
            "/rotate" => Self::Rotate,
            "/github" => Self::GitHub,
            "/openapi.json" => Self::OpenApi,
            other => Self::Rotation(other.strip_prefix("/rotations/")?),
        })
    }

    fn method(self) -> (Method, &'static str) {
        match self {
            Self::Rotation(_) | Self::OpenApi => (Method::GET, "GET"),
            _ => (Method::POST, "POST"),
        }
    }

    fn most(self) -> usize {
        match self {
            Self::Command | Self::Interaction => SLACK_BODY,
            Self::Rotate => ROTATE_BODY,
            Self::GitHub => GITHUB_BODY,
            Self::Rotation(_) | Self::OpenApi => 0,
        }
    }
}

impl Webhook {
    /// Makes the clients that the environment describes.
    pub async fn connect() -> Result<Self, BeginError> {
        let settings = Settings::from_env()?;
        let http = Http::from_env()?;
        let aws = client::aws::config(&http).await;
        Ok(Self::new(http, &aws, settings))
    }

    /// Makes the same of clients that are at hand.
    pub fn new(http: Http, aws: &SdkConfig, settings: Settings) -> Self {
        let requests = Requests::new(aws, settings.deployment);
        Self {
            comparisons: settings.compare_queue_url.map(|url| Queue::new(aws, url, None)),
            keys: KeyRing::new(requests.secrets().clone(), settings.secret),
            limiter: Limiter::new(settings.per_minute.unwrap_or(PER_MINUTE)),
            loopback: settings.loopback,
            requests,
            http,
        }
    }

    /// Does beforehand what the first request would wait for. A failure is told by the request that meets it.
    pub async fn warm(&self) {
        let keys = self.keys.keys(Duration::from_mins(1));
        let manifest = self.requests.manifest();
        let both = Box::pin(async { tokio::join!(keys, manifest) });
        let _ = tokio::time::timeout(WARM, both).await;
    }

    /// Answers a request. `caller` is the address it came from; `now` is the time.
    pub async fn answer(
        &self,
        request: &Request<Vec<u8>>,
        caller: &str,
        now: DateTime<Utc>,
    ) -> Response<String> {
        let answered = match self.route(request, caller, now).await {
            Err(Refused::Malformed(detail)) => Err(self.unreadable(request, detail, now).await),
            answered => answered,
        };
        self.tell_of_keys(now).await;
        let response = match answered {
            Ok(response) => response,
            // Slack and GitHub send for all their customers from the same addresses: what one of them had signed
            // with another key counts against strangers only.
            Err(Refused::Unsigned) => match self.limiter.count(caller, now) {
                Ok(()) => Refused::Unsigned.response(),
                Err(wait) => Refused::TooOften(wait).response(),
            },
            Err(refused) => refused.response(),
        };
        let (status, route) = (response.status().as_u16(), route_name(request.uri().path()));
        info!(route, status, caller, "answered");
        response
    }

    /// What is signed right and cannot be read is somebody's who may ask: whoever wants findings is told, for the sender
    /// may not look at the answer. The same request counts once.
    async fn unreadable(
        &self,
        request: &Request<Vec<u8>>,
        detail: String,
        now: DateTime<Utc>,
    ) -> Refused {
        let route = route_name(request.uri().path());
        let why = format!(
            "a request to /{route} was signed right and could not be read: {detail}; nothing was done about it. Mend what \
             the sender sends, and send it again"
        );
        let once = format!("{route} {}", sha256::hexadecimal(request.body()));
        match self.settings_finding(FindingKind::RequestUnreadable, &once, &why, now).await {
            Ok(()) => Refused::Malformed(detail),
            Err(refused) => refused,
        }
    }

    /// Tells, once a day, which entries of the webhook secret cannot be used. A failure is in the log, and told when the
    /// secret is read again: it is no reason to refuse a request that another entry signed.
    async fn tell_of_keys(&self, now: DateTime<Utc>) {
        let names = self.keys.take_untold();
        if names.is_empty() {
            return;
        }
        let why = format!(
            "the webhook secret's {} cannot be used, and what it signs is refused: a webhook's key is `whsec_` and base64 \
             of 24 to 64 bytes, Slack's and GitHub's secrets have 16 characters or more; mend the secret",
            names.join(", ")
        );
        let once = format!("{why} {}", now.date_naive());
        let _logged =
            self.settings_finding(FindingKind::WebhookKeyUnusable, &once, &why, now).await;
    }

    /// The order matters: what costs nothing comes first, and nothing is read before its signature is verified.
    async fn route(
        &self,
        request: &Request<Vec<u8>>,
        caller: &str,
        now: DateTime<Utc>,
    ) -> Result<Response<String>, Refused> {
        let route = Route::of(request.uri().path()).ok_or(Refused::NotFound)?;
        let (method, allowed) = route.method();
        if *request.method() != method {
            return Err(Refused::Method(allowed));
        }
        if request.body().len() > route.most() {
            return Err(Refused::TooLarge(route.most()));
        }
        match route {
            Route::Command => self.slack_command(request, now).await,
            Route::Interaction => self.slack_interaction(request, now).await,
            Route::Rotate => self.rotate(request, now).await,
            Route::Rotation(rest) => self.rotation(request, rest, now).await,
            Route::GitHub => self.github_event(request, now).await,
            Route::OpenApi => {
                self.limiter.count(caller, now).map_err(Refused::TooOften)?;
                let kind = "application/vnd.oai.openapi+json;version=3.1";
                Ok(answer::respond(StatusCode::OK, kind, document().to_owned()))
            }
        }
    }
}

/// For the log: never the path itself, which anybody chooses.
fn route_name(path: &str) -> &'static str {
    match Route::of(path) {
        Some(Route::Command) => "slack/commands",
        Some(Route::Interaction) => "slack/interactions",
        Some(Route::Rotate) => "rotate",
        Some(Route::Rotation(_)) => "rotations",
        Some(Route::GitHub) => "github",
        Some(Route::OpenApi) => "openapi.json",
        None => "none",
    }
}

/// A header's text; an absent one, or one that is given twice, signs nothing.
fn header<'a>(request: &'a Request<Vec<u8>>, name: &str) -> &'a str {
    let mut values = request.headers().get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(only), None) => only.to_str().unwrap_or_default(),
        _ => "",
    }
}
