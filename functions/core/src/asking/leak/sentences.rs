//! The sentences of findings about a leak.

use crate::ids::CredentialName;
use crate::request::github::Alert;

/// The most credentials that a finding names.
const NAMED: usize = 5;

/// Says that GitHub does not show the leaked text.
pub(super) fn unread(alert: &Alert) -> String {
    format!(
        "{alert}: the leaked text cannot be read; check that `github_token` may read the alert and send the delivery again, or \
         look at the alert and rotate by hand if the text is one of your secrets"
    )
}

/// Names the credentials that were not compared, and asks to send the alert again.
pub(super) fn not_compared(alert: &Alert, mut credentials: Vec<CredentialName>) -> String {
    credentials.sort_unstable();
    credentials.dedup();
    let which = match credentials.as_slice() {
        [] => String::new(),
        names => format!(" (not with those of {})", some(names)),
    };
    format!(
        "{alert}: the leaked text was not compared with every secret that works now{which}; send the delivery again from \
         GitHub's page of the webhook, or look at the alert and rotate by hand"
    )
}

/// Says that Keywheel did nothing about a leak, and names the values that were not compared.
pub(super) fn unmatched(alert: &Alert, unreadable: &[(CredentialName, String)]) -> String {
    if unreadable.is_empty() {
        return format!(
            "{alert}: the leaked text is none of the secrets that work now; Keywheel did nothing about this delivery"
        );
    }
    let mut causes: Vec<String> =
        unreadable.iter().map(|(name, cause)| format!("{name} ({cause})")).collect();
    causes.sort_unstable();
    // Several versions of one credential have one cause.
    causes.dedup();
    format!(
        "{alert}: the leaked text is none of the secrets that can be read; Keywheel did nothing about this delivery. \
         These were not compared, and their keys may still work: {}. Mend the cause and send the delivery again, or look at \
         the alert and remove the key by hand",
        some(&causes)
    )
}

/// Lists the first of these, and counts the others.
fn some<T: ToString>(all: &[T]) -> String {
    let named: Vec<String> = all.iter().take(NAMED).map(ToString::to_string).collect();
    let named = named.join(", ");
    match all.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert() -> Alert {
        Alert { owner: "octo".to_owned(), repository: "app".to_owned(), number: 7 }
    }

    fn credential(number: usize) -> CredentialName {
        CredentialName(format!("c{number}"))
    }

    #[test]
    fn a_value_that_was_not_compared_is_not_said_to_be_no_match() {
        assert!(unmatched(&alert(), &[]).contains("none of the secrets that work now"));
        let causes = |count: usize| -> Vec<_> {
            (1..=count).rev().map(|number| (credential(number), "denied".to_owned())).collect()
        };
        for (count, named) in
            [(1, ": c1 (denied). "), (5, "c5 (denied). "), (7, "c5 (denied) and 2 more. ")]
        {
            let why = unmatched(&alert(), &causes(count));
            assert!(why.contains(named) && why.contains("Mend"), "{why}");
            assert!(!why.contains("work now"), "{why}");
        }
    }

    #[test]
    fn credentials_that_were_not_compared_are_named_once_and_counted() {
        assert!(not_compared(&alert(), Vec::new()).contains("works now; send"));
        let twice = vec![credential(2), credential(1), credential(2)];
        assert!(
            not_compared(&alert(), twice).contains("works now (not with those of c1, c2); send")
        );
        let many = (1..=7).map(credential).collect();
        assert!(
            not_compared(&alert(), many)
                .contains("(not with those of c1, c2, c3, c4, c5 and 2 more);")
        );
    }
}
