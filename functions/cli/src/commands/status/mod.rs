//! `keywheel status`: how credentials stand, by labels and keys alone.

mod credential;

use futures::StreamExt;
use indicatif::ProgressBar;
use keywheel_core::engine::Engine;
use keywheel_core::manifest::Credential;
use serde::Serialize;

use super::failed_jobs::FailedJobs;
use crate::args::Global;
use crate::exit::{Exit, Failure};
use crate::find::find;
use crate::report::Report;
use crate::session::{Session, later, soon};
use crate::terminal::{Terminal, Tone};
use crate::text::{count, plain};
use credential::{CredentialStatus, short};

/// How many credentials are read side by side. Graph's budget is shared with the functions.
const SIDE_BY_SIDE: usize = 4;

const HEADER: [&str; 6] =
    ["CREDENTIAL", "CURRENT KEY", "EXPIRES", "UNDER WAY", "OLD KEYS", "FINDINGS"];

/// How the credentials stand.
#[derive(Debug, Serialize)]
struct Statuses {
    credentials: Vec<CredentialStatus>,
    /// Whether one credential was asked for by its name.
    #[serde(skip)]
    is_named: bool,
}

/// Reads the credentials and prints how they stand.
pub(crate) async fn run(
    global: &Global,
    name: Option<&str>,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let read = async |progress: &_| read(global, name, terminal, progress).await;
    let credentials = terminal.progress("signing in", read).await?;
    let unread = credentials.iter().filter(|one| one.error.is_some()).count();
    terminal.show(&Statuses { credentials, is_named: name.is_some() })?;
    if unread == 0 {
        return Ok(Exit::Done);
    }
    terminal.note(&format!("{} could not be read", count(unread, "credential")));
    Ok(Exit::Failed)
}

async fn read(
    global: &Global,
    name: Option<&str>,
    terminal: &Terminal,
    progress: &ProgressBar,
) -> Result<Vec<CredentialStatus>, Failure> {
    let session = Session::open(global).await?;
    let engine = &session.engine;
    let credentials = match name {
        Some(name) => vec![find(engine, Some(name), None).await?],
        None => all(engine, terminal).await?,
    };
    let all = count(credentials.len(), "credential");
    let failed = failed_jobs(&session, terminal).await;
    let reads = credentials.into_iter().map(|credential| {
        let failed = failed.as_ref().map(|failed| failed.of_credential(&credential).to_vec());
        async move {
            let inspection = engine.inspect(&credential, soon()).await;
            CredentialStatus::new(&credential, inspection, failed)
        }
    });
    let mut reads = futures::stream::iter(reads).buffered(SIDE_BY_SIDE);
    let mut statuses = Vec::new();
    progress.set_message(format!("read 0 of {all}"));
    while let Some(status) = reads.next().await {
        statuses.push(status);
        progress.set_message(format!("read {} of {all}", statuses.len()));
    }
    Ok(statuses)
}

/// Reads which jobs failed. `None`: a remark says why they are not shown.
async fn failed_jobs(session: &Session, terminal: &Terminal) -> Option<FailedJobs> {
    let read = async {
        let queue = session.clients.queue()?;
        Ok::<_, Failure>(FailedJobs::read(&queue).await?)
    };
    let unread =
        |why: &Failure| terminal.note(&format!("failed jobs are not shown: {}", why.with_cure()));
    read.await.inspect_err(unread).ok()
}

/// Lists the credentials of the manifest, then those that rules make of the directory.
///
/// Warns of objects that cannot be read: a rule's tag may be on them.
async fn all(engine: &Engine, terminal: &Terminal) -> Result<Vec<Credential>, Failure> {
    let mut all: Vec<Credential> = engine.manifest().credentials().cloned().collect();
    let (ruled, left_out) = engine.all_ruled(later()).await?;
    for finding in left_out {
        terminal.note(&format!("warning: {}: {}", finding.name(), plain(&finding.explanation())));
    }
    all.extend(ruled);
    Ok(all)
}

impl Report for Statuses {
    fn print(&self, terminal: &Terminal) -> Result<(), Failure> {
        match self.credentials.as_slice() {
            [] => {
                terminal.print("no credentials: the manifest lists none, and no tag matches a rule")
            }
            [one] if self.is_named => terminal.print(&one.detail()),
            all => terminal.print_table(&HEADER, 0, all.iter().map(row).collect()),
        }
    }
}

fn row(one: &CredentialStatus) -> Vec<(String, Tone)> {
    let mut name = one.credential.to_string();
    if name != one.secret {
        name = format!("{name}\n{}", plain(&one.secret));
    }
    if let Some(error) = &one.error {
        let mut row = vec![(name, Tone::Plain), (plain(error), Tone::Bad)];
        row.resize(HEADER.len(), (String::new(), Tone::Plain));
        return row;
    }
    vec![
        (name, Tone::Plain),
        (one.key_text(|key| short(&key)), Tone::Plain),
        (one.expiry_text(), if one.is_due() { Tone::Due } else { Tone::Plain }),
        (one.pending_text(), Tone::Due),
        (one.overlap_text(), Tone::Plain),
        (one.findings_text(), if one.is_urgent() { Tone::Bad } else { Tone::Plain }),
    ]
}
