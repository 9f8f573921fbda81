//! `keywheel rotate`: queues a rotation and follows it.

mod dead_letter_watch;
mod decision;
mod follow;
mod result;
mod unremovable;

use chrono::Utc;
use keywheel_core::engine::inspect::Inspection;
use keywheel_core::manifest::Credential;
use keywheel_core::queue::Job;

use crate::args::{Global, Rotate};
use crate::exit::{Exit, Failure};
use crate::find::find;
use crate::session::{Session, soon};
use crate::terminal::Terminal;
use dead_letter_watch::DeadLetterWatch;
use decision::{Decision, confirm, decide, warn};
use follow::Follow;
use result::{Outcome, RotationResult};

/// Queues the rotation, and follows it unless `--no-wait` is given.
pub(crate) async fn run(
    global: &Global,
    args: &Rotate,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let prepared = prepare(global, args, terminal).await;
    if let Err(failure) = &prepared
        && failure.exit == Exit::Refused
        && terminal.json
    {
        terminal.print_json(&RotationResult::refused(args, failure))?;
    }
    let (session, credential, decision) = prepared?;
    let job = job(&session, &credential, &decision, args);
    let queue = session.clients.queue()?;
    let follows = args.wait || !args.no_wait;
    let mut dead_letters = Ok(None);
    if follows {
        dead_letters = DeadLetterWatch::begin(&queue, credential.application, &decision).await;
    }
    queue.send_batch(std::slice::from_ref(&job)).await?;
    let mut result = RotationResult::queued(&credential, &decision, &job, args);
    if follows {
        let mut follow = Follow::new(&credential, &decision, args, terminal);
        let end = follow.run(session.engine.secrets(), dead_letters).await;
        if matches!(end.outcome, Outcome::Promoted | Outcome::Superseded) {
            // The rotation is done, whether this can be read or not.
            let inspection = session.engine.inspect(&credential, soon()).await;
            inspection.iter().for_each(|inspection| result.look_ahead(inspection));
        }
        result.follow(follow, end);
    }
    result.tell(terminal)
}

/// Finds the credential and decides. Nothing is changed.
async fn prepare(
    global: &Global,
    args: &Rotate,
    terminal: &Terminal,
) -> Result<(Session, Credential, Decision), Failure> {
    let look = async |_: &_| look(global, args).await;
    let (session, credential, inspection) = terminal.progress("looking", look).await?;
    let revoke_old = args.now_revoke_old;
    let mut decision = decide(&credential, &inspection, revoke_old)?;
    warn(&credential, &decision, terminal);
    if revoke_old && !args.yes {
        confirm(&credential, &decision, terminal)?;
        // The answer may have taken a while.
        let inspection = session.engine.inspect(&credential, soon()).await?;
        let unremovable = decision.unremovable;
        decision = decide(&credential, &inspection, revoke_old)?;
        if decision.unremovable != unremovable {
            warn(&credential, &decision, terminal);
        }
    }
    Ok((session, credential, decision))
}

async fn look(
    global: &Global,
    args: &Rotate,
) -> Result<(Session, Credential, Inspection), Failure> {
    let session = Session::open(global).await?;
    // Without a queue there is nothing to ask or to decide.
    session.clients.queue()?;
    let credential = find(&session.engine, args.name.as_deref(), args.application).await?;
    let inspection = session.engine.inspect(&credential, soon()).await?;
    Ok((session, credential, inspection))
}

fn job(session: &Session, credential: &Credential, decision: &Decision, args: &Rotate) -> Job {
    let user = || std::env::var("USER").ok();
    let caller = session.clients.caller().map(str::to_owned);
    let requested_by = caller.or_else(user);
    Job::requested(
        credential,
        decision.rotation.clone(),
        decision.replaces.clone(),
        args.revoke_old(),
        requested_by.unwrap_or_else(|| "keywheel rotate".to_owned()),
        Utc::now(),
    )
}
