//! Findings about the webhook itself, and no credential.

use chrono::{DateTime, Utc};
use http::Request;
use keywheel_core::events::{CloudEvent, EventData, EventType, FindingKind, event_id};
use keywheel_core::ids::{AppId, CredentialName};
use keywheel_core::sha256;
use uuid::Uuid;

use crate::answer::Refused;
use crate::{Webhook, route_name};

/// The subject of the findings.
const SUBJECT: &str = "webhook";

impl Webhook {
    /// Reports a signed request that cannot be read, and gives the answer to the request. The same request counts once.
    ///
    /// Whoever signed may ask, and the sender may not look at the answer.
    pub(crate) async fn unreadable(
        &self,
        request: &Request<Vec<u8>>,
        detail: String,
        now: DateTime<Utc>,
    ) -> Refused {
        let route = route_name(request.uri().path());
        let why = format!(
            "a request to /{route} was signed right and could not be read: {detail}; nothing was done about the request. \
             Mend what the sender sends, and send the request again"
        );
        let once = format!("{route} {}", sha256::hexadecimal(request.body()));
        match self.report(FindingKind::RequestUnreadable, &once, &why, now).await {
            Ok(()) => Refused::Malformed(detail),
            Err(refused) => refused,
        }
    }

    /// Reports, once a day, which entries of the webhook secret cannot be used.
    ///
    /// A failure to report is in the log, and the report comes again when the secret is read again. The failure is no
    /// reason to refuse a request that another entry signed.
    pub(crate) async fn report_unusable_keys(&self, now: DateTime<Utc>) {
        let names = self.keys.take_untold();
        if names.is_empty() {
            return;
        }
        let why = format!(
            "the webhook secret's {} cannot be used, and every request signed with it is refused: a webhook's key is \
             `whsec_` and base64 of 24 to 64 bytes, Slack's and GitHub's secrets have 16 characters or more; mend the secret",
            names.join(", ")
        );
        let once = format!("{why} {}", now.date_naive());
        let _logged = self.report(FindingKind::WebhookKeyUnusable, &once, &why, now).await;
    }

    /// Reports a finding. Findings with the same `once` count once.
    async fn report(
        &self,
        finding: FindingKind,
        once: &str,
        why: &str,
        now: DateTime<Utc>,
    ) -> Result<(), Refused> {
        let kind = EventType::Finding(finding);
        let id = event_id(once, &kind.to_string(), None);
        let mut data = EventData::of(CredentialName(SUBJECT.to_owned()), AppId(Uuid::nil()));
        data.reason = Some(why.to_owned());
        Ok(self.requests.put_event(CloudEvent::new(id, kind, now, data)).await?)
    }
}
