//! Who may do what: the manifest's `allow` and `approval`, and nothing else. Whoever is not named may not.

use chrono::{DateTime, TimeDelta, Utc};

use crate::manifest::{Allow, Approval};

/// How long an approval may be given after it was asked for.
pub const APPROVAL_LASTS: TimeDelta = TimeDelta::minutes(30);

/// Who asks, by what was signed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Caller {
    /// A person in Slack.
    Slack {
        /// The workspace's id (`T…`).
        team: String,
        /// The user's (`U…`).
        user: String,
    },
    /// A system that signs its webhooks.
    Webhook {
        /// The name of its keys.
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

/// What becomes of a request to rotate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It begins.
    Begin,
    /// It begins once somebody else has approved it.
    Ask,
    /// It does not.
    Refuse(Refusal),
}

/// Why somebody may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The manifest does not name the caller.
    #[error("the manifest does not allow you to rotate it")]
    NotAllowed,
    /// Only people can be asked to approve, and only in Slack.
    #[error("it needs a second person's approval: ask for it in Slack")]
    NeedsPeople,
    /// Whoever asked cannot approve.
    #[error("you asked for it yourself: somebody else must approve")]
    SamePerson,
    /// It was asked for too long ago.
    #[error("it was asked for more than 30 minutes ago: ask again")]
    TooLate,
}

impl Allow {
    /// Whether the caller is named.
    pub fn names(&self, caller: &Caller) -> bool {
        match caller {
            Caller::Slack { team, user } => self.slack.contains(&(team.clone(), user.clone())),
            Caller::Webhook { key } => self.webhook.contains(key),
        }
    }
}

/// Whether a request begins, waits for approval, or is refused.
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

/// Whether somebody may approve what another asked for. The asker may have been struck off since.
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

/// Whether somebody may deny what another asked for: whoever may rotate it, and the asker, who withdraws it. It may be
/// late, and the asker struck off: that nothing comes of a request harms nobody.
pub fn deny(denier: &Caller, asker: &Caller, allow: &Allow) -> Result<(), Refusal> {
    match denier {
        Caller::Webhook { .. } => Err(Refusal::NeedsPeople),
        Caller::Slack { .. } if allow.names(denier) || same_person(denier, asker) => Ok(()),
        Caller::Slack { .. } => Err(Refusal::NotAllowed),
    }
}

/// By the user's id alone: in an enterprise grid a command names the workspace it was typed in, and a button the
/// one its presser is at home in. Two strangers of one id cannot approve for each other, and can deny: the safe side both times.
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

    /// Every set of those who could be named.
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
    fn whoever_may_approve_may_deny_and_the_asker_may_withdraw() {
        let asked = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        for allow in allows() {
            for denier in callers() {
                for asker in callers() {
                    let may = deny(&denier, &asker, &allow).is_ok();
                    let person = matches!(denier, Caller::Slack { .. });
                    let should = person && (allow.names(&denier) || same_person(&denier, &asker));
                    assert_eq!(may, should, "{denier} {asker}");
                    assert!(may || approve(&denier, &asker, asked, &allow, asked).is_err());
                }
            }
        }
    }

    #[test]
    fn only_another_named_person_approves_and_only_in_time() {
        let asked = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        for allow in allows() {
            for approver in callers() {
                for asker in callers() {
                    for minutes in [0, 29, 30, 31] {
                        let now = asked + TimeDelta::minutes(minutes);
                        let may = approve(&approver, &asker, asked, &allow, now).is_ok();
                        let person = matches!(approver, Caller::Slack { .. });
                        let named = allow.names(&approver) && allow.names(&asker);
                        let user = |caller: &Caller| match caller {
                            Caller::Slack { user, .. } => Some(user.clone()),
                            Caller::Webhook { .. } => None,
                        };
                        let another = user(&approver) != user(&asker);
                        let should = person && named && another && minutes < 30;
                        assert_eq!(may, should, "{approver} {asker} {minutes}");
                    }
                }
            }
        }
    }
}
