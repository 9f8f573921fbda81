//! Checks of the AWS account.

use super::seen::{Parameters, Seen};
use super::verdict::Verdict;

/// How many functions run at once beside rotations: one sweep, two notifiers, five writers of the record, two comparisons.
const BESIDE_ROTATIONS: u32 = 10;
/// So much of the account's limit Lambda lets nobody reserve, or all of a smaller limit.
const KEPT: u32 = 100;

pub(super) fn sign_in(seen: &Seen) -> Verdict {
    seen.caller.judge(|caller| {
        Verdict::passed(format!("signed in to AWS as {}, in {}", caller.arn, caller.region))
    })
}

/// Says whether the functions sign in by the account's tokens.
pub(super) fn is_federated(parameters: &Parameters) -> bool {
    parameters.is("SignIn", "federated")
}

pub(super) fn outbound_federation(seen: &Seen) -> Verdict {
    if seen.parameters.get().is_some_and(|parameters| !is_federated(parameters)) {
        return Verdict::skipped(
            "the functions do not sign in with tokens of AWS: SignIn is not federated",
        );
    }
    seen.issuer.judge(|issuer| match issuer {
        Some(issuer) => Verdict::passed(format!("the account issues tokens as {issuer}")),
        None => Verdict::failed(
            "outbound identity federation is off in this account, so that the functions cannot sign in to \
            Entra",
            "run `aws iam enable-outbound-web-identity-federation`",
        ),
    })
}

pub(super) fn concurrency(seen: &Seen) -> Verdict {
    seen.concurrency.judge(|account| {
        seen.parameters.given("the stack", |parameters| {
            let unreserved = account.unreserved;
            let reserved = parameters.number("WebhookConcurrency");
            let left = unreserved.saturating_sub(account.limit.min(KEPT));
            if seen.pre && reserved > left {
                return Verdict::failed(
                    format!("WebhookConcurrency reserves {reserved}, and this account may reserve {left} \
                    more"),
                    "deploy with WebhookConcurrency=0, or ask AWS for more concurrent executions (Service \
                    Quotas, Lambda)",
                );
            }
            let left = if seen.pre { unreserved.saturating_sub(reserved) } else { unreserved };
            let wanted = parameters.number("RotationConcurrency") + BESIDE_ROTATIONS;
            if wanted <= left {
                return Verdict::passed(format!("{left} functions may run at once, and Keywheel's take up \
                to {wanted}"));
            }
            let ask = "ask AWS for more concurrent executions (Service Quotas, Lambda)";
            let cure = match left.saturating_sub(BESIDE_ROTATIONS) {
                0 | 1 => ask.to_owned(),
                fewer => format!("deploy with RotationConcurrency={fewer}, or {ask}"),
            };
            Verdict::warned(
                format!(
                    "{left} functions may run at once, and Keywheel's take up to {wanted}: many rotations \
                    at once wait for each other"
                ),
                cure,
            )
        })
    })
}
