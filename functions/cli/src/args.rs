//! The command line: commands, options, help.

use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use keywheel_core::ids::{AppId, TenantId};
use keywheel_core::queue::RevokeOld;

use crate::commands::check::PARAMETERS;

const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    an error, or an invalid manifest
  2    a wrong command line; with `plan --detailed-exitcode`: something is due
  3    `rotate`: not current within --timeout; the rotation goes on
  4    `rotate`, `status`, `audit`: refused, such as an unknown credential; `rotate`: failed for good,
       or --now-revoke-old could not remove the old key
  5    `audit verify`, `audit export`: a chain is not whole
  6    `check`: a check failed
  130  interrupted; what was queued goes on

Environment:
  KEYWHEEL_MANIFEST   s3://bucket/key, ssm:/name or a path
  KEYWHEEL_QUEUE_URL  the job queue, for `rotate`, and for the failed jobs in `status`
  KEYWHEEL_SWEEP_FUNCTION
                      the sweep function, for `sweep`
  KEYWHEEL_AUDIT_BUCKET, KEYWHEEL_AUDIT_HEAD_BUCKET
                      the audit trail's buckets, for `audit`
  KEYWHEEL_STACK      the name of the stack, for `check` (default: keywheel)
  KEYWHEEL_SIGN_IN    azure_cli (default), client_secret, managed_identity, federated
  KEYWHEEL_CLIENT_ID, else AZURE_CLIENT_ID
                      the client id to sign in as (not with azure_cli)
  KEYWHEEL_SIGN_IN_SECRET
                      with client_secret: the name of the secret in Secrets Manager
  AZURE_CLIENT_SECRET with client_secret, unless KEYWHEEL_SIGN_IN_SECRET is set: the secret's text
  KEYWHEEL_CLOUD      public (default), usgovernment, china
  KEYWHEEL_LOG        warn (default), info, debug: Keywheel's own log, on standard error
  NO_COLOR            no colours; there are none without a terminal either
AWS's own variables (AWS_PROFILE, AWS_REGION, …) hold as in other programs.

Examples:
  keywheel validate manifest.yaml
  keywheel --manifest s3://my-bucket/keywheel.yaml plan
  keywheel rotate monk-deployment
  keywheel status --json | jq '.credentials[] | select(.findings != [])'";

/// Keeps Microsoft Entra client secrets fresh: shows what is due, rotates now, shows how credentials stand.
///
/// No command prints a secret's value. Only that of `KEYWHEEL_SIGN_IN_SECRET` is read, and by `check` those of the webhook secret
/// and of the notify secret.
#[derive(Debug, Parser)]
#[command(name = "keywheel", version, after_help = EXIT_CODES, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Holds the options of every command.
#[derive(Args, Debug)]
pub(crate) struct Global {
    /// Where the manifest is.
    #[arg(
        long,
        global = true,
        env = "KEYWHEEL_MANIFEST",
        value_name = "SOURCE",
        help = "The manifest: s3://bucket/key, ssm:/name or a path"
    )]
    pub(crate) manifest: Option<String>,
    /// Print the result as one JSON document
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print no progress and no remarks on standard error, only errors
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
}

/// Names the commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check a manifest: each problem with its line and its cure
    #[command(after_help = "\
Examples:
  keywheel validate manifest.yaml
  keywheel validate - < manifest.yaml
  keywheel validate s3://my-bucket/keywheel.yaml

A file needs no AWS. Exit codes: 0 valid, 1 not valid or not readable.")]
    Validate {
        /// A path, `-` for standard input, s3://… or ssm:…; default: --manifest
        #[arg(value_name = "FILE")]
        file: Option<String>,
    },
    /// Print the manifest's JSON Schema, for editors
    #[command(after_help = "\
Example:
  keywheel schema > manifest.schema.json
  # then, as the manifest's first line:
  # yaml-language-server: $schema=./manifest.schema.json")]
    Schema,
    /// Show what a sweep would do now, without doing anything
    #[command(after_help = "\
Examples:
  keywheel plan
  keywheel plan --json | jq '.planned[].credential'
  keywheel plan --detailed-exitcode --quiet > /dev/null || echo due, or an error

Reads the whole directory and the labels of the secrets; changes nothing, reads no value.
Exit codes: 0 done, 1 an error. With --detailed-exitcode, as `terraform plan`: 0 nothing is due,
1 an error (a wrong command line too), 2 something is due. Findings alone are not due.")]
    Plan {
        /// Exit with 2 if something is due
        #[arg(long)]
        detailed_exitcode: bool,
    },
    /// Check that Keywheel can be deployed, or that the deployment is as it should be
    #[command(after_help = "\
Examples:
  keywheel check --pre --client-id 408bf248-dd4e-4be5-919a-7f6207a307ab --manifest manifest.yaml
  keywheel check
  keywheel check --json | jq '.checks[] | select(.outcome == \"failed\")'

Changes nothing. Each failure and each warning names its cure. A check that needs the result of a
check that failed is skipped.
Exit codes: 0 no check failed (warnings are no failures), 1 an error, 6 a check failed.")]
    Check(Check),
    /// Rotate a credential now
    #[command(after_help = "\
Examples:
  keywheel rotate monk-deployment
  keywheel rotate --application 559513bd-0c19-4c1a-87cd-851a26afd5fc   # a rule's credential
  keywheel rotate monk-deployment --no-wait --json
  keywheel rotate monk-deployment --now-revoke-old      # the old secret has leaked

The job is put on the queue. The rotate function does the work, and goes on whatever becomes of this
program. If a rotation is under way, it is resumed, and no second one is started.
Exit codes: 0 the new secret is current (--no-wait: the job is queued), 3 not yet within --timeout,
4 refused or failed, or --now-revoke-old could not remove the old key, 130 interrupted.")]
    Rotate(Rotate),
    /// Show how credentials stand: keys, rotations under way, overlaps, findings, failed jobs
    #[command(after_help = "\
Examples:
  keywheel status
  keywheel status monk-deployment
  keywheel status --json | jq '.credentials[] | {credential, expires: .current.expires}'

Reads labels and keys only, never a value.
Exit codes: 0 done, 1 something could not be read, 4 there is no such credential.")]
    Status {
        /// Show one credential only, by its name or its secret's
        #[arg(value_name = "NAME")]
        name: Option<String>,
    },
    /// Run a sweep now, as the schedule does each hour
    #[command(after_help = "\
Examples:
  keywheel sweep
  keywheel sweep --wait
  keywheel sweep --dry-run --json | jq '.queued'

Runs the sweep function, whose name is the stack's output `SweepFunctionName`. With --wait, the jobs
that the sweep queued are followed until nothing more is due for their credentials.
Exit codes: 0 done, 1 an error, 3 not all jobs are done within --timeout, 4 a job failed for good,
130 interrupted; the jobs go on.")]
    Sweep(Sweep),
    /// Put a rule's tag on applications, so that the rule manages them
    #[command(after_help = "\
Examples:
  keywheel tag 559513bd-0c19-4c1a-87cd-851a26afd5fc
  keywheel tag --rule keywheel --dry-run $(cat apps.txt)
  keywheel tag --remove 559513bd-0c19-4c1a-87cd-851a26afd5fc

Shows which credential each application gets, and asks before it writes. Whoever runs it must be
allowed to change the applications in Entra. With --remove the secrets and keys stay as they are.
Exit codes: 0 done, 1 an error, 4 refused, such as an unknown application or rule.")]
    Tag(Tag),
    /// Read the audit trail: what was done, by whom, and whether the record is whole
    #[command(after_help = "\
Examples:
  keywheel audit show monk-deployment
  keywheel audit verify
  keywheel audit export > audit.ndjson

Needs the two buckets of the audit trail, and neither the manifest nor Entra.
Exit codes: 0 done, 1 an error, 4 nothing is recorded of NAME, 5 `verify`, `export`: a chain is
not whole.")]
    Audit(Audit),
}

/// Holds the arguments of `keywheel check`.
#[derive(Args, Debug)]
pub(crate) struct Check {
    /// Make the checks before the deployment; the manifest is then the one that --manifest names
    #[arg(long)]
    pub(crate) pre: bool,
    /// The name of the stack (default: keywheel)
    #[arg(long, env = "KEYWHEEL_STACK", value_name = "NAME")]
    pub(crate) stack: Option<String>,
    /// The client id of Keywheel's own application; default: that of the stack
    #[arg(long, value_name = "APPID")]
    pub(crate) client_id: Option<AppId>,
    /// The tenant, where no manifest can be read; default: `AZURE_TENANT_ID`
    #[arg(long, value_name = "TENANT")]
    pub(crate) tenant: Option<TenantId>,
    /// With --pre, a parameter that the stack is to be deployed with, such as SecretPrefix=prod/
    #[arg(long = "parameter", value_name = "NAME=VALUE", requires = "pre", value_parser = parameter)]
    pub(crate) parameters: Vec<(String, String)>,
}

/// Reads a parameter of the template that a check looks at.
fn parameter(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("give NAME=VALUE")?;
    if PARAMETERS.iter().all(|(known, _)| *known != name) {
        let known: Vec<_> = PARAMETERS.iter().map(|(known, _)| *known).collect();
        return Err(format!(
            "no check looks at this parameter; those that count are {}",
            known.join(", ")
        ));
    }
    Ok((name.to_owned(), value.to_owned()))
}

/// Holds the arguments of `keywheel audit`.
#[derive(Args, Debug)]
pub(crate) struct Audit {
    /// The bucket of the records
    #[arg(long, global = true, env = "KEYWHEEL_AUDIT_BUCKET", value_name = "BUCKET")]
    pub(crate) bucket: Option<String>,
    /// The bucket of the chains' heads
    #[arg(long, global = true, env = "KEYWHEEL_AUDIT_HEAD_BUCKET", value_name = "BUCKET")]
    pub(crate) head_bucket: Option<String>,
    #[command(subcommand)]
    pub(crate) command: AuditCommand,
}

/// Names the commands of `keywheel audit`.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Show what happened to a credential: what, when, who asked, which keys
    Show {
        /// The credential's name; of a finding about no credential, the application's client id
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Verify chains: each whole, or exactly where it is not
    Verify {
        /// Verify one chain only
        #[arg(value_name = "NAME")]
        name: Option<String>,
        /// Verify all chains (the default)
        #[arg(long, conflicts_with = "name")]
        all: bool,
    },
    /// Write the records to standard output, a line of JSON each, as they were recorded
    Export {
        /// Export one chain only
        #[arg(value_name = "NAME")]
        name: Option<String>,
    },
}

/// Holds the arguments of `keywheel sweep`.
#[derive(Args, Debug)]
pub(crate) struct Sweep {
    /// The sweep function: the stack's output `SweepFunctionName`
    #[arg(long, env = "KEYWHEEL_SWEEP_FUNCTION", value_name = "FUNCTION")]
    pub(crate) function: Option<String>,
    /// Let the function plan, and queue and report nothing
    #[arg(long, conflicts_with = "wait")]
    pub(crate) dry_run: bool,
    /// Wait until the queued jobs are done
    #[arg(long)]
    pub(crate) wait: bool,
    /// How long to wait for the jobs, such as 90s or 1h
    #[arg(long, default_value = "15m", value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(crate) timeout: Duration,
}

/// Holds the arguments of `keywheel tag`.
#[derive(Args, Debug)]
pub(crate) struct Tag {
    /// The client ids of the applications
    #[arg(value_name = "APPID", required = true)]
    pub(crate) applications: Vec<AppId>,
    /// The rule, by its tag; default: the only rule
    #[arg(long, value_name = "TAG")]
    pub(crate) rule: Option<String>,
    /// Take the tag off
    #[arg(long)]
    pub(crate) remove: bool,
    /// Show what would change, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
}

/// Holds the arguments of `keywheel rotate`.
#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "a command line is made of switches")]
pub(crate) struct Rotate {
    /// The credential's name in the manifest; of a rule's credential, its secret's name
    #[arg(value_name = "NAME", required_unless_present = "application")]
    pub(crate) name: Option<String>,
    /// The client id of the credential's application: for a credential that a rule makes
    #[arg(long, value_name = "APPID")]
    pub(crate) application: Option<AppId>,
    /// Remove the old key as soon as the new secret is current: whoever still uses it is locked out
    #[arg(long)]
    pub(crate) now_revoke_old: bool,
    /// Do not ask before --now-revoke-old
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Wait until the new secret is current (the default)
    #[arg(long, overrides_with = "no_wait")]
    pub(crate) wait: bool,
    /// Queue the job and leave
    #[arg(long, overrides_with = "wait")]
    pub(crate) no_wait: bool,
    /// How long to wait, such as 90s or 1h
    #[arg(long, default_value = "15m", value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(crate) timeout: Duration,
}

impl Rotate {
    /// Says when the old key is to be removed.
    pub(crate) fn revoke_old(&self) -> RevokeOld {
        if self.now_revoke_old { RevokeOld::Now } else { RevokeOld::AfterOverlap }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
