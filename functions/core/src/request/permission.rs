//! Permissions: the manifest's `allow` and `approval`, and nothing else. A caller who is not named may do nothing.

use chrono::{DateTime, TimeDelta, Utc};

use crate::manifest::{Allow, Approval};

/// The time within which an approval may be given after the request.
pub const APPROVAL_LASTS: TimeDelta = TimeDelta::minutes(30);

/// The caller, by the signature of the request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Caller {
    /// A person in Slack.
    Slack {
        /// The workspace's id (`T…`).
        team: String,
        /// The user's id (`U…`).
        user: String,
    },
    /// A system that signs its webhooks.
    Webhook {
        /// The name of the system's keys.
        key: String,
    },
}

impl std::fmt::Display for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Slack { team, user } => write!(f, "slack:{team}/{user}"),
            Self::Webhook { key } => write!(f, "webhook:{key}"),
        }
    }
}

/// The decision about a request to rotate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The rotation begins.
    Begin,
    /// The rotation begins once a second person has approved the request.
    Ask,
    /// The rotation does not begin.
    Refuse(Refusal),
}

/// Why a caller may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The manifest does not name the caller.
    #[error("the manifest does not allow you to rotate this credential")]
    NotAllowed,
    /// Only people can be asked to approve, and only in Slack.
    #[error("this rotation needs the approval of a second person: ask for the rotation in Slack")]
    NeedsPeople,
    /// The person who asked cannot approve.
    #[error("you asked for this rotation yourself: somebody else must approve")]
    SamePerson,
    /// The request is too old.
    #[error("the request is more than 30 minutes old: ask again")]
    TooLate,
}

impl Allow {
    /// Says whether the manifest names the caller.
    pub fn names(&self, caller: &Caller) -> bool {
        match caller {
            Caller::Slack { team, user } => self.slack.contains(&(team.clone(), user.clone())),
            Caller::Webhook { key } => self.webhook.contains(key),
        }
    }
}

/// Says whether a request begins, waits for approval, or is refused.
pub fn decide(caller: &Caller, allow: &Allow, approval: Approval) -> Decision {
    match (allow.names(caller), approval, caller) {
        (false, _, _) => Decision::Refuse(Refusal::NotAllowed),
        (true, Approval::None, _) => Decision::Begin,
        (true, Approval::Required, Caller::Slack { .. }) => Decision::Ask,
        (true, Approval::Required, Caller::Webhook { .. }) => {
            Decision::Refuse(Refusal::NeedsPeople)
        }
    }
}

/// Says whether a caller may approve the request of another. The manifest must still name the asker too.
pub fn approve(
    approver: &Caller,
    asker: &Caller,
    asked_at: DateTime<Utc>,
    allow: &Allow,
    now: DateTime<Utc>,
) -> Result<(), Refusal> {
    if !matches!(approver, Caller::Slack { .. }) {
        return Err(Refusal::NeedsPeople);
    }
    if !allow.names(approver) || !allow.names(asker) {
        return Err(Refusal::NotAllowed);
    }
    if same_person(approver, asker) {
        return Err(Refusal::SamePerson);
    }
    if now >= asked_at + APPROVAL_LASTS {
        return Err(Refusal::TooLate);
    }
    Ok(())
}

/// Says whether a caller may deny a request: a person who may rotate the credential, or the asker, who withdraws the
/// request.
///
/// Neither the request's age nor the asker's permission matters, because a rotation that does not begin harms nobody.
pub fn deny(denier: &Caller, asker: &Caller, allow: &Allow) -> Result<(), Refusal> {
    match denier {
        Caller::Webhook { .. } => Err(Refusal::NeedsPeople),
        Caller::Slack { .. } if allow.names(denier) || same_person(denier, asker) => Ok(()),
        Caller::Slack { .. } => Err(Refusal::NotAllowed),
    }
}

/// Says whether two callers are the same person, by the user's id alone.
///
/// In an enterprise grid a command names the workspace where it was typed, and a button the home workspace of the person
/// who pressed. Two strangers with one id cannot approve for each other but can deny, which is safe.
pub fn same_person(one: &Caller, other: &Caller) -> bool {
    match (one, other) {
        (Caller::Slack { user: one, .. }, Caller::Slack { user: other, .. }) => one == other,
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(team: &str, user: &str) -> Caller {
        Caller::Slack { team: team.to_owned(), user: user.to_owned() }
    }

    fn system(key: &str) -> Caller {
        Caller::Webhook { key: key.to_owned() }
    }

    fn callers() -> Vec<Caller> {
        let mut all: Vec<_> = ["T1", "T2"]
            .iter()
            .flat_map(|team| ["U1", "U2"].map(|user| person(team, user)))
            .collect();
        all.extend([system("ci"), system("U1"), system("T1")]);
        all
    }

    fn pairs() -> impl Iterator<Item = (Caller, Caller)> {
        let with_all = |one: Caller| callers().into_iter().map(move |other| (one.clone(), other));
        callers().into_iter().flat_map(with_all)
    }

    /// Lists every set of callers that a manifest could name.
    fn allows() -> Vec<Allow> {
        let callers = callers();
        (0..1_u32 << callers.len())
            .map(|bits| {
                let mut allow = Allow::default();
                for (index, caller) in callers.iter().enumerate() {
                    if bits & (1 << index) != 0 {
                        match caller.clone() {
                            Caller::Slack { team, user } => drop(allow.slack.insert((team, user))),
                            Caller::Webhook { key } => drop(allow.webhook.insert(key)),
                        }
                    }
                }
                allow
            })
            .collect()
    }

    #[test]
    fn whoever_is_not_named_may_not_and_a_second_person_is_asked() {
        for allow in allows() {
            for caller in callers() {
                let named = match &caller {
                    Caller::Slack { team, user } => {
                        allow.slack.iter().any(|(t, u)| t == team && u == user)
                    }
                    Caller::Webhook { key } => allow.webhook.iter().any(|k| k == key),
                };
                let none = decide(&caller, &allow, Approval::None);
                let required = decide(&caller, &allow, Approval::Required);
                if !named {
                    assert_eq!(none, Decision::Refuse(Refusal::NotAllowed));
                    assert_eq!(required, none);
                } else if matches!(caller, Caller::Slack { .. }) {
                    assert_eq!((none, required), (Decision::Begin, Decision::Ask));
                } else {
                    let refused = Decision::Refuse(Refusal::NeedsPeople);
                    assert_eq!((none, required), (Decision::Begin, refused));
                }
            }
        }
    }

    #[test]
    fn only_another_named_person_approves_in_time_and_the_asker_may_withdraw() {
        let asked = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let user = |caller: &Caller| match caller {
            Caller::Slack { user, .. } => Some(user.clone()),
            Caller::Webhook { .. } => None,
        };
        for allow in allows() {
            for (caller, asker) in pairs() {
                let person = user(&caller).is_some();
                let another = user(&caller) != user(&asker);
                let may_deny = person && (allow.names(&caller) || !another);
                assert_eq!(deny(&caller, &asker, &allow).is_ok(), may_deny, "{caller} {asker}");
                for minutes in [0, 29, 30, 31] {
                    let now = asked + TimeDelta::minutes(minutes);
                    let named = allow.names(&caller) && allow.names(&asker);
                    let may = approve(&caller, &asker, asked, &allow, now).is_ok();
                    assert_eq!(
                        may,
                        person && named && another && minutes < 30,
                        "{caller} {asker} {minutes}"
                    );
                    assert!(!may || may_deny, "{caller} {asker}");
                }
            }
        }
    }
}
