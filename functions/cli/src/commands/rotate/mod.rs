//! `keywheel rotate`: queues a rotation and follows it.

mod decide;
mod follow;
mod left;
mod letters;
mod result;

use chrono::Utc;
use keywheel_core::engine::inspect::Inspection;
use keywheel_core::manifest::Credential;
use keywheel_core::queue::{Job, RevokeOld, Work};
use keywheel_core::rotation::plan::Reason;

use crate::args::{Global, Rotate};
use crate::exit::{Exit, Failure};
use crate::find::find;
use crate::session::{Session, soon};
use crate::terminal::Terminal;
use decide::Decision;
use follow::{End, Follow};
use letters::Letters;
use result::Shape;

/// Queues the rotation, and follows it unless that is not wanted.
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
        terminal.print_json(&Shape::refused(args, failure))?;
    }
    let (session, credential, decision) = prepared?;
    let job = job(&session, &credential, &decision, args);
    let queue = session.clients.queue()?;
    let follows = args.wait || !args.no_wait;
    let mut letters = Ok(None);
    if follows {
        letters = Letters::before(&queue, credential.application, &decision).await;
    }
    queue.send_batch(std::slice::from_ref(&job)).await?;
    let mut shape = Shape::queued(&credential, &decision, &job, args);
    if !follows {
        let exit = decision.left.map_or(Exit::Done, |_| Exit::Refused);
        return shape.tell(terminal, exit);
    }
    let mut follow = Follow::new(&credential, &decision, args, terminal);
    let end = follow.run(session.engine.secrets(), letters).await;
    if matches!(end, End::Done | End::Superseded) {
        // For when the old key goes. The rotation is done, whether this can be read or not.
        let inspection = session.engine.inspect(&credential, soon()).await.ok();
        shape.finish(inspection.as_ref(), &decision);
    }
    shape.follow(&follow, &end);
    shape.tell(terminal, end.exit())
}

/// Everything up to the queue: nothing is changed in here.
async fn prepare(
    global: &Global,
    args: &Rotate,
    terminal: &Terminal,
) -> Result<(Session, Credential, Decision), Failure> {
    let progress = terminal.spinner("looking");
    let seen = look(global, args).await;
    progress.finish_and_clear();
    let (session, credential, inspection) = seen?;
    let revoke_old = args.now_revoke_old;
    let mut decision = decide::decide(&credential, &inspection, revoke_old)?;
    decide::warn(&credential, &decision, terminal);
    if revoke_old && !args.yes {
        decide::confirm(&credential, &decision, terminal)?;
        // It may have taken a while to answer.
        let inspection = session.engine.inspect(&credential, soon()).await?;
        let left = decision.left;
        decision = decide::decide(&credential, &inspection, revoke_old)?;
        if decision.left != left {
            decide::warn(&credential, &decision, terminal);
        }
    }
    Ok((session, credential, decision))
}

async fn look(
    global: &Global,
    args: &Rotate,
) -> Result<(Session, Credential, Inspection), Failure> {
    let session = Session::open(global).await?;
    // Before anything else: without a queue there is nothing to ask or to decide.
    session.clients.queue()?;
    let credential = find(&session.engine, args.name.as_deref(), args.application).await?;
    let inspection = session.engine.inspect(&credential, soon()).await?;
    Ok((session, credential, inspection))
}

fn job(session: &Session, credential: &Credential, decision: &Decision, args: &Rotate) -> Job {
    let user = || std::env::var("USER").ok();
    let caller = session.clients.caller().map(str::to_owned);
    let requested_by = caller.or_else(user);
    let requested_by = requested_by.unwrap_or_else(|| "keywheel rotate".to_owned());
    let work = Work::Rotate {
        rotation: decision.rotation.clone(),
        replaces: decision.replaces.clone(),
        reason: Reason::Requested,
        revoke_old: if args.now_revoke_old { RevokeOld::Now } else { RevokeOld::AfterOverlap },
    };
    Job::new(credential.name.clone(), credential.application, work, requested_by, Utc::now())
}
