//! Lists all checks. The table of the documentation follows from this list.

use super::seen::Seen;
use super::verdict::Verdict;
use super::{aws, deployment, entra, manifest, running};

/// A check.
pub(super) struct Check {
    pub(super) name: &'static str,
    pub(super) group: &'static str,
    /// Whether the check can be made before the deployment.
    pub(super) pre: bool,
    /// The question that the check answers, for the documentation.
    pub(super) asks: &'static str,
    /// The calls that answer it.
    pub(super) reads: &'static str,
    pub(super) judge: fn(&Seen) -> Verdict,
}

const AWS: &str = "AWS";
const STACK: &str = "stack";
const MANIFEST: &str = "manifest";
const ENTRA: &str = "Entra";
const RUNNING: &str = "running";

macro_rules! check {
    ($group:ident $name:literal $when:ident $judge:path, $asks:literal, $reads:literal) => {
        Check { name: $name, group: $group, pre: $when, asks: $asks, reads: $reads, judge: $judge }
    };
}

/// Made before the deployment and after it.
const BOTH: bool = true;
/// Made after the deployment only.
const AFTER: bool = false;

/// All checks, in the order in which they are printed.
pub(super) const CHECKS: [Check; 20] = [
    check!(AWS "aws-sign-in" BOTH aws::sign_in,
        "Do the AWS credentials work, and is a region set?",
        "STS `GetCallerIdentity`"),
    check!(AWS "outbound-federation" BOTH aws::outbound_federation,
        "Does the account issue tokens that Entra can trust?",
        "IAM `GetOutboundWebIdentityFederationInfo`"),
    check!(AWS "concurrency" BOTH aws::concurrency,
        "May as many functions run at once as Keywheel's may want? A reservation (`WebhookConcurrency`) \
        that Lambda would refuse fails; too few for all rotations is a warning.",
        "Lambda `GetAccountSettings`"),
    check!(STACK "stack" AFTER deployment::stack,
        "Is the stack there and complete? A deployment that was rolled back is a warning.",
        "CloudFormation `DescribeStacks`"),
    check!(STACK "functions" AFTER deployment::functions,
        "Is each function there, active and updated?",
        "Lambda `GetFunctionConfiguration`"),
    check!(MANIFEST "manifest" BOTH manifest::manifest,
        "Can the manifest be read, and is it valid? Before the deployment: the one that `--manifest` \
        names. After it: the one that the functions read.",
        "the file, or S3 `GetObject`"),
    check!(MANIFEST "secret-prefix" BOTH manifest::secret_prefix,
        "Does the name of each secret begin with `SecretPrefix`?",
        "the manifest"),
    check!(MANIFEST "secret-encryption" BOTH manifest::secret_encryption,
        "May the functions use the KMS key of each secret (`KmsKeyArn`)? An alias that may stand for any \
        key is a warning.",
        "Secrets Manager `DescribeSecret`"),
    check!(ENTRA "entra-sign-in" BOTH entra::sign_in,
        "Does the sign-in of this terminal give a token for Graph?",
        "Graph `servicePrincipals`"),
    check!(ENTRA "application" BOTH entra::application,
        "Does the tenant have Keywheel's application, with an enabled service principal?",
        "Graph `applications`, `servicePrincipals`"),
    check!(ENTRA "permissions" BOTH entra::permissions,
        "Has somebody consented to `Application.ReadWrite.OwnedBy` or `.All`?",
        "Graph `appRoleAssignments`"),
    check!(ENTRA "audit-permissions" BOTH entra::audit_permissions,
        "Has somebody consented to `AuditLog.Read.All` and `Directory.Read.All`, where something reads \
        them? A warning if not.",
        "Graph `appRoleAssignments`"),
    check!(ENTRA "federated-credentials" AFTER entra::federated_credentials,
        "Does a federated credential name the account's issuer, each role and the cloud's audience, in \
        the same case?",
        "Graph `federatedIdentityCredentials`"),
    check!(ENTRA "listed-applications" BOTH entra::listed_applications,
        "Does the tenant have each application of the manifest, with a service principal that may sign in?",
        "Graph `applications`, `servicePrincipals`"),
    check!(ENTRA "ownership" BOTH entra::ownership,
        "With `OwnedBy`: does Keywheel own each application of the manifest?",
        "Graph `ownedObjects`"),
    check!(RUNNING "function-sign-in" AFTER running::function_sign_in,
        "Did the last sweep sign in to Entra? A sweep that failed is a failure, no sweep yet is a warning. \
        With `WatchDirectoryAudits=false` a sweep that failed is a warning.",
        "S3 `GetObject` of `cursors/directory-audits.json`, SQS `ReceiveMessage` of the failed sweeps"),
    check!(RUNNING "webhook-secret" AFTER running::webhook_secret,
        "Can each entry of the webhook secret be used? No value is printed.",
        "Secrets Manager `GetSecretValue`"),
    check!(RUNNING "notify-secret" AFTER running::notify_secret,
        "Does the notify secret have each entry that the manifest names? No value is printed.",
        "Secrets Manager `GetSecretValue`"),
    check!(RUNNING "dead-letters" AFTER running::dead_letters,
        "Are the queues of dead letters empty? A warning if not.",
        "SQS `GetQueueAttributes`"),
    check!(RUNNING "alarms" AFTER running::alarms,
        "Does the topic of alarms have a confirmed subscription? A warning if not.",
        "SNS `ListSubscriptionsByTopic`"),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// `KEYWHEEL_UPDATE_SCHEMAS=1` writes the table of the documentation anew.
    #[test]
    fn the_table_of_the_documentation_lists_all_checks() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/checking.md");
        let page = std::fs::read_to_string(path).unwrap();
        let (begin, end) = ("<!-- generated: checks -->\n", "<!-- end: checks -->");
        let (before, rest) = page.split_once(begin).unwrap();
        let (published, after) = rest.split_once(end).unwrap();
        let mut table = "| check | when | asks | reads |\n|---|---|---|---|\n".to_owned();
        for check in CHECKS {
            let when = if check.pre { "before and after" } else { "after" };
            let (name, asks, reads) = (check.name, check.asks, check.reads);
            let row = format!("| `{name}` | {when} | {asks} | {reads} |\n");
            table += &row;
        }
        if std::env::var_os("KEYWHEEL_UPDATE_SCHEMAS").is_some_and(|value| value == "1") {
            std::fs::write(path, format!("{before}{begin}{table}{end}{after}")).unwrap();
        } else {
            assert!(
                published == table,
                "docs/checking.md has drifted: run with KEYWHEEL_UPDATE_SCHEMAS=1"
            );
        }
    }
}
