use base64::engine::general_purpose::STANDARD;
use chrono::DateTime;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::identity::Cloud;
use crate::rotation::Label;
use crate::value::{Facts, Foreign};

const MINTED: &str = "abC8Q~xY_z.0123456789-abcdefghijABCDEFGH";

fn event(action: &str, owner: &str, name: &str) -> String {
    serde_json::json!({
        "action": action,
        "alert": { "number": 42, "url": "https://evil.example/", "secret_type": "azure" },
        "repository": { "name": name, "owner": { "login": owner }, "full_name": "x/y" },
    })
    .to_string()
}

#[test]
fn a_form_holds_the_same_event_as_json() {
    let json = event("created", "octo-org", "app.js");
    let form =
        form_urlencoded::Serializer::new(String::new()).append_pair("payload", &json).finish();
    let read = |body: &str| Sent::parse("secret_scanning_alert", body.as_bytes());
    assert_eq!(read(&form), read(&json));
    assert!(matches!(read(&form), Ok(Sent::Leak(_))));
    for bad in ["payload=", "payload=%7B", "other=%7B%7D", "payload=%5B%5D"] {
        assert_eq!(read(bad), Err(NotGitHub), "{bad}");
    }
}

#[test]
fn only_a_leak_is_a_leak() {
    let read = |action| {
        Sent::parse("secret_scanning_alert", event(action, "octo-org", "app.js").as_bytes())
    };
    for action in ["created", "reopened", "publicly_leaked"] {
        let Ok(Sent::Leak(alert)) = read(action) else { panic!("{action}") };
        assert_eq!(alert.path(), "repos/octo-org/app.js/secret-scanning/alerts/42");
    }
    assert_eq!(read("resolved"), Ok(Sent::Other));
    assert_eq!(Sent::parse("ping", b"{\"zen\":\"x\"}"), Ok(Sent::Other));
    assert_eq!(Sent::parse("secret_scanning_alert", b"{}"), Err(NotGitHub));
    assert_eq!(Sent::parse("ping", b"[]"), Err(NotGitHub));
}

#[test]
fn a_repository_cannot_lead_elsewhere() {
    for (owner, name) in
        [("..", "x"), ("a/b", "x"), ("a", "../x"), ("a", "x?y"), ("", "x"), ("a", "")]
    {
        let event = event("created", owner, name);
        let read = Sent::parse("secret_scanning_alert", event.as_bytes());
        assert_eq!(read, Err(NotGitHub), "{owner} {name}");
    }
}

#[test]
fn texts_are_the_same_or_not() {
    assert!(same("abc", "abc"));
    for other in ["abd", "ab", "abcd", "", " abc", "ABC"] {
        assert!(!same("abc", other), "{other}");
    }
    assert_eq!(Alert::secret(br#"{"secret":"x","number":1}"#).unwrap().expose(), "x");
    assert!(Alert::secret(br#"{"number":1}"#).is_none());
    assert!(Alert::secret(br#"{"secret":""}"#).is_none());
}

#[test]
fn a_version_in_use_is_replaced_and_a_past_one_retired() {
    let key = |number| KeyId(Uuid::from_u128(number));
    let since = |seconds| Label::Since(DateTime::from_timestamp(seconds, 0).unwrap());
    let mut view = SecretView::default();
    for (version, labels) in [
        ("current", vec![Label::Current, Label::Key(key(1)), since(20)]),
        ("past", vec![Label::Previous, Label::Key(key(2)), since(10)]),
        ("pending", vec![Label::Pending, Label::Key(key(3))]),
        ("by hand", vec![Label::Previous]),
    ] {
        view.versions.insert(VersionId(version.to_owned()), labels.into_iter().collect());
    }
    let live = working_versions(&SecretState::Present(view), TimeDelta::days(1));
    let cures: Vec<_> = live.iter().map(|one| (one.version.0.as_str(), one.response)).collect();
    assert_eq!(
        cures,
        [
            ("by hand", LeakResponse::ByHand),
            ("current", LeakResponse::Rotate),
            ("past", LeakResponse::Retire(key(2))),
            ("pending", LeakResponse::Rotate)
        ]
    );
}

fn text(text: &str) -> SecretText {
    SecretText::new(text.to_owned())
}

fn holds(value: &SecretText, format: &Format, leaked: &SecretText) -> bool {
    Leaked::new(leaked).is_in(value, format)
}

/// A secret that was made by hand does not look like Graph's. The whole secret counts, or the part after its name.
#[test]
fn a_secret_of_any_look_is_found_whole_or_after_its_name() {
    let raw = |leaked: &str| holds(&text("p?ss[w0rd=]@1\n"), &Format::Raw, &text(leaked));
    for leaked in ["p?ss[w0rd=]@1", "SECRET=p?ss[w0rd=]@1", "id: p?ss[w0rd=]@1\n"] {
        assert!(raw(leaked), "{leaked}");
    }
    for other in ["", "=", "p?ss", "1", "SECRET=", "p?ss[w0rd=]@2"] {
        assert!(!raw(other), "{other}");
    }
}

fn formats() -> Vec<Format> {
    let template = |text: &str| Format::Template(text.parse().unwrap());
    vec![
        Format::default(),
        Format::SdkAuth,
        Format::Env,
        Format::Dstack,
        Format::Raw,
        template("https://{client_id}:{client_secret}@example.com/{tenant_id}"),
        template("{{\"password\": \"{client_secret}\", \"until\": \"{expires_on}\"}}"),
    ]
}

/// Writes a secret in each format. Lists also the other parts of these values.
fn values(secret: &str) -> (Vec<SecretText>, [String; 5]) {
    let facts = Facts {
        cloud: Cloud::Public,
        tenant: "72f988bf-86f1-41af-91ab-2d7cd011db48".parse().unwrap(),
        application: "408bf248-dd4e-4be5-919a-7f6207a307ab".parse().unwrap(),
        subscription: Some("5f9b1a52-0c0e-4c8f-8f3a-3f2f0a3d9c11".parse().unwrap()),
        key_id: "0f5a3c1e-7f0b-4b1d-a1de-6f3a9f4c2b77".parse().unwrap(),
        expires_on: "2026-11-21T09:30:00Z".parse().unwrap(),
    };
    let render =
        |format: Format| format.render(&facts, &text(secret), &Foreign::default()).unwrap();
    let beside = [
        facts.tenant.to_string(),
        facts.application.to_string(),
        facts.key_id.to_string(),
        "https://login.microsoftonline.com".to_owned(),
        "2026-11-21T09:30:00Z".to_owned(),
    ];
    (formats().into_iter().map(render).collect(), beside)
}

/// Wraps a text as `base64` does on Linux.
fn wrapped(text: &str) -> String {
    let lines: Vec<&str> =
        text.as_bytes().chunks(76).map(|line| str::from_utf8(line).unwrap()).collect();
    lines.join("\n")
}

proptest! {
    #[test]
    fn a_secret_is_found_in_the_value_of_any_format_and_nothing_less_is(
        before in "[A-Za-z0-9._-]{3,20}",
        after in "[A-Za-z0-9~._-]{12,40}",
        more in "[A-Za-z0-9~_-]",
        cut in 1..15_usize,
    ) {
        let secret = format!("{before}~{after}");
        let less = [
            secret[cut..].to_owned(),
            secret[..secret.len() - cut].to_owned(),
            format!("{more}{secret}"),
            format!("{secret}{more}"),
        ];
        let id = "408bf248-dd4e-4be5-919a-7f6207a307ab";
        let reported = [
            secret.clone(),
            format!("{secret}\n"),
            format!("\"{secret}\""),
            format!("ARM_CLIENT_SECRET={secret}"),
            format!("{id}:{secret}"),
            format!("  client_secret: '{secret}', # prod"),
            STANDARD.encode(&secret),
            URL_SAFE_NO_PAD.encode(&secret),
            format!("client_secret={}&grant_type=x", secret.replace('~', "%7E")),
            format!("It was {secret}."),
            wrapped(&STANDARD.encode(format!("{id}{id}:{secret}"))),
            STANDARD.encode([b"\xff ".as_slice(), secret.as_bytes()].concat()),
            format!("Authorization: Basic {}", STANDARD.encode(format!("{id}:{secret}"))),
        ];
        let (values, beside) = values(&secret);
        for (value, format) in values.iter().flat_map(|value| formats().into_iter().map(move |format| (value, format))) {
            for leaked in &reported {
                prop_assert!(holds(value, &format, &text(leaked)), "{} in {} as {}", leaked, value.expose(), format);
            }
            let wrapped = format!("{{\"data\": {{\"value\": \"{}\"}}}}", STANDARD.encode(value.expose()));
            prop_assert!(holds(&text(&wrapped), &format, &text(&secret)), "{} as {}", wrapped, format);
            for other in less.iter().chain(&beside) {
                prop_assert!(!holds(value, &format, &text(other)), "{} in {} as {}", other, value.expose(), format);
            }
        }
    }
}

#[test]
fn what_stands_in_a_value_and_is_no_secret_of_graphs_is_not_found() {
    let value = text(&format!("{{\"user\": \"a-user-of-many-letters\", \"p\": \"{MINTED}\"}}"));
    assert!(holds(&value, &Format::default(), &text(MINTED)));
    for other in ["a-user-of-many-letters", "user", "p", "", "~", MINTED.trim_end_matches('H')] {
        assert!(!holds(&value, &Format::default(), &text(other)), "{other}");
    }
    // A secret that a person chose is found as the whole value, or as the secret that the format reads.
    assert!(holds(&text("hunter2"), &Format::default(), &text("hunter2")));
    assert!(holds(&text("{\"client_secret\":\"hunter2\"}"), &Format::default(), &text("hunter2")));
    assert!(!holds(&text("{\"password\":\"hunter2\"}"), &Format::default(), &text("hunter2")));
}
