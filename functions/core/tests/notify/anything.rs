//! Whatever an event holds, Slack and SNS take what is made of it.

use super::*;
use proptest::prelude::*;

const KINDS: [&str; 8] = [
    "keywheel.rotation.failed",
    "keywheel.rotation.promoted",
    "keywheel.rotation.requested",
    "keywheel.rotation.abandoned",
    "keywheel.key.removed",
    "keywheel.finding.foreign-key",
    "keywheel.finding.<!channel>",
    "keywheel.approval.requested",
];

/// Those that some target is told of.
const TOLD: [&str; 4] = [KINDS[0], KINDS[1], KINDS[4], KINDS[5]];

/// The lines of the sections that are items of a list: a bullet elsewhere in a line is somebody's text.
fn items(message: &Value) -> usize {
    let sections = message["blocks"].as_array().expect("blocks").iter();
    let texts = sections.filter_map(|block| block["text"]["text"].as_str());
    texts.flat_map(str::lines).filter(|line| line.starts_with("• ")).count()
}

/// Texts with all that Slack or a terminal would take for more than text, short and long.
fn any_text() -> impl Strategy<Value = String> {
    let pieces = proptest::sample::select(vec![
        "&",
        "<",
        ">",
        "<!channel>",
        "*",
        "`",
        "\n",
        "\u{0}",
        "\u{202e}",
        "𝒳",
        "é",
        "• ",
        "word ",
    ]);
    let built = proptest::collection::vec(pieces, 0..40).prop_map(|pieces| pieces.concat());
    prop_oneof![
        ".{0,80}",
        built.clone(),
        (built, 1..400_usize).prop_map(|(text, times)| text.repeat(times)),
    ]
}

proptest! {
    #[test]
    fn every_message_is_one_that_slack_and_sns_take(
        kind in proptest::sample::select(KINDS.to_vec()), credential in any_text(), reason in any_text(),
        by in any_text(), graph in any_text(),
    ) {
        let notice = notice_of(kind, &json!({
            "credential": credential, "application": APP, "tenant": APP, "rotation": ID, "version": ID, "key": ID,
            "requested_by": by, "reason": reason, "graph_request_id": graph,
        }));
        check(&slack::render(&notice, Some(at())).to_json());
        check_mail(&sns::render(&notice, None));
    }

    #[test]
    fn every_list_is_one_that_slack_takes(
        events in proptest::collection::vec(
            (proptest::sample::select(TOLD.to_vec()), any_text(), any_text()), 0..120,
        ),
    ) {
        let addressed: Vec<Addressed> = events.iter().map(|(kind, credential, reason)| {
            let data = json!({ "credential": credential, "application": APP, "reason": reason });
            Addressed { notice: notice_of(kind, &data), old_key_goes: Some(at()) }
        }).collect();
        let mut listed = 0;
        for group in slack::groups(addressed) {
            let json = slack::list(&group).to_json();
            check(&json);
            prop_assert_eq!(items(&json), group.len(), "none is left out");
            listed += group.len();
        }
        prop_assert_eq!(listed, events.len());
    }

    #[test]
    fn every_digest_is_one_that_slack_and_sns_take(
        names in proptest::collection::vec((any_text(), any::<bool>()), 0..500), total in 0..100_000_u64,
    ) {
        let expiring: Vec<Value> = names.iter().map(|(name, managed)| json!({
            "application": APP, "display_name": name, "certificate": ID, "expires_on": TIME, "managed": managed,
        })).collect();
        let total = total.max(names.len() as u64);
        let notice = notice_of("keywheel.digest.expiring", &json!({ "expiring": expiring, "total": total }));
        let json = slack::render(&notice, None).to_json();
        check(&json);
        // Each is listed or counted.
        let text = json.to_string();
        let left = text.split_once("\"and ").and_then(|(_, rest)| rest.split_once(" more:")).map(|(n, _)| n.parse::<u64>());
        let listed = text.matches("• 2026-11-21:").count() as u64;
        prop_assert_eq!(listed + left.and_then(Result::ok).unwrap_or(0), total);
        check_mail(&sns::render(&notice, None));
    }

    #[test]
    fn every_progress_is_one_that_slack_takes(
        reason in any_text(), by in any_text(), why in any_text(), now in any::<bool>(),
        steps in proptest::sample::subsequence(KINDS.to_vec(), 0..=KINDS.len()),
    ) {
        let request = request(&reason, &by, if now { "now" } else { "after-overlap" });
        let mut progress = Progress::default();
        for step in steps {
            progress.add(step.into(), at(), Some(why.clone()));
        }
        check(&progress.render(&request, None).to_json());
    }
}

/// SNS: `Publish`'s `Subject` and `Message`.
pub(crate) fn check_mail(mail: &sns::Mail) {
    assert!((1..=100).contains(&mail.subject.len()), "{}", mail.subject);
    assert!(mail.subject.chars().all(|c| c == ' ' || c.is_ascii_graphic()), "{}", mail.subject);
    assert!(mail.subject.starts_with(|c: char| c.is_ascii_alphanumeric()));
    assert!((1..256 * 1024).contains(&mail.message.len()));
}
