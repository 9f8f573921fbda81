//! The `OpenAPI` document, as the repository holds it.

/// Gives the `OpenAPI` 3.1 document of every path that the function answers.
pub fn document() -> &'static str {
    include_str!("../../../events/openapi.json")
}

#[cfg(test)]
mod tests {
    use keywheel_core::request::webhook::Rotate;
    use schemars::generate::SchemaSettings;
    use serde_json::{Value, json};

    use super::document;
    use crate::answer::Problem;
    use crate::rotate::Accepted;
    use crate::rotations::RotationStatus;

    /// What each status of a problem means.
    const PROBLEMS: &[(&str, &str)] = &[
        ("400", "The request is signed, and the body is not what this path reads."),
        (
            "401",
            "The request is not signed as it must be. The answer is the same whatever the fault is.",
        ),
        ("403", "The manifest does not allow the rotation to whoever signed."),
        ("404", "There is nothing at this path, or nothing that the caller may know of."),
        ("405", "This path takes another method: see `Allow`."),
        ("409", "The request was sent before, or the secret's state forbids a rotation."),
        ("413", "The body is too large."),
        ("429", "Too many requests: see `Retry-After`."),
        (
            "503",
            "The request could not be done just now. Send the same request again, under the same id.",
        ),
    ];

    fn problems(statuses: &[&str]) -> serde_json::Map<String, Value> {
        let wanted = PROBLEMS.iter().filter(|(status, _)| statuses.contains(status));
        wanted
            .map(|(status, description)| {
                let schema = json!({ "$ref": "#/components/schemas/Problem" });
                let content = json!({ "application/problem+json": { "schema": schema } });
                ((*status).to_owned(), json!({ "description": description, "content": content }))
            })
            .collect()
    }

    fn responses(done: &[(&str, Value)], refused: &[&str]) -> Value {
        let mut all = problems(refused);
        all.extend(done.iter().map(|(status, response)| ((*status).to_owned(), response.clone())));
        Value::Object(all)
    }

    fn object(name: &str, description: &str) -> Value {
        let schema = json!({ "$ref": format!("#/components/schemas/{name}") });
        json!({ "description": description, "content": { "application/json": { "schema": schema } } })
    }

    fn header(name: &str, description: &str, example: &str) -> Value {
        json!({
            "name": name, "in": "header", "required": true, "description": description,
            "schema": { "type": "string" }, "example": example,
        })
    }

    fn standard_webhooks() -> Vec<Value> {
        vec![
            header(
                "webhook-id",
                "The id of the request: the same when the request is sent again. Visible ASCII without a full stop.",
                "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W",
            ),
            header(
                "webhook-timestamp",
                "When the request is sent, in seconds since 1970; at most five minutes off.",
                "1795251600",
            ),
            header(
                "webhook-signature",
                "`v1,` and the base64 of HMAC-SHA256 over `<webhook-id>.<webhook-timestamp>.<content>`; several with a space between.",
                "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
            ),
        ]
    }

    #[allow(clippy::too_many_lines, reason = "one document")]
    fn built() -> Value {
        let mut generator = SchemaSettings::draft2020_12()
            .with(|settings| settings.definitions_path = "/components/schemas".into())
            .into_generator();
        generator.subschema_for::<Rotate>();
        let problem = generator.subschema_for::<Problem>();
        let (accepted, standing) =
            (generator.subschema_for::<Accepted>(), generator.subschema_for::<RotationStatus>());
        assert!([problem, accepted, standing].iter().all(|schema| schema.get("$ref").is_some()));
        let schemas = generator.take_definitions(true);
        let slack_headers = vec![
            header("X-Slack-Request-Timestamp", "When Slack sent the request.", "1795251600"),
            header(
                "X-Slack-Signature",
                "Slack's signature, version 0.",
                "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
            ),
        ];
        let form = |what: &str| {
            json!({
                "required": true, "description": what,
                "content": { "application/x-www-form-urlencoded": { "schema": { "type": "object" } } },
            })
        };
        let message = json!({
            "description": "What came of the command, in words for the person: also that the person may not do it.",
            "content": { "application/json": { "schema": { "type": "object" } } },
        });
        let rotation_parameters = [standard_webhooks(), vec![
                        json!({ "name": "credential", "in": "path", "required": true, "description": "The credential, by its name in the manifest.", "schema": { "type": "string", "minLength": 1, "maxLength": 512 } }),
                        json!({ "name": "rotation", "in": "path", "required": true, "description": "The id that `POST /rotate` gave.", "schema": { "type": "string", "format": "uuid", "pattern": "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$" } }),
                    ]].concat();
        let signed = ["400", "401", "405", "413", "429", "503"];
        let with = |more: &[&'static str]| [&signed[..], more].concat();
        json!({
            "openapi": "3.1.0",
            "info": {
                "title": "Keywheel: rotate now",
                "version": env!("CARGO_PKG_VERSION"),
                "summary": "Rotations of Microsoft Entra client secrets, by request.",
                "description": "Every request but `GET /openapi.json` is signed; nothing is read before the signature is verified. `POST /rotate` and `GET /rotations/…` follow Standard Webhooks (standardwebhooks.com): where there is no body, the path stands in for the content, without any percent-encoding. The keys are in the secret that the template's parameter `WebhookSecret` names; who may rotate what is in the manifest (`allow`, `approval`).",
                "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
            },
            "servers": [{ "url": "/" }],
            "paths": {
                "/rotate": { "post": {
                    "operationId": "rotate",
                    "summary": "Ask for a rotation.",
                    "description": "A request is done once, however often it is sent under one `webhook-id`. A request that is sent again with a later timestamp gets the same answer. The very same request, timestamp included, is refused with 409.",
                    "parameters": standard_webhooks(),
                    "requestBody": { "required": true, "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Rotate" } } } },
                    "responses": responses(&[("202", object("Accepted", "The rotation is queued."))], &with(&["403", "409"])),
                } },
                "/rotations/{credential}/{rotation}": { "get": {
                    "operationId": "rotation",
                    "summary": "Tell how a rotation stands.",
                    "parameters": rotation_parameters,
                    "responses": responses(&[("200", object("RotationStatus", "How the rotation stands, by the secret's labels and the rotation's events."))], &["401", "404", "405", "413", "429", "503"]),
                } },
                "/slack/commands": { "post": {
                    "operationId": "slackCommand",
                    "summary": "Answer a slash command of Slack's.",
                    "description": "`/keywheel rotate NAME [reason…] [--now]`, `status [NAME]`, `plan`, `help`.",
                    "parameters": slack_headers.clone(),
                    "requestBody": form("As Slack sends a slash command."),
                    "responses": responses(&[("200", message)], &with(&["409"])),
                } },
                "/slack/interactions": { "post": {
                    "operationId": "slackInteraction",
                    "summary": "Take a button pressed in Slack.",
                    "description": "Approves or denies a rotation that waits for a second person. The result is posted to the `response_url`.",
                    "parameters": slack_headers,
                    "requestBody": form("As Slack sends `block_actions`: `payload=` and JSON."),
                    "responses": responses(&[("200", json!({ "description": "The decision is taken." }))], &signed),
                } },
                "/github": { "post": {
                    "operationId": "github",
                    "summary": "Take an alert of GitHub's secret scanning.",
                    "description": "The alert is queued. Afterwards the leaked text is read over GitHub's REST API. If the text is a secret that still works, the secret is rotated at once and its key removed. Otherwise a finding tells of the alert.",
                    "parameters": [
                        header("X-Hub-Signature-256", "GitHub's signature.", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"),
                        header("X-GitHub-Event", "The kind of event. Nothing is done about a kind other than `secret_scanning_alert`.", "secret_scanning_alert"),
                    ],
                    "requestBody": {
                        "required": true,
                        "description": "The event as JSON, or, as GitHub sends an event by default, a form with the event in `payload`. The signature covers the body as it is sent.",
                        "content": {
                            "application/json": { "schema": { "type": "object" } },
                            "application/x-www-form-urlencoded": { "schema": {
                                "type": "object",
                                "required": ["payload"],
                                "properties": { "payload": { "type": "string", "contentMediaType": "application/json" } },
                            } },
                        },
                    },
                    "responses": responses(&[
                        ("202", json!({ "description": "The alert is queued for its comparison." })),
                        ("204", json!({ "description": "The event is no alert that needs a comparison." })),
                    ], &with(&["409"])),
                } },
                "/openapi.json": { "get": {
                    "operationId": "openapi",
                    "summary": "Get this document.",
                    "responses": responses(&[("200", json!({
                        "description": "OpenAPI 3.1.",
                        "content": { "application/vnd.oai.openapi+json;version=3.1": { "schema": { "type": "object" } } },
                    }))], &["405", "413", "429"]),
                } },
            },
            "components": { "schemas": schemas },
        })
    }

    #[test]
    fn the_published_document_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../events/openapi.json");
        let current = serde_json::to_string_pretty(&built()).unwrap() + "\n";
        if keywheel_core::settings::optional("KEYWHEEL_UPDATE_SCHEMAS").is_some() {
            std::fs::write(path, &current).unwrap();
            return;
        }
        assert!(document() == current, "run with KEYWHEEL_UPDATE_SCHEMAS=1 to publish it anew");
    }

    #[test]
    fn every_path_is_a_route_with_its_method() {
        let document: Value = serde_json::from_str(document()).unwrap();
        for (path, methods) in document["paths"].as_object().unwrap() {
            let route = crate::Route::of(path).unwrap();
            let methods: Vec<_> = methods.as_object().unwrap().keys().cloned().collect();
            assert_eq!(methods, [route.method().1.to_lowercase()], "{path}");
        }
        assert_eq!(document["paths"].as_object().unwrap().len(), 6);
    }
}
