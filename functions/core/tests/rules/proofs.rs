//! When a secret counts as proved, to the second.

use super::*;

fn seconds(seconds: i64) -> Verdict {
    Verdict::Again(TimeDelta::seconds(seconds))
}

#[test]
fn the_sign_ins_of_a_proof_are_spread_over_the_settle_time() {
    let mut proof = Proof::new(TimeDelta::seconds(60), false);
    for sign_in in 0..5 {
        assert_eq!(proof.sign_in(SignIn::Accepted, at(sign_in * 12)), seconds(12), "{sign_in}");
    }
    assert_eq!(proof.sign_in(SignIn::Accepted, at(60)), Verdict::Proved);
}

#[test]
fn sign_ins_that_come_too_fast_end_with_the_settle_time() {
    let mut proof = Proof::new(TimeDelta::seconds(60), false);
    for sign_in in 0..5 {
        assert_eq!(proof.sign_in(SignIn::Accepted, at(sign_in)), seconds(12), "{sign_in}");
    }
    assert_eq!(proof.sign_in(SignIn::Accepted, at(20)), seconds(40));
    assert_eq!(proof.sign_in(SignIn::Accepted, at(59)), seconds(1));
    assert_eq!(proof.sign_in(SignIn::Accepted, at(60)), Verdict::Proved);
}

#[test]
fn sign_ins_that_come_too_slowly_are_still_six() {
    let mut proof = Proof::new(TimeDelta::seconds(60), false);
    for sign_in in 0..5 {
        assert_eq!(proof.sign_in(SignIn::Accepted, at(sign_in * 100)), seconds(12), "{sign_in}");
    }
    assert_eq!(proof.sign_in(SignIn::Accepted, at(500)), Verdict::Proved);
}

#[test]
fn a_refusal_begins_the_proof_anew() {
    let mut proof = Proof::new(TimeDelta::seconds(60), false);
    for sign_in in 0..5 {
        proof.sign_in(SignIn::Accepted, at(sign_in * 12));
    }
    assert_eq!(proof.sign_in(SignIn::WrongSecret, at(60)), seconds(1));
    for sign_in in 0..5 {
        assert_eq!(proof.sign_in(SignIn::Accepted, at(61 + sign_in * 12)), seconds(12));
    }
    assert_eq!(proof.sign_in(SignIn::Accepted, at(121)), Verdict::Proved);
}

#[test]
fn a_refused_secret_is_doubted_after_three_minutes_and_not_before() {
    for refusal in [SignIn::WrongSecret, SignIn::UnknownApplication] {
        let mut proof = Proof::new(TimeDelta::seconds(60), false);
        for (time, pause) in [(0, 1), (1, 2), (3, 4), (7, 8), (15, 8), (23, 8), (179, 8)] {
            assert_eq!(proof.sign_in(refusal, at(time)), seconds(pause), "{time}");
        }
        assert_eq!(proof.sign_in(refusal, at(180)), Verdict::Doubtful);
        // Whoever looked and found the key there waits as long again.
        assert_eq!(proof.sign_in(refusal, at(181)), seconds(8));
        assert_eq!(proof.sign_in(refusal, at(360)), seconds(8));
        assert_eq!(proof.sign_in(refusal, at(361)), Verdict::Doubtful);
        // A success ends the row of refusals.
        let mut proof = Proof::new(TimeDelta::seconds(60), false);
        assert_eq!(proof.sign_in(refusal, at(0)), seconds(1));
        assert_eq!(proof.sign_in(SignIn::Accepted, at(100)), seconds(12));
        assert_eq!(proof.sign_in(refusal, at(200)), seconds(1));
        assert_eq!(proof.sign_in(refusal, at(379)), seconds(2));
    }
}

#[test]
fn what_only_conditional_access_blocked_counts_where_the_manifest_says_so() {
    let blocked = SignIn::BlockedByConditionalAccess;
    let of = |counts| Proof::new(TimeDelta::seconds(60), counts).sign_in(blocked, now());
    assert_eq!(of(false), Verdict::Blocked);
    assert_eq!(of(true), seconds(12));
    let mut proof = Proof::new(TimeDelta::seconds(60), true);
    assert_eq!(proof.sign_in(SignIn::Expired, now()), Verdict::Expired);
    assert_eq!(proof.sign_in(SignIn::Disabled, now()), Verdict::Disabled);
}
