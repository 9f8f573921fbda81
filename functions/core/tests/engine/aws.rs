//! AWS in memory, as far as the engine speaks to it: Secrets Manager, the bus, the queue, a bucket.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use chrono::Utc;
use serde_json::{Value, json};
use uuid::Uuid;

use super::secrets_model::{Put, Secret};
use super::stub::{Answer, Request, Stub};
use crate::ids::{KeyId, VersionId};
use crate::queue::Job;
use crate::rotation::Label;

/// What STS answers to whoever asks who they are.
const CALLER: &str = "<GetCallerIdentityResponse><GetCallerIdentityResult><Account>000000000000</Account>\
    <Arn>arn:aws:sts::000000000000:assumed-role/keywheel/sweep</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>";

/// A secret, and what its values are: the model of Secrets Manager knows a value by a number.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) secret: Secret,
    /// The request that made it.
    pub(super) made: Value,
    pub(super) rotation_enabled: bool,
    pub(super) deleted: bool,
    pub(super) primary_region: Option<&'static str>,
    /// Whether its values are read as bytes.
    pub(super) binary: bool,
    texts: BTreeMap<KeyId, String>,
}

impl Kept {
    pub(super) fn text(&self, version: &VersionId) -> Option<&str> {
        let value = self.secret.versions.get(version)?.value?;
        self.texts.get(&value).map(String::as_str)
    }

    pub(super) fn labels(&self, version: &VersionId) -> BTreeSet<Label> {
        self.secret.versions.get(version).map(|version| version.labels.clone()).unwrap_or_default()
    }

    fn exists(&mut self) {
        self.secret.exists = true;
        self.secret.created = Some(Utc::now());
    }

    /// Gives a version this value, whatever it is.
    pub(super) fn give(&mut self, version: &VersionId, text: &str) {
        let value = KeyId(Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes()));
        self.texts.insert(value, text.to_owned());
        self.secret.versions.entry(version.clone()).or_default().value = Some(value);
    }

    fn put(&mut self, version: &VersionId, text: &str, labels: &[Label]) -> Put {
        let value = KeyId(Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes()));
        self.texts.insert(value, text.to_owned());
        self.secret.put(version, value, labels)
    }

    fn shown(&self) -> Value {
        let labelled =
            self.secret.versions.iter().filter(|(_, version)| !version.labels.is_empty());
        let versions: BTreeMap<&str, Vec<String>> = labelled
            .map(|(id, one)| (id.0.as_str(), one.labels.iter().map(Label::to_string).collect()))
            .collect();
        json!({
            "RotationEnabled": self.rotation_enabled,
            "CreatedDate": self.secret.created.map(|at| at.timestamp()),
            "DeletedDate": self.deleted.then_some(1),
            "PrimaryRegion": self.primary_region,
            "VersionIdsToStages": versions,
            "SecretVersionsToStages": versions,
        })
    }
}

/// What AWS holds, and was told.
#[derive(Default)]
pub(super) struct State {
    pub(super) secrets: BTreeMap<String, Kept>,
    /// The details of the events on the bus, in order.
    pub(super) events: Vec<Value>,
    pub(super) jobs: Vec<Job>,
    pub(super) objects: BTreeMap<String, String>,
    /// Operations that are refused for good.
    pub(super) refused: BTreeSet<&'static str>,
}

impl State {
    /// Puts a secret with one current version there, as a person would.
    pub(super) fn by_hand(&mut self, name: &str, version: &VersionId, text: &str) {
        let kept = self.secrets.entry(name.to_owned()).or_default();
        kept.exists();
        kept.put(version, text, &[Label::Current]);
    }

    fn answer(&mut self, request: &Request) -> Answer {
        let body = request.json();
        let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
        let name = text("SecretId");
        let version = |field: &str| body[field].as_str().map(|id| VersionId(id.to_owned()));
        if self.refused.contains(request.operation.as_str()) {
            return wrong("AccessDeniedException");
        }
        match request.operation.as_str() {
            "PutEvents" => {
                let entries = body["Entries"].as_array().cloned().unwrap_or_default();
                let details = entries.iter().map(|entry| entry["Detail"].as_str().unwrap());
                self.events.extend(details.map(|detail| serde_json::from_str(detail).unwrap()));
                let ids = vec![json!({ "EventId": "e" }); entries.len()];
                return fine(&json!({ "FailedEntryCount": 0, "Entries": ids }));
            }
            "SendMessageBatch" => {
                let entries = body["Entries"].as_array().cloned().unwrap_or_default();
                let bodies = entries.iter().map(|entry| entry["MessageBody"].as_str().unwrap());
                self.jobs.extend(bodies.map(|body| Job::parse(body).unwrap()));
                let sent = entries.iter().map(
                    |entry| json!({ "Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": "" }),
                );
                return fine(&json!({ "Successful": sent.collect::<Vec<_>>(), "Failed": [] }));
            }
            "ListSecrets" => {
                let listed = self.secrets.iter().filter(|(_, kept)| kept.secret.exists);
                let listed = listed.map(|(name, kept)| {
                    let mut shown = kept.shown();
                    shown["Name"] = json!(name);
                    shown["ARN"] = json!(format!(
                        "arn:aws:secretsmanager:eu-central-1:0:secret:{name}-a1B2c3"
                    ));
                    shown
                });
                return fine(&json!({ "SecretList": listed.collect::<Vec<_>>() }));
            }
            "CreateSecret" => {
                let kept = self.secrets.entry(text("Name")).or_default();
                kept.exists();
                kept.made = body;
                return fine(&json!({}));
            }
            "" if request.body.contains("Action=GetCallerIdentity") => {
                return (200, CALLER.to_owned());
            }
            "" => return self.object(request),
            _ => {}
        }
        let Some(kept) = self.secrets.get_mut(&name).filter(|kept| kept.secret.exists) else {
            return wrong("ResourceNotFoundException");
        };
        match request.operation.as_str() {
            "DescribeSecret" => fine(&kept.shown()),
            "GetSecretValue" => {
                let id = version("VersionId").or_else(|| kept.secret.holder(&Label::Current));
                match id.as_ref().and_then(|id| kept.text(id)) {
                    Some(_) if kept.binary => {
                        fine(&json!({ "VersionId": id, "SecretBinary": "AAEC" }))
                    }
                    Some(text) => fine(&json!({ "VersionId": id, "SecretString": text })),
                    None => wrong("ResourceNotFoundException"),
                }
            }
            "PutSecretValue" => {
                let labels = body["VersionStages"].as_array().cloned().unwrap_or_default();
                let labels: Vec<Label> =
                    labels.iter().map(|label| Label::parse(label.as_str().unwrap())).collect();
                let token = version("ClientRequestToken").unwrap();
                match kept.put(&token, &text("SecretString"), &labels) {
                    Put::Stored => fine(&json!({})),
                    Put::Exists => wrong("ResourceExistsException"),
                    Put::NoSecret => wrong("ResourceNotFoundException"),
                }
            }
            "UpdateSecretVersionStage" => {
                let label = Label::parse(&text("VersionStage"));
                let (to, from) = (version("MoveToVersionId"), version("RemoveFromVersionId"));
                if kept.secret.move_label(&label, to.as_ref(), from.as_ref()) {
                    fine(&json!({}))
                } else {
                    wrong("InvalidParameterException")
                }
            }
            other => panic!("nobody knows {other}"),
        }
    }

    fn object(&mut self, request: &Request) -> Answer {
        let mut line = request.line.split(' ');
        let (method, path) = (line.next().unwrap(), line.next().unwrap());
        let key = path.split('?').next().unwrap().to_owned();
        match (method, self.objects.get(&key)) {
            ("PUT", _) => {
                self.objects.insert(key, request.body.clone());
                (200, String::new())
            }
            (_, Some(object)) => (200, object.clone()),
            (_, None) => (404, "<Error><Code>NoSuchKey</Code></Error>".to_owned()),
        }
    }
}

fn fine(body: &Value) -> Answer {
    (200, body.to_string())
}

fn wrong(code: &str) -> Answer {
    (400, json!({ "__type": code, "message": "refused" }).to_string())
}

/// AWS, until the test is over.
pub(super) struct Aws {
    pub(super) stub: Stub,
    state: Arc<Mutex<State>>,
}

impl Aws {
    pub(super) async fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let answers = Arc::clone(&state);
        let stub = Stub::start(move |request| Some(answers.lock().unwrap().answer(request))).await;
        Self { stub, state }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}
