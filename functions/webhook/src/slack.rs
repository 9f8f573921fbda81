//! Slack: a typed command is answered in its own answer, a pressed button by a post to its `response_url`.
//!
//! Once a request is signed, whatever comes of it is told with status 200: of any other Slack shows the person
//! nothing but that the app failed.

use std::time::Duration;

use chrono::{DateTime, Utc};
use http::{Request, Response, StatusCode};
use keywheel_core::asking::approval::asked_mark;
use keywheel_core::ids::CredentialName;
use keywheel_core::queue::RevokeOld;
use keywheel_core::request::delivery::{
    Awaiting, Delivery, Requested, SCHEMA, SlackOrigin, Verdict,
};
use keywheel_core::request::permission::{Decision, decide};
use keywheel_core::request::request_id;
use keywheel_core::request::signature::{Unsigned, verify_slack};
use keywheel_core::request::slack::{Command, Pressed, Slash, is_ssl_check, response_url};
use serde_json::Value;
use tokio::time::Instant;
use tracing::warn;

use crate::answer::{Refused, nothing, ok};
use crate::rotate::replayed;
use crate::{Webhook, header, replies};

/// Slack waits for three seconds, on the way there and back included. A command is answered by then,
const ANSWERED: Duration = Duration::from_millis(2_500);
/// and what a button leads to is done by then, so that there is time left for the post that tells of it.
const DECIDED: Duration = Duration::from_millis(1_800);

impl Webhook {
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
        let slash = Slash::parse(request.body())
            .map_err(|malformed| Refused::Malformed(malformed.to_string()))?;
        self.permitted(&slash.origin)?;
        self.count(&slash.origin, now)?;
        let answered = async {
            let delivery = Delivery::new(request.body(), Some(sent_at), now);
            match &slash.command {
                Command::Help => Ok(replies::help()),
                Command::Unknown => Ok(replies::unknown()),
                Command::UnknownOption(option) => Ok(replies::unknown_option(option)),
                Command::Plan => self.plan(&slash.origin, now).await,
                Command::Status(name) => self.status(&slash.origin, name.as_ref()).await,
                Command::Rotate { name, reason, revoke_old } => {
                    let wanted = Wanted { name, reason: reason.clone(), revoke_old: *revoke_old };
                    self.slack_rotate(&slash.origin, wanted, &delivery, now).await
                }
            }
        };
        let answered = tokio::time::timeout_at(answered_at, answered).await;
        match answered.unwrap_or_else(|_| Ok(replies::late(&slash.command))) {
            Ok(message) => Ok(ok(StatusCode::OK, &message)),
            // A sending that is replayed is not a person's.
            Err(refused @ Refused::Conflict { rotation: Some(_), .. }) => Err(refused),
            Err(refused) => Ok(ok(StatusCode::OK, &replies::refused(&refused))),
        }
    }

    async fn slack_rotate(
        &self,
        origin: &SlackOrigin,
        wanted: Wanted<'_>,
        delivery: &Delivery,
        now: DateTime<Utc>,
    ) -> Result<Value, Refused> {
        let manifest = self.manifest().await?;
        let caller = origin.caller();
        let Some(managed) = manifest.by_name(wanted.name) else {
            return Ok(replies::not_yours(wanted.name));
        };
        let credential = &managed.credential;
        let decision = decide(&caller, &credential.settings.allow, credential.settings.approval);
        if matches!(decision, Decision::Refuse(_)) {
            return Ok(replies::not_yours(wanted.name));
        }
        // Slack does not number what it sends; no two people's forms have one `trigger_id`.
        let id = request_id("slack", &delivery.body);
        // A question is done once it is asked; the rotation is marked when its approval begins it.
        let mark = if decision == Decision::Ask { asked_mark(id) } else { id };
        match self.verdict_marked("slack", id, mark, delivery).await? {
            Verdict::GoOn => {}
            _ => return Err(replayed(Some(id))),
        }
        let asked = Requested {
            schema: SCHEMA,
            request: id,
            credential: credential.name.clone(),
            application: credential.application,
            requested_by: caller.to_string(),
            reason: wanted.reason,
            revoke_old: wanted.revoke_old,
            requested_at: now,
            replaces: self.requests.replaced(&managed).await?,
            approved_by: None,
            approved_at: None,
            slack: Some(origin.clone()),
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

    pub(crate) async fn slack_interaction(
        &self,
        request: &Request<Vec<u8>>,
        now: DateTime<Utc>,
    ) -> Result<Response<String>, Refused> {
        let came = Instant::now();
        self.slack_signed(request, now).await?;
        let pressed = Pressed::parse(request.body())
            .map_err(|malformed| Refused::Malformed(malformed.to_string()))?;
        self.permitted(&pressed.origin)?;
        self.count(&pressed.origin, now)?;
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
        let verify = |keys: &keywheel_core::request::keys::Keys| {
            let key = keys.slack.as_ref().ok_or(Unsigned)?;
            verify_slack(key, timestamp, signature, request.body(), now)
        };
        self.keys.verify(verify).await
    }

    fn count(&self, origin: &SlackOrigin, now: DateTime<Utc>) -> Result<(), Refused> {
        self.limiter.count(&origin.caller().to_string(), now).map_err(Refused::TooOften)
    }

    /// Nothing that Slack itself would not send is posted to, now or by anybody who reads the request later.
    fn permitted(&self, origin: &SlackOrigin) -> Result<(), Refused> {
        let elsewhere = || Refused::Malformed("the response_url does not lead to Slack".to_owned());
        response_url(&origin.response_url, self.loopback).map(drop).ok_or_else(elsewhere)
    }

    /// Posts a message. That it did not arrive changes nothing about what was done.
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

struct Wanted<'a> {
    name: &'a CredentialName,
    reason: Option<String>,
    revoke_old: RevokeOld,
}
