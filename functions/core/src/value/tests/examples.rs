//! Values as they are written and read, one by one.

use super::*;

/// Where something else was written about the secret than would be now, it is not published for a whole life.
#[test]
fn what_other_facts_made_is_not_read_back() {
    let secret = "abc8Q~".to_owned() + &"x".repeat(34);
    let other = "11111111-2222-3333-4444-555555555555";
    let of = |format: &Format, facts: &Facts| read_back(format, &render(format, &secret), facts);
    let application = Facts { application: other.parse().expect("id"), ..facts() };
    let key = Facts { key_id: other.parse().expect("id"), ..facts() };
    let subscription = Facts { subscription: Some(other.parse().expect("id")), ..facts() };
    for (format, facts) in [
        (Format::default(), &application),
        (Format::default(), &key),
        (Format::Dstack, &application),
        (Format::Env, &subscription),
        (Format::SdkAuth, &subscription),
        (template("{key_id} {client_secret}"), &key),
    ] {
        assert!(of(&format, facts).is_err(), "{format}");
    }
    assert_eq!(of(&Format::default(), &subscription), Ok(secret.clone()), "it is not in it");
    let value = SecretText::new(render(&Format::Env, &secret));
    let china = Facts { cloud: Cloud::China, ..facts() };
    assert!(Format::Env.read_back(&value, &china, &Foreign::default()).is_err());
}

#[test]
fn a_bare_secret_is_one_that_graph_could_have_made() {
    let read = |value: &str| read_back(&Format::Raw, value, &facts());
    for size in [16, 40, 64] {
        assert!(read(&"x".repeat(size)).is_ok(), "{size}");
    }
    for other in [
        "x".repeat(15),
        "x".repeat(65),
        "abc8Q~ 1234567890123".into(),
        "abc8Q~é1234567890123".into(),
    ] {
        assert!(read(&other).is_err(), "{other}");
    }
}

#[test]
fn json_has_its_five_fields() {
    assert_eq!(
        render(&Format::default(), "s3~"),
        "{\"tenant_id\":\"72f988bf-86f1-41af-91ab-2d7cd011db48\",\
         \"client_id\":\"408bf248-dd4e-4be5-919a-7f6207a307ab\",\"client_secret\":\"s3~\",\
         \"key_id\":\"0f5a3c1e-7f0b-4b1d-a1de-6f3a9f4c2b77\",\"expires_on\":\"2026-11-21T09:30:00Z\"}"
    );
}

/// What others keep in the value stays, and a version is only published beside what it was made beside.
#[test]
fn json_keeps_the_keys_of_others() {
    let renamed = json_as([None, None, Some("password"), None, None]);
    let secret = SecretText::new("abc8Q~".to_owned() + &"x".repeat(34));
    let of = |format: &Format, value: &str| format.foreign(&SecretText::new(value.to_owned()));
    let before = r#"{"host":"db","client_secret":"old","password":"other","expires_on":"x"}"#;
    for (format, kept) in [
        (&Format::default(), r#","host":"db","password":"other"}"#),
        (&renamed, r#","host":"db","client_secret":"old"}"#),
    ] {
        let foreign = of(format, before);
        let value = format.render(&facts(), &secret, &foreign).expect("value");
        assert!(value.expose().ends_with(kept), "{format:?}");
        let read = |foreign: &Foreign| {
            let read = format.read_back(&value, &facts(), foreign);
            read.map(|text| text.expose().to_owned())
        };
        assert_eq!(read(&foreign).as_deref(), Ok(secret.expose()));
        // Its own value carries the same over once more: nothing grows.
        assert_eq!(read(&format.foreign(&value)).as_deref(), Ok(secret.expose()));
        for changed in ["{}", "x", r#"{"host":"db2","client_secret":"old","password":"other"}"#] {
            assert!(read(&of(format, changed)).is_err(), "{changed}");
        }
    }
    for format in [Format::Env, Format::Dstack, Format::Raw, Format::SdkAuth] {
        assert_eq!(of(&format, before).text(), None, "{format}");
    }
    let large =
        of(&Format::default(), &format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_VALUE_BYTES - 100)));
    let error = Format::default().render(&facts(), &secret, &large);
    assert!(matches!(error.err(), Some(FormatError::TooLarge { format: "json", .. })));
}

#[test]
fn fields_have_names_of_their_own() {
    let names =
        |names: [Option<&str>; 5]| FieldNames::new(names.map(|name| name.map(ToOwned::to_owned)));
    assert!(names([None, None, Some("password"), None, None]).is_some());
    assert!(names([None, None, Some("key_id"), None, None]).is_none(), "taken by another");
    assert!(names([Some("x"), None, Some("x"), None, None]).is_none());
}

#[test]
fn sdk_auth_is_the_file_of_the_azure_cli() {
    let expected = r#"{
  "clientId": "408bf248-dd4e-4be5-919a-7f6207a307ab",
  "clientSecret": "s3~",
  "subscriptionId": "5f9b1a52-0c0e-4c8f-8f3a-3f2f0a3d9c11",
  "tenantId": "72f988bf-86f1-41af-91ab-2d7cd011db48",
  "activeDirectoryEndpointUrl": "https://login.microsoftonline.com",
  "resourceManagerEndpointUrl": "https://management.azure.com/",
  "activeDirectoryGraphResourceId": "https://graph.windows.net/",
  "sqlManagementEndpointUrl": "https://management.core.windows.net:8443/",
  "galleryEndpointUrl": "https://gallery.azure.com/",
  "managementEndpointUrl": "https://management.core.windows.net/"
}"#;
    assert_eq!(render(&Format::SdkAuth, "s3~"), expected);
}

#[test]
fn env_quotes_only_what_needs_it() {
    let of = |secret: &str| {
        let value = render(&Format::Env, secret);
        let line = value.lines().find_map(|line| line.strip_prefix("ARM_CLIENT_SECRET="));
        line.expect("line").to_owned()
    };
    assert_eq!(of("abc8Q~x._-"), "abc8Q~x._-");
    assert_eq!(of("~abc"), "'~abc'");
    assert_eq!(of("a b#$x"), "'a b#$x'");
    assert_eq!(of(r"a\b"), r"'a\b'");
    assert_eq!(of("it's"), "\"it's\"");
    assert_eq!(of("it's $5 \"`\\"), r#""it's \$5 \"\`\\""#);
    assert_eq!(of("a${b}"), r#""a\${b}""#);
}

#[test]
fn env_names_the_cloud_where_it_is_not_the_public_one() {
    let secret = SecretText::new("s".to_owned());
    let china = Facts { cloud: Cloud::China, ..facts() };
    let value = Format::Env.render(&china, &secret, &Foreign::default()).expect("value");
    assert!(
        value.expose().ends_with(
            "AZURE_AUTHORITY_HOST=https://login.chinacloudapi.cn\nARM_ENVIRONMENT=china\n"
        )
    );
    assert!(!render(&Format::Env, "s").contains("ENVIRONMENT"));
}

/// What a shell makes of the lines is what the program in it gets.
#[test]
fn a_shell_reads_env_as_it_was_written() {
    let texts = [
        "plain~8Q",
        "~home",
        "it's",
        "a\"b",
        "$HOME `id` \\ \\\\",
        "two\nlines",
        "${x}'",
        "tail\\",
    ];
    // What Graph may mint, and what a shell would do most with it: home directories, `~+`, `~-`, entries of its stack.
    let minted = ["~", "~~", "~+", "~-", "~-1", "~0", "~root", "~.", "-~", ".~"];
    let minted = minted.map(|begin| format!("{begin:x<40}"));
    for secret in texts.into_iter().chain(minted.iter().map(String::as_str)) {
        for shell in ["sh", "bash"] {
            let script =
                format!("{}printf %s \"$AZURE_CLIENT_SECRET\"", render(&Format::Env, secret));
            let output =
                std::process::Command::new(shell).arg("-c").arg(script).output().expect(shell);
            assert_eq!(String::from_utf8_lossy(&output.stdout), secret, "{shell}");
        }
    }
}

#[test]
fn a_subscription_is_asked_for_where_it_is_written() {
    let without = Facts { subscription: None, ..facts() };
    for format in [Format::SdkAuth, template("{client_secret} {subscription_id}")] {
        let error = format.render(&without, &SecretText::new("s".to_owned()), &Foreign::default());
        assert_eq!(error.err(), Some(FormatError::NoSubscription { format: format.name() }));
    }
    let value = Format::Env.render(&without, &SecretText::new("s".to_owned()), &Foreign::default());
    assert!(!value.expect("value").expose().contains("SUBSCRIPTION"));
}

#[test]
fn a_value_has_a_limit() {
    let of = |size: usize| {
        let secret = SecretText::new("x".repeat(size));
        Format::Raw.render(&facts(), &secret, &Foreign::default()).map(|value| value.expose().len())
    };
    assert_eq!(of(MAX_VALUE_BYTES), Ok(MAX_VALUE_BYTES));
    assert_eq!(
        of(MAX_VALUE_BYTES + 1),
        Err(FormatError::TooLarge { format: "raw", bytes: MAX_VALUE_BYTES + 1 })
    );
    let nearly = SecretText::new("\"".repeat(MAX_VALUE_BYTES - 10));
    let error =
        Format::default().render(&facts(), &nearly, &Foreign::default()).expect_err("too large");
    assert!(matches!(error, FormatError::TooLarge { format: "json", .. }));
    assert_eq!(of(0), Err(FormatError::NoSecret));
}

#[test]
fn a_changed_value_is_no_match() {
    let format = template("id={client_id};{client_secret};");
    assert!(read(&format, "id=408bf248-dd4e-4be5-919a-7f6207a307ab;s;").is_ok());
    for other in [
        "",
        "id=;s;",
        "id=408bf248-dd4e-4be5-919a-7f6207a307ab;s",
        "id=408bf248-dd4e-4be5-919a-7f6207a307ab;;",
    ] {
        assert!(read(&format, other).is_err(), "{other}");
    }
    assert!(read(&Format::default(), "{\"client_secret\":\"\"}").is_err());
    assert!(read(&Format::Env, "X=1\nAZURE_CLIENT_SECRET='a").is_err());
    assert_eq!(read(&Format::Env, "X=1\r\nAZURE_CLIENT_SECRET=a\r\n").as_deref(), Ok("a"));
}

#[test]
fn bad_templates_say_what_is_wrong() {
    let error = |text: &str| text.parse::<Template>().expect_err("no template").to_string();
    assert_eq!(error("x"), "the template lacks {client_secret}");
    assert_eq!(
        error("{client_secret}{client_secret}"),
        "the template has {client_secret} more than once"
    );
    assert!(error("{client_secret}{clientid}").contains("did you mean `client_id`?"));
    assert!(error("{client_secret}{\"a\": 1}").contains("`…`"));
    assert_eq!(error("{client_secret} }"), "the template has a lone `}`");
    assert_eq!(error("{client_secret"), "the template has a lone `{`");
}
