//! The exit codes, and failures with their cures.

use std::error::Error;
use std::ffi::OsString;
use std::process::ExitCode;

use keywheel_core::audit::ledger::LedgerError;
use keywheel_core::engine::EngineError;
use keywheel_core::graph::{self, GraphError};
use keywheel_core::http::aws::NO_CREDENTIALS;
use keywheel_core::identity::IdentityError;
use keywheel_core::manifest::LoadError;
use keywheel_core::queue::QueueError;
use keywheel_core::secrets::{self, SecretsError};
use keywheel_core::settings::SettingError;
use keywheel_core::store::StoreError;

/// The option that gives `plan` an exit code of its own, as `terraform plan` has it.
const DETAILED: &str = "--detailed-exitcode";

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The program did what was asked.
    Done,
    /// The program failed, or the manifest is not valid.
    Failed,
    /// `plan --detailed-exitcode`: something is due.
    Due,
    /// The command line is wrong.
    Usage,
    /// The rotation is still under way.
    TimedOut,
    /// The program refuses to do what was asked, or a job failed for good.
    Refused,
    /// `audit verify`: a chain is not whole.
    Broken,
    /// `check`: a check failed.
    Unready,
    /// Ctrl-C ended the program.
    Interrupted,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Due | Exit::Usage => 2,
            Exit::TimedOut => 3,
            Exit::Refused => 4,
            Exit::Broken => 5,
            Exit::Unready => 6,
            Exit::Interrupted => 130,
        })
    }
}

/// Gives the exit of a command line that was not carried out: help, the version, or a mistake.
///
/// Beside `--detailed-exitcode`, 2 says that something is due: a mistake is then a 1, as Terraform has it.
pub(crate) fn of_usage(told: &clap::Error, args: impl Iterator<Item = OsString>) -> Exit {
    match told.exit_code() {
        0 => Exit::Done,
        _ if args.into_iter().any(|arg| arg == DETAILED) => Exit::Failed,
        _ => Exit::Usage,
    }
}

/// Why the program does not do what was asked, and the cure.
#[derive(Debug)]
pub(crate) struct Failure {
    /// How the program ends.
    pub(crate) exit: Exit,
    /// The thing and the cause.
    pub(crate) what: String,
    /// The cure, unless the cause names it.
    pub(crate) cure: Option<String>,
}

impl Failure {
    /// Makes a failure with its cure.
    pub(crate) fn new(exit: Exit, what: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { exit, what: what.into(), cure: Some(cure.into()) }
    }

    fn of(error: &(dyn Error + 'static), cure: Option<&str>) -> Self {
        let what = chain(error);
        let cure = if what.contains(NO_CREDENTIALS) { Some(SIGN_IN_TO_AWS) } else { cure };
        Self { exit: Exit::Failed, what, cure: cure.map(str::to_owned) }
    }

    /// Gives the failure and its cure in one sentence.
    pub(crate) fn with_cure(&self) -> String {
        match &self.cure {
            Some(cure) => format!("{}; {cure}", self.what),
            None => self.what.clone(),
        }
    }
}

/// Joins an error with its causes, each said once.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let why = error.to_string();
        if !text.contains(&why) {
            text = format!("{text}: {why}");
        }
        cause = error.source();
    }
    text
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let cure = match &error {
            EngineError::Account(_) => {
                Some("check the network, `aws sts get-caller-identity` and AWS_REGION")
            }
            EngineError::Graph(error) => graph_cure(error),
            EngineError::Secrets(error) => secrets_cure(error),
            EngineError::Queue(error) => queue_cure(error),
            EngineError::Identity(IdentityError::Setup(_)) => Some(SIGN_IN),
            EngineError::Setting(SettingError::Unset { name: "KEYWHEEL_QUEUE_URL" }) => {
                Some("take the stack's output `QueueUrl`")
            }
            EngineError::Setup(_) => Some("check the file that KEYWHEEL_CA_FILE names"),
            _ => None,
        };
        let exit = match error {
            EngineError::Setting(SettingError::Unset { .. }) => Exit::Usage,
            _ => Exit::Failed,
        };
        Self { exit, ..Self::of(&error, cure) }
    }
}

pub(crate) const SIGN_IN_TO_AWS: &str =
    "sign in to AWS (such as `aws sso login`), and set AWS_PROFILE or AWS's variables";
const SIGN_IN: &str = "run `az login`, or set KEYWHEEL_SIGN_IN and KEYWHEEL_CLIENT_ID";

/// Pairs a sign in the text of a failed sign-in with its cure. Entra's codes come before the words of the connection.
const SIGN_IN_CURES: [(&str, &str); 10] = [
    (
        "AADSTS90002",
        "correct `tenant` in the manifest, or KEYWHEEL_CLOUD: Entra does not know the tenant",
    ),
    (
        "AADSTS700016",
        "correct KEYWHEEL_CLIENT_ID, or `tenant` in the manifest: the tenant does not know the application",
    ),
    ("AADSTS7000215", "correct AZURE_CLIENT_SECRET: the secret's text is needed, and not its id"),
    ("AADSTS7000222", "make a new client secret for the application: the present one has expired"),
    ("AADSTS7000112", "enable the application and its service principal in Entra"),
    (
        "AADSTS53003",
        "exempt the application from the Conditional Access policy that blocks the sign-in",
    ),
    (
        "UnknownIssuer",
        "name the certificate authority's file in KEYWHEEL_CA_FILE, or check AZURE_AUTHORITY_HOST",
    ),
    ("not found on PATH", "install the Azure CLI, or set KEYWHEEL_SIGN_IN and KEYWHEEL_CLIENT_ID"),
    ("no connection", "check the network and AZURE_AUTHORITY_HOST: nothing answers there"),
    ("no answer", "check the network and AZURE_AUTHORITY_HOST: no answer came in time"),
];

fn sign_in_cure(why: &str) -> &'static str {
    SIGN_IN_CURES.iter().find(|(sign, _)| why.contains(sign)).map_or(SIGN_IN, |(_, cure)| cure)
}

fn graph_cure(error: &GraphError) -> Option<&'static str> {
    match error.kind() {
        graph::Kind::SignIn(why) => Some(sign_in_cure(why)),
        graph::Kind::Throttled => Some("try again in a few minutes"),
        graph::Kind::Unavailable => {
            Some("check the network and KEYWHEEL_GRAPH_ENDPOINT, then try again")
        }
        _ => None,
    }
}

fn secrets_cure(error: &SecretsError) -> Option<&'static str> {
    match error.kind {
        secrets::Kind::AccessDenied => Some(
            "allow secretsmanager:DescribeSecret and secretsmanager:ListSecrets; no value is read",
        ),
        secrets::Kind::Unavailable => {
            Some("check the network, AWS_REGION and AWS_ENDPOINT_URL, then try again")
        }
        _ => None,
    }
}

fn queue_cure(error: &QueueError) -> Option<&'static str> {
    matches!(error, QueueError::Unsent(_) | QueueError::Failed { .. })
        .then_some("check KEYWHEEL_QUEUE_URL and allow sqs:SendMessage; asking again is safe: two jobs make one rotation")
}

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        let cure = match &error {
            LedgerError::Store(StoreError::Failed { failure, .. })
                if failure.is("AccessDenied") =>
            {
                Some(
                    "allow s3:ListBucketVersions, s3:ListBucket, s3:GetObject and s3:GetObjectVersion on both buckets",
                )
            }
            LedgerError::Store(StoreError::Failed { failure, .. })
                if failure.is("NoSuchBucket") =>
            {
                Some("take the stack's outputs `AuditBucket` and `AuditHeadBucket`")
            }
            LedgerError::BucketsSwapped => Some(
                "take the stack's output `AuditBucket` for the records and `AuditHeadBucket` for the heads",
            ),
            LedgerError::Store(_) => {
                Some("check the network, AWS_REGION and AWS_ENDPOINT_URL, then try again")
            }
            _ => None,
        };
        Self::of(&error, cure)
    }
}

impl From<QueueError> for Failure {
    fn from(error: QueueError) -> Self {
        EngineError::from(error).into()
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        let cure = match &error {
            LoadError::File { .. } => Some("check the path, or give another with --manifest"),
            _ => None,
        };
        Self::of(&error, cure)
    }
}

impl From<SettingError> for Failure {
    fn from(error: SettingError) -> Self {
        Self { exit: Exit::Usage, ..Self::of(&error, None) }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        let what = format!("the result cannot be written: {error}");
        Self::new(Exit::Failed, what, "check where standard output goes")
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::of(&error, Some("please report this"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_of_a_failed_sign_in_has_its_own_cure() {
        for (why, cure) in [
            ("invalid_request: AADSTS90002: Tenant '1' not found.", "`tenant`"),
            (
                "invalid_client: AADSTS7000215: Invalid client secret provided.",
                "AZURE_CLIENT_SECRET",
            ),
            ("no connection: invalid peer certificate: UnknownIssuer", "KEYWHEEL_CA_FILE"),
            ("no connection: Connection refused (os error 111)", "AZURE_AUTHORITY_HOST"),
            ("az not found on PATH", "install the Azure CLI"),
            ("Please run 'az login' to setup account.", "az login"),
        ] {
            assert!(sign_in_cure(why).contains(cure), "{why}: {}", sign_in_cure(why));
        }
    }
}
