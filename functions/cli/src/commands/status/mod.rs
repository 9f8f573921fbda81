//! `keywheel status`: how credentials stand, from labels and keys alone.

mod credential;

use futures::StreamExt;
use keywheel_core::engine::Engine;
use keywheel_core::manifest::Credential;
use serde::Serialize;

use crate::args::{Global, Status};
use crate::exit::{Exit, Failure};
use crate::find::find;
use crate::session::{Session, later, soon};
use crate::terminal::{Terminal, Tone};
use crate::text::{count, plain};
use credential::{CredentialStatus, status};

/// So many credentials are read side by side; Graph's budget is shared with the functions.
const SIDE_BY_SIDE: usize = 4;

/// The result as JSON.
#[derive(Debug, Serialize)]
struct Shape<'a> {
    credentials: &'a [CredentialStatus],
}

/// Reads the credentials and prints how they stand.
pub(crate) async fn run(
    global: &Global,
    args: &Status,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let progress = terminal.spinner("signing in");
    let statuses = read(global, args, terminal, |done, all| {
        progress.set_message(format!("read {done} of {}", count(all, "credential")));
    })
    .await;
    progress.finish_and_clear();
    let statuses = statuses?;
    if terminal.json {
        terminal.print_json(&Shape { credentials: &statuses })?;
    } else if args.name.is_some() {
        for one in &statuses {
            terminal.print(&one.detail())?;
        }
    } else {
        print_table(&statuses, terminal)?;
    }
    let unread = statuses.iter().filter(|one| one.error.is_some()).count();
    if unread == 0 {
        return Ok(Exit::Done);
    }
    terminal.note(&format!("{} could not be read", count(unread, "credential")));
    Ok(Exit::Failed)
}

async fn read(
    global: &Global,
    args: &Status,
    terminal: &Terminal,
    show: impl Fn(usize, usize),
) -> Result<Vec<CredentialStatus>, Failure> {
    let session = Session::open(global).await?;
    let engine = &session.engine;
    let credentials = match &args.name {
        Some(name) => vec![find(engine, Some(name), None).await?],
        None => all(engine, terminal).await?,
    };
    let number = credentials.len();
    show(0, number);
    let reads = credentials.into_iter().map(|credential| async move {
        let inspection = engine.inspect(&credential, soon()).await;
        status(&credential, inspection)
    });
    let mut reads = futures::stream::iter(reads).buffered(SIDE_BY_SIDE);
    let mut statuses = Vec::with_capacity(number);
    while let Some(standing) = reads.next().await {
        statuses.push(standing);
        show(statuses.len(), number);
    }
    Ok(statuses)
}

/// The listed credentials, then those that rules make of the directory. Warns of objects that cannot be read: a rule's
/// tag may be on them.
async fn all(engine: &Engine, terminal: &Terminal) -> Result<Vec<Credential>, Failure> {
    let mut all: Vec<Credential> = engine.manifest().credentials().cloned().collect();
    let (ruled, left_out) = engine.all_ruled(later()).await?;
    for finding in left_out {
        terminal.note(&format!("warning: {}: {}", finding.name(), plain(&finding.explanation())));
    }
    all.extend(ruled);
    Ok(all)
}

const HEADER: [&str; 6] =
    ["CREDENTIAL", "CURRENT KEY", "EXPIRES", "UNDER WAY", "OLD KEYS", "FINDINGS"];

fn print_table(statuses: &[CredentialStatus], terminal: &Terminal) -> Result<(), Failure> {
    if statuses.is_empty() {
        return terminal
            .print("no credentials: the manifest lists none, and no tag matches a rule");
    }
    terminal.print_table(&HEADER, 0, statuses.iter().map(row).collect())
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
    let expiry = if one.is_due() { Tone::Due } else { Tone::Plain };
    let finding = if one.has_stopped() { Tone::Bad } else { Tone::Plain };
    vec![
        (name, Tone::Plain),
        (one.short_key_text(), Tone::Plain),
        (one.expiry_text(), expiry),
        (one.pending_text(), Tone::Due),
        (one.overlap_text(), Tone::Plain),
        (one.findings_text(), finding),
    ]
}
