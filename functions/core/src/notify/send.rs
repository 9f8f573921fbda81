//! The senders. Each sends one request, and the queue repeats what failed.

use std::time::Duration;

use aws_sdk_sns::types::MessageAttributeValue;
use chrono::{DateTime, Utc};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, Request, StatusCode, Url};
use serde_json::Value;

use super::NotifyError;
use super::sns::Mail;
use super::webhook::signatures;
use crate::http::aws::AwsFailure;
use crate::http::{Answer, Http, Retry, SendError, is_loopback, retry_after};
use crate::secret::SecretText;
use crate::signing_key::SigningKey;
use crate::slack;

/// The longest time in which a receiver must answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most bytes of an answer that are read: Slack's reasons are a word or two.
const MOST: usize = 1024;

/// Posts to Slack and to receivers of webhooks.
#[derive(Clone, Debug)]
pub(super) struct Sender {
    pub(super) http: Http,
    /// Whether, for tests, loopback addresses stand for Slack and for receivers.
    pub(super) loopback: bool,
}

impl Sender {
    /// Posts a message to an incoming webhook or a `response_url`.
    pub(super) async fn slack(
        &self,
        target: &str,
        url: &SecretText,
        message: &Value,
        now: DateTime<Utc>,
    ) -> Result<(), NotifyError> {
        let url = self.slack_address(target, url)?;
        let request = self.http.request(Method::POST, url).timeout(PATIENCE).json(message);
        let answer = self.post(target, request.build()).await?;
        if answer.status.is_success() {
            return Ok(());
        }
        // Any other status lasts: the webhook was removed, the channel archived, or the message is not valid.
        let passes =
            answer.status == StatusCode::TOO_MANY_REQUESTS || answer.status.is_server_error();
        let retry = if passes { later(&answer, now) } else { Retry::Never };
        // Slack's reasons are words such as `no_service`. Any other text may be a page that quotes the request.
        let said = String::from_utf8_lossy(&answer.body);
        let is_reason =
            said.len() <= 64 && said.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        let said = if is_reason { said.into_owned() } else { String::new() };
        Err(NotifyError::Refused { target: target.to_owned(), status: answer.status, said, retry })
    }

    fn slack_address(&self, target: &str, url: &SecretText) -> Result<Url, NotifyError> {
        let refused = |why| NotifyError::Address { target: target.to_owned(), why };
        let url: Url = url.expose().trim().parse().map_err(|_| refused("the text is no URL"))?;
        if slack::takes_messages(&url, self.loopback) {
            Ok(url)
        } else {
            Err(refused(
                "messages go to https://hooks.slack.com or https://hooks.slack-gov.com only",
            ))
        }
    }

    /// Sends an event unchanged as a signed webhook, under the event's id.
    pub(super) async fn webhook(
        &self,
        target: &str,
        url: &Url,
        keys: &[SigningKey],
        (id, event): (&str, &Value),
        now: DateTime<Utc>,
    ) -> Result<(), NotifyError> {
        if url.scheme() != "https" && !(self.loopback && is_loopback(url)) {
            let why = "webhooks are sent over https only";
            return Err(NotifyError::Address { target: target.to_owned(), why });
        }
        let (body, timestamp) = (event.to_string(), now.timestamp());
        let request = self
            .http
            .request(Method::POST, url.clone())
            .timeout(PATIENCE)
            .header(CONTENT_TYPE, "application/cloudevents+json; charset=utf-8")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signatures(keys, id, timestamp, &body))
            .body(body);
        let answer = self.post(target, request.build()).await?;
        if answer.status.is_success() {
            return Ok(());
        }
        // Standard Webhooks: after 410 never again, after any other failure later. A redirect is not followed.
        let gone = answer.status == StatusCode::GONE;
        let retry = if gone { Retry::Never } else { later(&answer, now) };
        let target = target.to_owned();
        Err(NotifyError::Refused { target, status: answer.status, said: String::new(), retry })
    }

    async fn post(
        &self,
        target: &str,
        request: Result<Request, reqwest::Error>,
    ) -> Result<Answer, NotifyError> {
        let failed = |failure| NotifyError::Send { target: target.to_owned(), failure };
        let request = request.map_err(|error| failed(SendError::from(error)))?;
        self.http.tell(request, MOST).await.map_err(failed)
    }
}

fn later(answer: &Answer, now: DateTime<Utc>) -> Retry {
    retry_after(&answer.headers, now).map_or(Retry::Soon, Retry::After)
}

/// Publishes a mail to a topic (`Publish`).
pub(super) async fn publish(
    client: &aws_sdk_sns::Client,
    topic: &str,
    Mail { subject, message }: &Mail,
    kind: &str,
) -> Result<(), NotifyError> {
    // Filter policies of subscriptions choose by this attribute.
    let kind = MessageAttributeValue::builder().data_type("String").string_value(kind).build();
    let failed = |failure| NotifyError::Sns { topic: topic.to_owned(), failure };
    let kind = kind.map_err(|error| {
        let (code, request_id, retry) = (None, None, Retry::Never);
        failed(AwsFailure { code, message: error.to_string(), request_id, retry })
    })?;
    let request = client
        .publish()
        .topic_arn(topic)
        .subject(subject)
        .message(message)
        .message_attributes("type", kind);
    request.send().await.map(drop).map_err(|error| failed(AwsFailure::new(&error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slack_is_reached_at_slack() {
        let sender = |loopback| Sender { http: Http::with_roots(b"").unwrap(), loopback };
        let allowed = |loopback, url: &str| {
            let url = SecretText::new(url.to_owned());
            sender(loopback).slack_address("Slack", &url).is_ok()
        };
        assert!(allowed(false, "https://hooks.slack.com/services/T0/B0/x"));
        assert!(allowed(true, "http://127.0.0.1:8080/slack"));
        for bad in [
            "http://127.0.0.1:8080/slack",
            "http://hooks.slack.com/services/x",
            "https://hooks.slack.com:8443/services/x",
            "https://hooks.slack.com.example.com/",
            "https://hooks.slack.com@example.com/",
            "https://169.254.169.254/",
            "no url",
        ] {
            assert!(!allowed(false, bad), "{bad}");
        }
        for bad in
            ["http://169.254.169.254/", "http://localhost.example.com/", "https://127.0.0.1/"]
        {
            assert!(!allowed(true, bad), "{bad}");
        }
    }
}
