//! Slack: the answer to a typed command answers the person, and a post to the `response_url` answers a pressed button.
//!
//! Every answer to a signed request has status 200. With any other status Slack shows the person only that the app failed.

mod replies;
mod status;

use std::time::Duration;

use chrono::{DateTime, Utc};
use http::{Request, Response, StatusCode};
use keywheel_core::asking::approval::asked_mark;
use keywheel_core::request::delivery::{Awaiting, Delivery, Requested, SlackOrigin, Verdict};
use keywheel_core::request::keys::Keys;
use keywheel_core::request::permission::{Decision, decide};
use keywheel_core::request::request_id;
use keywheel_core::request::signature::{Unsigned, verify_slack};
use keywheel_core::request::slack::{Command, Pressed, Slash, is_ssl_check, response_url};
use keywheel_core::request::webhook::Rotate;
use serde_json::Value;
use tokio::time::Instant;
use tracing::warn;

use crate::answer::{Refused, nothing, ok};
use crate::{Webhook, header};

/// How long the answer to a command may take. Slack waits for three seconds, the way there and back included.
const ANSWERED: Duration = Duration::from_millis(2_500);
/// How long a pressed button's decision may take, so that there is time left for the post that tells of the decision.
const DECIDED: Duration = Duration::from_millis(1_800);

impl Webhook {
    /// Answers a slash command.
    pub(crate) async fn slack_command(
        &self,
        request: &Request<Vec<u8>>,
        now: DateTime<Utc>,
    ) -> Result<Response<String>, Refused> {
        let answered_at = Instant::now() + ANSWERED;
        let sent_at = self.slack_signed(request, now).await?;
        if is_ssl_check(request.body()) {
            return Ok(nothing(StatusCode::OK));
        }
        let slash = Slash::parse(request.body()).map_err(Refused::malformed)?;
        self.admit(&slash.origin, now)?;
        let answered = async {
            let delivery = Delivery::new(request.body(), Some(sent_at), now);
            match &slash.command {
                Command::Help => Ok(replies::help()),
                Command::Unknown => Ok(replies::unknown()),
                Command::UnknownOption(option) => Ok(replies::unknown_option(option)),
                Command::Plan => self.plan(&slash.origin, now).await,
                Command::Status(name) => self.status(&slash.origin, name.as_ref()).await,
                Command::Rotate { name, reason, revoke_old } => {
                    let (credential, reason) = (name.clone(), reason.clone());
                    let wanted = Rotate { credential, reason, revoke_old: *revoke_old };
                    self.slack_rotate(&slash.origin, wanted, &delivery, now).await
                }
            }
        };
        let answered = tokio::time::timeout_at(answered_at, answered).await;
        match answered.unwrap_or_else(|_| Ok(replies::late(&slash.command))) {
            Ok(message) => Ok(ok(StatusCode::OK, &message)),
            // No person sends a request a second time.
            Err(refused @ Refused::Conflict { rotation: Some(_), .. }) => Err(refused),
            Err(refused) => Ok(ok(StatusCode::OK, &replies::refused(&refused))),
        }
    }

    async fn slack_rotate(
        &self,
        origin: &SlackOrigin,
        wanted: Rotate,
        delivery: &Delivery,
        now: DateTime<Utc>,
    ) -> Result<Value, Refused> {
        let manifest = self.requests.manifest().await?;
        let caller = origin.caller();
        let Some(managed) = manifest.by_name(&wanted.credential) else {
            return Ok(replies::not_yours(&wanted.credential));
        };
        let credential = &managed.credential;
        let decision = decide(&caller, &credential.settings.allow, credential.settings.approval);
        if matches!(decision, Decision::Refuse(_)) {
            return Ok(replies::not_yours(&wanted.credential));
        }
        // Slack does not number its requests, but no two of them have the same `trigger_id` in their body.
        let id = request_id("slack", &delivery.body);
        // A question is done once it is asked. The rotation is marked when its approval begins the rotation.
        let mark = if decision == Decision::Ask { asked_mark(id) } else { id };
        if self.verdict("slack", id, mark, delivery).await? != Verdict::GoOn {
            return Err(Refused::replayed(Some(id)));
        }
        let asked = Requested {
            slack: Some(origin.clone()),
            ..self.requested(id, &managed, &caller, wanted, now).await?
        };
        if decision == Decision::Ask {
            let (team, user) = (origin.team.clone(), origin.user.clone());
            let awaiting = Awaiting { requested: asked, team, user };
            self.requests.await_approval(&awaiting, now).await?;
            return Ok(replies::asking(&awaiting.requested, &origin.user));
        }
        let asked = self.requests.begin(credential, asked, now).await?;
        Ok(replies::begun(&asked))
    }

    /// Carries out the decision of a pressed button, and posts what came of the decision.
    pub(crate) async fn slack_interaction(
        &self,
        request: &Request<Vec<u8>>,
        now: DateTime<Utc>,
    ) -> Result<Response<String>, Refused> {
        let came = Instant::now();
        self.slack_signed(request, now).await?;
        let pressed = Pressed::parse(request.body()).map_err(Refused::malformed)?;
        self.admit(&pressed.origin, now)?;
        let decided = self.requests.decide(&pressed, now);
        let message = match tokio::time::timeout_at(came + DECIDED, decided).await {
            Ok(Ok(answer)) => replies::decided(&pressed, &answer),
            Ok(Err(failure)) => replies::refused(&failure.into()),
            Err(_) => replies::press_again(),
        };
        self.post(&pressed.origin, &message, came + ANSWERED).await;
        Ok(nothing(StatusCode::OK))
    }

    async fn slack_signed(
        &self,
        request: &Request<Vec<u8>>,
        now: DateTime<Utc>,
    ) -> Result<DateTime<Utc>, Refused> {
        let timestamp = header(request, "x-slack-request-timestamp");
        let signature = header(request, "x-slack-signature");
        let verify = |keys: &Keys| {
            let key = keys.slack.as_ref().ok_or(Unsigned)?;
            verify_slack(key, timestamp, signature, request.body(), now)
        };
        self.keys.verify(verify).await
    }

    /// Refuses a `response_url` that does not lead to Slack, and counts the request against the caller's rate.
    ///
    /// Whoever reads the request later posts to the `response_url` as well.
    fn admit(&self, origin: &SlackOrigin, now: DateTime<Utc>) -> Result<(), Refused> {
        if response_url(&origin.response_url, self.loopback).is_none() {
            return Err(Refused::Malformed("the response_url does not lead to Slack".to_owned()));
        }
        self.rate_limit.count(&origin.caller().to_string(), now)
    }

    /// Posts a message. A message that does not arrive changes nothing about what was done.
    async fn post(&self, origin: &SlackOrigin, message: &Value, until: Instant) {
        let Some(url) = response_url(&origin.response_url, self.loopback) else { return };
        let left = until.saturating_duration_since(Instant::now());
        let request = self.http.request(reqwest::Method::POST, url).timeout(left).json(message);
        let sent = match request.build() {
            Ok(request) => self.http.send(request).await.map_err(|failure| failure.to_string()),
            Err(_) => Err("the post cannot be built".to_owned()),
        };
        match sent {
            Ok(answer) if answer.status.is_success() => {}
            Ok(answer) => warn!(status = answer.status.as_u16(), "Slack did not take an answer"),
            Err(failure) => warn!(failure, "Slack did not take an answer"),
        }
    }
}
