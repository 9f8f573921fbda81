mod examples;

use proptest::prelude::*;

use super::*;

fn facts() -> Facts {
    Facts {
        cloud: Cloud::Public,
        tenant: "72f988bf-86f1-41af-91ab-2d7cd011db48".parse().expect("id"),
        application: "408bf248-dd4e-4be5-919a-7f6207a307ab".parse().expect("id"),
        subscription: Some("5f9b1a52-0c0e-4c8f-8f3a-3f2f0a3d9c11".parse().expect("id")),
        key_id: "0f5a3c1e-7f0b-4b1d-a1de-6f3a9f4c2b77".parse().expect("id"),
        expires_on: "2026-11-21T09:30:00.123Z".parse().expect("time"),
    }
}

fn template(text: &str) -> Format {
    Format::Template(text.parse().expect("template"))
}

fn formats() -> Vec<Format> {
    vec![
        Format::default(),
        json_as([None, Some("a\"b"), Some("password"), None, None]),
        json_as([None, None, Some("key_id"), Some("client_secret"), None]),
        Format::SdkAuth,
        Format::Env,
        Format::Dstack,
        Format::Raw,
        template("{client_secret}"),
        template(
            "{{{tenant_id}}}:{client_id}\n{client_secret}é{key_id}{expires_on}{subscription_id}}}",
        ),
    ]
}

fn json_as(names: [Option<&str>; 5]) -> Format {
    Format::Json(FieldNames::new(names.map(|name| name.map(ToOwned::to_owned))).expect("names"))
}

fn render(format: &Format, secret: &str) -> String {
    let secret = SecretText::new(secret.to_owned());
    format.render(&facts(), &secret, &Foreign::default()).expect("value").expose().to_owned()
}

fn read(format: &Format, value: &str) -> Result<String, FormatError> {
    format
        .client_secret(&SecretText::new(value.to_owned()))
        .map(|secret| secret.expose().to_owned())
}

fn read_back(format: &Format, value: &str, facts: &Facts) -> Result<String, FormatError> {
    format
        .read_back(&SecretText::new(value.to_owned()), facts, &Foreign::default())
        .map(|secret| secret.expose().to_owned())
}

/// Formats that are near to each other besides: one text could pass for the other's.
fn lookalikes() -> Vec<Format> {
    let texts = [
        "{tenant_id}:{client_secret}",
        "{client_id}:{client_secret}",
        "{client_secret} ",
        "{client_secret}\n",
        "'{client_secret}'",
        "{{\"client_secret\":\"{client_secret}\"}}",
        "{{\"client_id\":\"{client_id}\",\"client_secret\":\"{client_secret}\",\"tenant_id\":\"{tenant_id}\"}}",
        "{{\"clientId\":\"{client_id}\",\"clientSecret\":\"{client_secret}\",\"tenantId\":\"{tenant_id}\"}}",
        "AZURE_CLIENT_ID={client_id}\nAZURE_CLIENT_SECRET={client_secret}\n",
        "AZURE_CLIENT_SECRET={client_secret}\nAZURE_TENANT_ID={tenant_id}\n",
        "{client_secret};until={expires_on}",
        "{client_secret};until={key_id}",
    ];
    formats().into_iter().chain(texts.map(template)).collect()
}

/// What Graph's secrets look like.
fn minted() -> impl Strategy<Value = String> {
    "[A-Za-z0-9]{3}[0-9]Q~[A-Za-z0-9~._-]{34}"
}

/// Texts that trip quoting, and any others.
fn secrets() -> impl Strategy<Value = String> {
    prop_oneof![
        "[A-Za-z0-9~._-]{40}",
        r#"['"$`\\{}~#:=! \n\r\ta-c]{1,24}"#,
        any::<String>().prop_filter("not empty", |text| !text.is_empty()),
        Just("AZURE_CLIENT_SECRET=x\nAZURE_CLIENT_SECRET='y'".to_owned()),
        Just("{client_secret}{key_id}".to_owned()),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(secret in secrets()) {
        for format in formats() {
            for cloud in [Cloud::Public, Cloud::UsGovernment, Cloud::China] {
                let text = SecretText::new(secret.clone());
                let facts = Facts { cloud, ..facts() };
                let value = format.render(&facts, &text, &Foreign::default()).expect("value");
                let back = format.client_secret(&value).expect("secret");
                prop_assert_eq!(back.expose(), secret.as_str(), "{}", format);
            }
        }
    }

    /// A version left over from before the manifest changed is not taken for one of the new format.
    #[test]
    fn no_format_reads_what_another_wrote(secret in minted()) {
        for one in lookalikes() {
            let value = render(&one, &secret);
            for other in lookalikes() {
                let read = read_back(&other, &value, &facts());
                if render(&other, &secret) == value {
                    prop_assert_eq!(read, Ok(secret.clone()), "{:?}", other);
                } else {
                    prop_assert!(read.is_err(), "{other:?} reads what {one:?} wrote: {value}");
                }
            }
        }
    }

    /// When the key expires only the try knew that minted it.
    #[test]
    fn what_was_minted_is_read_back_whenever_it_expires(secret in minted(), at in 0..4_000_000_000_i64) {
        let facts = Facts { expires_on: DateTime::from_timestamp(at, 0).expect("time"), ..facts() };
        for format in lookalikes() {
            prop_assert_eq!(read_back(&format, &render(&format, &secret), &facts), Ok(secret.clone()));
        }
    }

    #[test]
    fn json_says_what_json_parsers_read(secret in secrets()) {
        for (format, field) in [
            (Format::default(), "client_secret"),
            (Format::SdkAuth, "clientSecret"),
            (Format::Dstack, "client_secret"),
        ] {
            let value: serde_json::Value = serde_json::from_str(&render(&format, &secret)).expect("JSON");
            prop_assert_eq!(value[field].as_str(), Some(secret.as_str()));
        }
    }

    /// `docker --env-file` takes all that stands behind the `=` for the value.
    #[test]
    fn env_quotes_nothing_that_graph_mints(secret in "~?[A-Za-z0-9~._-]{39}") {
        let value = render(&Format::Env, &secret);
        for prefix in ["AZURE", "ARM"] {
            let name = format!("{prefix}_CLIENT_SECRET");
            let line = value.lines().find_map(|line| line.split_once('=').filter(|(found, _)| *found == name));
            prop_assert_eq!(line.map(|(_, text)| text), Some(secret.as_str()));
        }
    }

    /// Versions of an earlier Keywheel, which quoted a `~` at the beginning.
    #[test]
    fn env_reads_a_quoted_tilde_back(secret in "~[A-Za-z0-9~._-]{39}") {
        let bare = render(&Format::Env, &secret);
        let quoted = bare.replace(&format!("SECRET={secret}\n"), &format!("SECRET='{secret}'\n"));
        prop_assert_ne!(&quoted, &bare);
        prop_assert_eq!(read(&Format::Env, &quoted), Ok(secret.clone()));
        prop_assert_eq!(read_back(&Format::Env, &quoted, &facts()), Ok(secret.clone()));
        let other = Facts { subscription: None, ..facts() };
        prop_assert!(read_back(&Format::Env, &quoted, &other).is_err());
    }

    #[test]
    fn dstack_reads_its_creds_as_yaml(secret in secrets()) {
        let value: std::collections::BTreeMap<String, String> =
            serde_saphyr::from_str(&render(&Format::Dstack, &secret)).expect("YAML");
        prop_assert_eq!(&value["client_secret"], &secret);
    }

    #[test]
    fn an_error_says_nothing_of_the_value(secret in "[A-Za-z0-9~._-]{12,40}") {
        for format in formats().into_iter().filter(|format| *format != Format::Raw) {
            for value in [secret.clone(), format!("{{\"client_secret\": {secret}"), format!("AZURE_CLIENT_SECRET='{secret}")] {
                if let Err(error) = read(&format, &value) {
                    let told = format!("{error} {error:?}");
                    prop_assert!(!told.contains(&secret));
                }
            }
        }
    }

    #[test]
    fn values_of_others_do_not_panic(value in any::<String>()) {
        for format in formats() {
            let _ = read(&format, &value);
        }
    }

    #[test]
    fn templates_parse_or_refuse(text in r"(\{|\}|client_secret|\{client_secret\}|\{key_id\}|a|é){0,9}", secret in secrets()) {
        if let Ok(template) = text.parse::<Template>() {
            let format = Format::Template(template);
            prop_assert_eq!(read(&format, &render(&format, &secret)).expect("secret"), secret);
        }
    }
}
