//! `keywheel sweep`: runs the sweep function now, and follows the jobs that it queued.

mod follow;

use keywheel_core::deployment::Deployment;
use keywheel_core::engine::EngineError;
use keywheel_core::http::{self, Http};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::args::{Global, Sweep};
use crate::exit::{Exit, Failure};
use crate::report::Report;
use crate::terminal::{Terminal, Tone};
use crate::text::count;
use follow::{Followed, Following};

/// The sweep function's answer, and what became of the jobs.
#[derive(Debug, Serialize, Deserialize)]
struct Swept {
    credentials: usize,
    objects: usize,
    queued: Vec<Queued>,
    findings: usize,
    finished: bool,
    /// `None`: the jobs were not followed.
    #[serde(skip_deserializing)]
    followed: Option<Followed>,
}

/// A job that the sweep queued.
#[derive(Debug, Serialize, Deserialize)]
struct Queued {
    credential: String,
    work: String,
}

/// Runs a sweep, prints what the sweep did, and with `--wait` follows the jobs.
pub(crate) async fn run(
    global: &Global,
    args: &Sweep,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let given = args.function.as_deref().filter(|name| !name.trim().is_empty());
    let function = given.ok_or_else(|| {
        let cure = "give --function or set KEYWHEEL_SWEEP_FUNCTION: the stack's output `SweepFunctionName`";
        Failure::new(Exit::Usage, "no sweep function is given", cure)
    })?;
    let following = if args.wait {
        let begin = async |_: &_| Following::begin(global).await;
        Some(terminal.progress("signing in", begin).await?)
    } else {
        None
    };
    let invoke = async |_: &_| invoke(function, args.dry_run).await;
    let mut swept = terminal.progress("the sweep function is running", invoke).await?;
    if let Some(following) = &following {
        let names = swept.queued.iter().map(|job| job.credential.clone());
        swept.followed = Some(following.follow(names.collect(), args.timeout, terminal).await?);
    }
    terminal.show(&swept)?;
    Ok(swept.followed.as_ref().map_or(Exit::Done, Followed::exit))
}

async fn invoke(function: &str, dry_run: bool) -> Result<Swept, Failure> {
    let http = Http::from_env().map_err(EngineError::from)?;
    let aws = http::aws::config(&http).await;
    let event = if dry_run { json!({ "dry_run": true }) } else { json!({}) };
    let answer =
        Deployment::new(&http, &aws).invoke(function, &event).await.map_err(|failure| {
            let cure = match failure.code.as_deref() {
                Some("ResourceNotFoundException" | "keywheel.event") => {
                    "take the stack's output `SweepFunctionName`, and check the region"
                }
                Some("AccessDeniedException") => {
                    "allow lambda:InvokeFunction on the sweep function"
                }
                None if failure.message == http::aws::NO_CREDENTIALS => crate::exit::SIGN_IN_TO_AWS,
                None => {
                    "check the network, AWS_REGION and AWS_ENDPOINT_URL; a sweep that began goes on"
                }
                Some(_) => "run `keywheel check`, and look at the sweep function's log",
            };
            Failure::new(
                Exit::Failed,
                format!("the sweep function {function} failed: {failure}"),
                cure,
            )
        })?;
    serde_json::from_value(answer).map_err(|_| {
        let what = format!("the function {function} does not answer as a sweep function does");
        Failure::new(Exit::Failed, what, "take the stack's output `SweepFunctionName`")
    })
}

impl Report for Swept {
    fn print(&self, terminal: &Terminal) -> Result<(), Failure> {
        if !self.queued.is_empty() {
            let state = |job: &Queued| match &self.followed {
                Some(followed) => followed.state(&job.credential),
                None => (String::new(), Tone::Plain),
            };
            let row = |job: &Queued| {
                vec![
                    (job.credential.clone(), Tone::Plain),
                    (job.work.clone(), Tone::Due),
                    state(job),
                ]
            };
            terminal.print_table(
                &["CREDENTIAL", "QUEUED", ""],
                0,
                self.queued.iter().map(row).collect(),
            )?;
            terminal.print("")?;
        }
        terminal.print(&format!(
            "{} queued, {}; {} and {} looked at{}",
            count(self.queued.len(), "job"),
            count(self.findings, "finding"),
            count(self.credentials, "credential"),
            count(self.objects, "directory object"),
            if self.finished {
                ""
            } else {
                "; the sweep ran out of time, and a further sweep goes on by itself"
            },
        ))
    }
}
