//! The parsers of what anybody may send to the webhook function, and of its keys.

use keywheel_core::request::delivery::{Delivery, Requested};
use keywheel_core::request::github::{Alert, Sent};
use keywheel_core::request::keys::Keys;
use keywheel_core::request::request_id;
use keywheel_core::request::signature::{Message, verify_github, verify_slack, verify_webhook};
use keywheel_core::request::slack::{Command, Pressed, Slash, escaped, response_url};
use keywheel_core::request::webhook::{Rotate, RotationPath};
use keywheel_core::secret::SecretText;
use keywheel_core::signing_key::SigningKey;
use proptest::prelude::*;
use serde_json::json;

use crate::material::{
    SECRET, bytes, config, error_tells_nothing, event, in_time, tells_nothing, text,
};

fn body(name: &str) -> String {
    let event: serde_json::Value = serde_json::from_str(&event(name)).unwrap();
    event["body"].as_str().unwrap().to_owned()
}

fn forms() -> Vec<String> {
    vec![
        "team_id=T1&channel_id=C1&user_id=U1&text=rotate+monk+why+--now&response_url=https%3A%2F%2Fhooks.slack.com%2Fx".to_owned(),
        "payload=%7B%22type%22%3A%22block_actions%22%2C%22user%22%3A%7B%22id%22%3A%22U1%22%2C%22team_id%22%3A%22T1%22%7D%2C%22channel%22%3A%7B%22id%22%3A%22C1%22%7D%2C%22response_url%22%3A%22https%3A%2F%2Fhooks.slack.com%2Fx%22%2C%22actions%22%3A%5B%7B%22action_id%22%3A%22keywheel_approve%22%2C%22value%22%3A%2200000000-0000-0000-0000-000000000007%22%7D%5D%7D".to_owned(),
    ]
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn fuzz_slack_form(form in text(forms())) {
        let (slash, pressed) = in_time(|| (Slash::parse(form.as_bytes()), Pressed::parse(form.as_bytes())));
        for origin in slash.iter().map(|slash| &slash.origin).chain(pressed.iter().map(|pressed| &pressed.origin)) {
            let shown = format!("{origin:?}");
            prop_assert!(!shown.contains(&origin.response_url) || origin.response_url.len() < 12);
            if let Some(url) = response_url(&origin.response_url, false) {
                prop_assert_eq!((url.scheme(), url.host_str()), ("https", Some("hooks.slack.com")));
            }
        }
    }

    #[test]
    fn fuzz_slack_command(typed in text(vec!["rotate monk it leaked --now".to_owned(), "status monk".to_owned(), "plan".to_owned()])) {
        if let Command::Rotate { name, reason, .. } = in_time(|| Command::parse(&typed)) {
            prop_assert!((1..=512).contains(&name.0.chars().count()));
            prop_assert!(reason.is_none_or(|reason| (1..=500).contains(&reason.chars().count())));
        }
        let shown = escaped(&typed);
        prop_assert!(!shown.contains(['<', '>', '`']) && !shown.contains(char::is_control));
    }

    #[test]
    fn fuzz_rotate(sent in text(vec![body("webhook-rotate.json"), json!({ "credential": SECRET, "revoke_old": SECRET }).to_string()])) {
        match in_time(|| Rotate::parse(sent.as_bytes())) {
            Ok(rotate) => prop_assert!((1..=512).contains(&rotate.credential.0.chars().count())),
            Err(error) => error_tells_nothing(&error),
        }
    }

    #[test]
    fn fuzz_rotation_path(rest in text(vec!["monk/00000000-0000-0000-0000-0000000000ab".to_owned()])) {
        if let Some(path) = in_time(|| RotationPath::parse(&rest)) {
            prop_assert_eq!(path.signed(), format!("/rotations/{rest}"));
        }
    }

    #[test]
    fn fuzz_github(sent in text(vec![body("webhook-github.json")])) {
        if let Ok(Sent::Leak(alert)) = in_time(|| Sent::parse("secret_scanning_alert", sent.as_bytes())) {
            let base: reqwest::Url = "https://api.github.com/".parse().unwrap();
            let url = base.join(&alert.path()).unwrap();
            prop_assert_eq!(url.host_str(), Some("api.github.com"));
            prop_assert!(url.path().starts_with("/repos/") && url.query().is_none(), "{}", url);
        }
        let _ = Alert::secret(sent.as_bytes());
    }

    #[test]
    fn fuzz_keys(kept in text(vec![
        json!({ "slack_signing_secret": SECRET, "webhook_keys": { "ci": [SECRET] }, "github_token": SECRET }).to_string(),
        json!({ "webhook_keys": { "ci": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"] }, "github_webhook_secret": SECRET }).to_string(),
    ])) {
        match in_time(|| Keys::parse(&SecretText::new(kept))) {
            Ok(keys) => tells_nothing(&keys),
            Err(error) => error_tells_nothing(&error),
        }
    }

    #[test]
    fn fuzz_signature(
        (id, time, code) in (".{0,40}", ".{0,20}", ".{0,90}"),
        sent in bytes(forms()),
    ) {
        let now = "2026-11-21T09:00:00Z".parse().unwrap();
        let key = || SigningKey::of_text(SECRET);
        prop_assert!(verify_slack(&key(), &time, &code, &sent, now).is_err());
        let message = Message { id: &id, timestamp: &time, signatures: &code, body: &sent };
        prop_assert!(verify_webhook(&[key(), key()], message, now).is_err());
        prop_assert!(verify_github(&key(), &code, &sent).is_err());
        prop_assert_eq!(request_id(&id, &time), request_id(&id, &time));
    }

    #[test]
    fn fuzz_state(kept in text(vec![
        json!({ "schema": 1, "body": "ab", "sent_at": null, "received_at": "2026-11-21T09:00:00Z" }).to_string(),
        json!({ "schema": 1, "request": "00000000-0000-0000-0000-0000000000ab", "credential": "monk", "application": "00000000-0000-0000-0000-0000000000ac", "requested_by": "webhook:ci", "revoke_old": "now", "requested_at": "2026-11-21T09:00:00Z", "replaces": null }).to_string(),
    ])) {
        in_time(|| {
            let _ = serde_json::from_str::<Delivery>(&kept);
            let _ = serde_json::from_str::<Requested>(&kept);
        });
    }
}
