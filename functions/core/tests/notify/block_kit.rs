//! What Slack takes of Block Kit.

use serde_json::Value;

/// So many characters of all blocks' texts Slack was seen to take; it publishes no limit, and has one.
const SEEN_TAKEN: usize = 9597;

fn texts(of: &Value) -> usize {
    match of {
        Value::Array(all) => all.iter().map(texts).sum(),
        Value::Object(members) => match &members.get("text") {
            Some(Value::String(text)) => text.encode_utf16().count(),
            _ => members.values().map(texts).sum(),
        },
        _ => 0,
    }
}

/// The published limits (docs.slack.dev/reference/block-kit/blocks), in characters however one counts them.
pub(crate) fn check(message: &Value) {
    let keys = |value: &Value| -> Vec<String> {
        value.as_object().expect("an object").keys().cloned().collect()
    };
    let text = |value: &Value, kind: &str, limit: usize| {
        assert_eq!(value["type"], kind);
        let text = value["text"].as_str().expect("a text");
        assert!((1..=limit).contains(&text.encode_utf16().count()), "{} {text}", text.len());
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
        if kind == "mrkdwn" {
            assert_eq!(value["verbatim"], true);
            let plain = text.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "");
            assert!(!plain.contains(['&', '<', '>']), "not escaped: {text}");
        }
    };
    let blocks = message["blocks"].as_array().expect("blocks");
    assert!((1..=50).contains(&blocks.len()));
    assert!(!message["text"].as_str().expect("a text").is_empty());
    assert!(texts(&message["blocks"]) <= SEEN_TAKEN, "{message}");
    for block in blocks {
        match block["type"].as_str().expect("a type") {
            "header" => text(&block["text"], "plain_text", 150),
            "section" => {
                assert_eq!(keys(block).len(), 2);
                match &block["fields"] {
                    Value::Array(fields) => {
                        assert!((1..=10).contains(&fields.len()));
                        for field in fields {
                            text(field, "mrkdwn", 2000);
                        }
                    }
                    _ => text(&block["text"], "mrkdwn", 3000),
                }
            }
            "context" => {
                let elements = block["elements"].as_array().expect("elements");
                assert!((1..=10).contains(&elements.len()));
                for element in elements {
                    text(element, "mrkdwn", 3000);
                }
            }
            other => panic!("{other}"),
        }
    }
}
