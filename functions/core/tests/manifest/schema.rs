//! The published JSON Schema of manifests is the one that the wire types say.

use std::path::Path;

use keywheel_core::manifest::Manifest;
use serde_json::Value;

/// `KEYWHEEL_UPDATE_SCHEMAS=1 cargo test --workspace --test manifest` writes it anew.
#[test]
fn the_published_schema_has_not_drifted() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/manifest.schema.json");
    let current = format!("{}\n", serde_json::to_string_pretty(&Manifest::schema()).expect("JSON"));
    if std::env::var_os("KEYWHEEL_UPDATE_SCHEMAS").is_some_and(|value| value == "1") {
        std::fs::write(&path, &current).expect("written");
    }
    let published = std::fs::read_to_string(&path).expect("events/manifest.schema.json");
    assert!(
        published == current,
        "the schema has drifted: run this test with KEYWHEEL_UPDATE_SCHEMAS=1"
    );
}

#[test]
fn every_field_is_described_and_none_may_be_null() {
    let schema = Manifest::schema();
    let mut fields = 0;
    visit(&schema, &mut |object| {
        assert_ne!(object.get("type"), Some(&Value::from("null")));
        for (name, field) in
            object.get("properties").and_then(Value::as_object).into_iter().flatten()
        {
            fields += 1;
            assert!(field.get("description").is_some(), "{name} has no description");
        }
        if object.contains_key("properties") {
            let closed = ["additionalProperties", "unevaluatedProperties"]
                .iter()
                .any(|word| object.get(*word) == Some(&Value::Bool(false)));
            assert!(closed, "an object takes unknown fields: {object:?}");
        }
    });
    assert!(fields > 30, "{fields}");
}

fn visit(value: &Value, see: &mut impl FnMut(&serde_json::Map<String, Value>)) {
    match value {
        Value::Object(object) => {
            see(object);
            object.values().for_each(|value| visit(value, see));
        }
        Value::Array(list) => list.iter().for_each(|value| visit(value, see)),
        _ => {}
    }
}
