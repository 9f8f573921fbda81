//! `keywheel tag`: puts a rule's tag on applications, so that the rule manages them.

use keywheel_core::graph::DirectoryObject;
use keywheel_core::ids::{AppId, CredentialName};
use keywheel_core::manifest::{Manifest, Rule};
use serde::Serialize;

use crate::args::{Global, Tag};
use crate::exit::{Exit, Failure};
use crate::find::{list, not_a_client_id};
use crate::report::Report;
use crate::session::{Session, soon};
use crate::terminal::{Terminal, Tone};
use crate::text::{count, plain};

/// Lists the applications, and the credential that each has from now on.
#[derive(Debug, Serialize)]
struct Tagged {
    tag: String,
    applications: Vec<TaggedApplication>,
}

#[derive(Debug, Serialize)]
struct TaggedApplication {
    application: AppId,
    display_name: Option<String>,
    /// The credential of the application under the rule; `None` if another entry of the manifest manages the application.
    credential: Option<CredentialName>,
    outcome: Outcome,
}

/// The effect of the command on an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    /// The application gets the tag, or loses it with `--remove`.
    Changed,
    /// The application has the tag already, or with `--remove` has no such tag.
    Unchanged,
    /// The manifest lists the application by name, or an earlier rule fits: the tag would change nothing.
    Elsewhere,
}

/// Shows what the rule manages once the applications have the tag, asks, and tags them.
pub(crate) async fn run(global: &Global, args: &Tag, terminal: &Terminal) -> Result<Exit, Failure> {
    let read = async |_: &_| read(global, args).await;
    let (session, tag, applications) = terminal.progress("looking", read).await?;
    let manifest = session.engine.manifest();
    let planned = applications.iter().map(|found| plan(manifest, found, &tag, args.remove));
    let applications = planned.collect();
    let result = Tagged { tag, applications };
    let changes: Vec<AppId> = result.changes().collect();
    if !terminal.json || args.dry_run {
        terminal.show(&result)?;
    }
    if args.dry_run || changes.is_empty() {
        return Ok(Exit::Done);
    }
    if !args.yes {
        confirm(&result, changes.len(), args.remove, terminal)?;
    }
    write(&session, &changes, &result.tag, args.remove, terminal).await?;
    if terminal.json {
        terminal.show(&result)?;
    }
    let done = if args.remove { "untagged" } else { "tagged" };
    terminal.note(&format!(
        "{} {done}; the next sweep sees the change",
        count(changes.len(), "application")
    ));
    Ok(Exit::Done)
}

/// Chooses the rule's tag and reads the applications. Each must be there.
async fn read(
    global: &Global,
    args: &Tag,
) -> Result<(Session, String, Vec<DirectoryObject>), Failure> {
    let session = Session::open(global).await?;
    let engine = &session.engine;
    let tag = chosen(engine.manifest(), args.rule.as_deref())?;
    let found = engine.applications(&args.applications, soon()).await?;
    for wanted in &args.applications {
        if found.iter().any(|found| found.app_id == *wanted) {
            continue;
        }
        return Err(match engine.object_id_given(*wanted, soon()).await? {
            Some(given) => not_a_client_id(*wanted, &given),
            None => Failure::new(
                Exit::Refused,
                format!("Graph knows no application {wanted}; nothing was tagged"),
                "correct the client id, or `tenant` in the manifest",
            ),
        });
    }
    Ok((session, tag, found))
}

/// Chooses the rule by its tag. The only rule need not be named.
fn chosen(manifest: &Manifest, given: Option<&str>) -> Result<String, Failure> {
    let tags: Vec<&str> = manifest.rules().iter().map(Rule::tag).collect();
    let refuse = |what: &str, cure: String| Failure::new(Exit::Refused, what, cure);
    match (given, tags.as_slice()) {
        (_, []) => Err(refuse(
            "the manifest has no rule, so a tag would manage nothing",
            "add a rule under `rules`".to_owned(),
        )),
        (None, [only]) => Ok((*only).to_owned()),
        (None, several) => Err(refuse(
            "the manifest has several rules",
            format!("name one by its tag: --rule {}", list(several)),
        )),
        (Some(given), all) if all.contains(&given) => Ok(given.to_owned()),
        (Some(given), all) => Err(refuse(
            &format!("no rule of the manifest has the tag {}", plain(given)),
            format!("name one of {}; capital letters count", list(all)),
        )),
    }
}

fn plan(
    manifest: &Manifest,
    found: &DirectoryObject,
    tag: &str,
    remove: bool,
) -> TaggedApplication {
    let with = tags(found, tag, false);
    let managed = manifest.by_tags(found.app_id, &with);
    let by_this_rule = managed.filter(|managed| managed.is_of_rule(tag));
    let has = found.tags.iter().any(|has| has == tag);
    let outcome = match (&by_this_rule, has == remove) {
        (_, false) => Outcome::Unchanged,
        (None, true) if !remove => Outcome::Elsewhere,
        (_, true) => Outcome::Changed,
    };
    TaggedApplication {
        application: found.app_id,
        display_name: found.display_name.clone(),
        credential: by_this_rule.map(|managed| managed.credential.name),
        outcome,
    }
}

/// Gives the tags of an application with this tag, or without.
fn tags(found: &DirectoryObject, tag: &str, without: bool) -> Vec<String> {
    let others = found.tags.iter().filter(|other| *other != tag).cloned();
    others.chain((!without).then(|| tag.to_owned())).collect()
}

fn confirm(
    result: &Tagged,
    changes: usize,
    remove: bool,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let (applications, tag) = (count(changes, "application"), plain(&result.tag));
    let question = if remove {
        format!(
            "Take the tag {tag} off {applications}? Keywheel then renews their secrets no more. Go on?"
        )
    } else {
        format!(
            "Put the tag {tag} on {applications}? The next sweep makes a secret for each. Go on?"
        )
    };
    match terminal.confirm(&question)? {
        Some(true) => Ok(()),
        Some(false) => {
            let cure = "run the command again to tag the applications";
            Err(Failure::new(Exit::Refused, "not confirmed; nothing was changed", cure))
        }
        None => Err(Failure::new(
            Exit::Usage,
            "the change must be confirmed, and there is no terminal to ask the question on",
            "add --yes",
        )),
    }
}

/// Writes the tags, by a fresh read of each application: Graph replaces all tags at once, and the answer to the question
/// may have taken a while.
async fn write(
    session: &Session,
    applications: &[AppId],
    tag: &str,
    remove: bool,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let engine = &session.engine;
    terminal
        .progress("tagging", async |progress| {
            for (done, application) in applications.iter().enumerate() {
                progress.set_message(format!("tagged {done} of {}", applications.len()));
                for found in engine.applications(&[*application], soon()).await? {
                    engine.set_tags(found.id, &tags(&found, tag, remove), soon()).await?;
                }
            }
            Ok(())
        })
        .await
}

impl Tagged {
    fn changes(&self) -> impl Iterator<Item = AppId> {
        let changed = self.applications.iter().filter(|one| one.outcome == Outcome::Changed);
        changed.map(|one| one.application)
    }
}

impl Report for Tagged {
    fn print(&self, terminal: &Terminal) -> Result<(), Failure> {
        let header = ["APPLICATION", "NAME", "CREDENTIAL", &format!("TAG {}", plain(&self.tag))];
        terminal.print_table(&header, 0, self.applications.iter().map(row).collect())
    }
}

fn row(one: &TaggedApplication) -> Vec<(String, Tone)> {
    let credential = one.credential.as_ref().map(ToString::to_string);
    let (outcome, tone) = match one.outcome {
        Outcome::Changed => ("changes", Tone::Due),
        Outcome::Unchanged => ("stays as it is", Tone::Plain),
        Outcome::Elsewhere => ("not needed: another entry manages the application", Tone::Plain),
    };
    vec![
        (one.application.to_string(), Tone::Plain),
        (plain(one.display_name.as_deref().unwrap_or_default()), Tone::Plain),
        (credential.unwrap_or_default(), Tone::Plain),
        (outcome.to_owned(), tone),
    ]
}
