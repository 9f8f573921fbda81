//! Checks of the stack and of its functions.

use keywheel_core::deployment::{Function, Stack};

use super::seen::Seen;
use super::verdict::Verdict;

pub(super) const DEPLOY: &str = "run `make deploy`, or name the stack with --stack";

pub(super) fn stack(seen: &Seen) -> Verdict {
    seen.stack.judge(|stack| match stack {
        None => Verdict::failed("there is no such stack in this account and region", DEPLOY),
        Some(stack) => status(stack),
    })
}

fn status(stack: &Stack) -> Verdict {
    let reason = stack.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    let says = format!("the stack is {}{reason}", stack.status);
    match stack.status.as_str() {
        "CREATE_COMPLETE"
        | "UPDATE_COMPLETE"
        | "IMPORT_COMPLETE"
        | "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS" => Verdict::passed(says),
        "UPDATE_ROLLBACK_COMPLETE" => Verdict::warned(
            format!("{says}: the last deployment failed, and the one before runs"),
            "look at the stack's events, mend the cause, and run `make deploy`",
        ),
        status if status.ends_with("_IN_PROGRESS") => {
            Verdict::failed(says, "wait until the deployment is over, then check again")
        }
        _ => Verdict::failed(says, "look at the stack's events, mend the cause, and deploy again"),
    }
}

pub(super) fn functions(seen: &Seen) -> Verdict {
    seen.functions.judge(|functions| {
        if functions.is_empty() {
            return Verdict::failed("the stack has no outputs that name functions", DEPLOY);
        }
        let faults: Vec<_> =
            functions.iter().filter_map(|(name, read)| fault(name, read.as_ref())).collect();
        if faults.is_empty() {
            return Verdict::passed(format!("all {} functions are ready", functions.len()));
        }
        let cure = "wait a minute and check again; if nothing changes, run `make deploy`";
        Verdict::failed(faults.join("; "), cure)
    })
}

/// Says what is wrong with a function. Lambda makes an `Inactive` function active at its next run.
fn fault(name: &str, function: Option<&Function>) -> Option<String> {
    let Some(function) = function else { return Some(format!("the function {name} is gone")) };
    let because = |reason: &Option<String>| {
        reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default()
    };
    if !matches!(function.state.as_str(), "Active" | "Inactive") {
        let why = because(&function.state_reason);
        return Some(format!("the function {name} is {}{why}", function.state));
    }
    let update = function.last_update_status.as_str();
    (update != "Successful").then(|| {
        let why = because(&function.last_update_status_reason);
        format!("the last update of the function {name} is {update}{why}")
    })
}
