//! "Rotate now", by HTTP: Slack's commands and buttons, signed webhooks, GitHub's secret scanning.
//!
//! The function decides about a request and queues a job at most: it rotates no secret and does not sign in to Entra.
//! [`Webhook::answer`] takes a request as it came and needs no network of its own.

mod answer;
mod findings;
mod function_url;
mod github;
mod keys;
mod openapi;
mod rate_limit;
mod rotate;
mod rotation_request;
mod rotations;
mod slack;

use std::time::Duration;

use aws_config::SdkConfig;
use chrono::{DateTime, Utc};
use http::{Method, Request, Response, StatusCode};
use keywheel_core::asking::{Deployment, Requests};
use keywheel_core::http::{self as client, Http, SetupError};
use keywheel_core::queue::Queue;
use keywheel_core::settings::{self, SettingError};
use tracing::info;

use answer::Refused;
use keys::KeyRing;
use rate_limit::RateLimit;

pub use function_url::received;
pub use openapi::document;

/// How many requests a minute a caller has, unless a setting says otherwise.
const PER_MINUTE: u32 = 120;
/// The most bytes of a Slack form.
const SLACK_BODY: usize = 64 * 1024;
/// The most bytes of a request to rotate.
const ROTATE_BODY: usize = 16 * 1024;
/// The most bytes of GitHub's event, which describes a whole repository.
const GITHUB_BODY: usize = 1024 * 1024;
/// How long a start may take beforehand. Whoever sent the first request is waiting, and Slack waits three seconds.
const WARM: Duration = Duration::from_secs(1);

/// The settings of the function.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The resources of the deployment.
    pub deployment: Deployment,
    /// `KEYWHEEL_WEBHOOK_SECRET`: without the setting every request is unsigned.
    pub secret: Option<String>,
    /// `KEYWHEEL_COMPARE_QUEUE_URL`: without the setting no alert of GitHub's is compared.
    pub compare_queue_url: Option<String>,
    /// `KEYWHEEL_WEBHOOK_REQUESTS_PER_MINUTE`: how many requests a minute a caller has.
    pub per_minute: Option<u32>,
    /// `KEYWHEEL_ALLOW_LOOPBACK_HTTP`: a `response_url` may lead to this machine, for tests.
    pub loopback: bool,
}

impl Settings {
    /// Reads the environment.
    pub fn from_env() -> Result<Self, SettingError> {
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

/// Why the function cannot start.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    /// The HTTP client cannot be made.
    #[error(transparent)]
    Http(#[from] SetupError),
    /// A setting is missing, or cannot be used.
    #[error(transparent)]
    Setting(#[from] SettingError),
}

/// The function: answers requests.
#[derive(Debug)]
pub struct Webhook {
    http: Http,
    requests: Requests,
    comparisons: Option<Queue>,
    keys: KeyRing,
    rate_limit: RateLimit,
    loopback: bool,
}

/// A path that the function answers.
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

    /// Makes the function of clients that are there already.
    pub fn new(http: Http, aws: &SdkConfig, settings: Settings) -> Self {
        let requests = Requests::new(aws, settings.deployment);
        Self {
            comparisons: settings.compare_queue_url.map(|url| Queue::new(aws, url, None)),
            keys: KeyRing::new(requests.secrets().clone(), settings.secret),
            rate_limit: RateLimit::new(settings.per_minute.unwrap_or(PER_MINUTE)),
            loopback: settings.loopback,
            requests,
            http,
        }
    }

    /// Reads beforehand what the first request would wait for. The request that meets a failure tells of the failure.
    pub async fn warm(&self) {
        let keys = self.keys.keys(Duration::from_mins(1));
        let manifest = self.requests.manifest();
        let both = Box::pin(async { tokio::join!(keys, manifest) });
        let _ = tokio::time::timeout(WARM, both).await;
    }

    /// Answers a request. `caller` is the address that the request came from; `now` is the time.
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
        self.report_unusable_keys(now).await;
        let response = match answered {
            Ok(response) => response,
            // Slack and GitHub send for all their customers from the same addresses. Requests of another customer count
            // against the address, but never against those whose signature fits.
            Err(Refused::Unsigned) => {
                let too_often = self.rate_limit.count(caller, now).err();
                too_often.unwrap_or(Refused::Unsigned).response()
            }
            Err(refused) => refused.response(),
        };
        let (status, route) = (response.status().as_u16(), route_name(request.uri().path()));
        info!(route, status, caller, "answered");
        response
    }

    /// Leads a request to its handler. Cheap checks come first, and nothing is read before its signature is verified.
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
                self.rate_limit.count(caller, now)?;
                let kind = "application/vnd.oai.openapi+json;version=3.1";
                Ok(answer::respond(StatusCode::OK, kind, document().to_owned()))
            }
        }
    }
}

/// Names the route of a path for the log. The path itself is not logged, for anybody may choose it.
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

/// Reads a header's text. A header that is absent or given twice is read as empty, and signs nothing.
fn header<'a>(request: &'a Request<Vec<u8>>, name: &str) -> &'a str {
    let mut values = request.headers().get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(only), None) => only.to_str().unwrap_or_default(),
        _ => "",
    }
}
