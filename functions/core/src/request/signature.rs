//! Verifies three kinds of signatures: Slack's v0, Standard Webhooks, GitHub's. All are HMAC-SHA256 over the body as it
//! came.
//!
//! A failure has no reason, so that a forger learns nothing. Codes are compared in constant time.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use hmac::Mac;

use crate::signing_key::SigningKey;

/// The largest difference between a request's own time and Keywheel's, in both directions.
pub const TOLERANCE: TimeDelta = TimeDelta::minutes(5);
/// The longest `webhook-id`.
const LONGEST_ID: usize = 256;
/// The most signatures of one request that are checked: one key and its successor, with room.
const MOST_SIGNATURES: usize = 8;

/// The request is not signed as it must be. The reason is kept from the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request is not signed as it must be")]
pub struct Unsigned;

/// Verifies Slack's signature: `X-Slack-Signature` = `v0=` and the code of `v0:<X-Slack-Request-Timestamp>:<body>` in hexadecimal.
pub fn verify_slack(
    key: &SigningKey,
    timestamp: &str,
    signature: &str,
    body: &[u8],
    now: DateTime<Utc>,
) -> Result<DateTime<Utc>, Unsigned> {
    let at = recent(timestamp, now)?;
    let code = hexadecimal(signature.strip_prefix("v0=").ok_or(Unsigned)?)?;
    verify(key, &[b"v0:", timestamp.as_bytes(), b":", body], &code)?;
    Ok(at)
}

/// Holds a message as Standard Webhooks delivers it.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// `webhook-id`.
    pub id: &'a str,
    /// `webhook-timestamp`.
    pub timestamp: &'a str,
    /// `webhook-signature`.
    pub signatures: &'a str,
    /// The content, as it came.
    pub body: &'a [u8],
}

/// Verifies the signatures of Standard Webhooks: `webhook-signature` holds `v1,` and the code of
/// `<webhook-id>.<webhook-timestamp>.<body>` in base64, once for each of the sender's keys. A code that fits any of `keys`
/// is enough.
pub fn verify_webhook(
    keys: &[SigningKey],
    message: Message<'_>,
    now: DateTime<Utc>,
) -> Result<DateTime<Utc>, Unsigned> {
    let Message { id, timestamp, signatures, body } = message;
    let at = recent(timestamp, now)?;
    // A full stop in the id would let its boundary be moved under the same signature.
    let is_id = |byte: u8| byte.is_ascii_graphic() && byte != b'.';
    if id.is_empty() || id.len() > LONGEST_ID || !id.bytes().all(is_id) {
        return Err(Unsigned);
    }
    let codes = signatures.split(' ').take(MOST_SIGNATURES);
    let codes = codes.filter_map(|one| STANDARD.decode(one.strip_prefix("v1,")?).ok());
    let parts: [&[u8]; 5] = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body];
    let mut fits = false;
    for code in codes {
        for key in keys {
            // Every pair is compared, whichever fits.
            fits |= verify(key, &parts, &code).is_ok();
        }
    }
    if fits { Ok(at) } else { Err(Unsigned) }
}

/// Verifies GitHub's signature: `X-Hub-Signature-256` = `sha256=` and the code of the body in hexadecimal. GitHub signs
/// no time.
pub fn verify_github(key: &SigningKey, signature: &str, body: &[u8]) -> Result<(), Unsigned> {
    let code = hexadecimal(signature.strip_prefix("sha256=").ok_or(Unsigned)?)?;
    verify(key, &[body], &code)
}

fn verify(key: &SigningKey, parts: &[&[u8]], code: &[u8]) -> Result<(), Unsigned> {
    key.code(parts).ok_or(Unsigned)?.verify_slice(code).map_err(|_| Unsigned)
}

/// Reads a time in seconds since 1970, digits alone, and checks that the time is within [`TOLERANCE`] of now.
fn recent(timestamp: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, Unsigned> {
    let digits =
        (1..=12).contains(&timestamp.len()) && timestamp.bytes().all(|b| b.is_ascii_digit());
    let seconds = digits.then(|| timestamp.parse().ok()).flatten().ok_or(Unsigned)?;
    let at = DateTime::from_timestamp(seconds, 0).ok_or(Unsigned)?;
    // By whole seconds, as the timestamp counts.
    let apart = (now.timestamp() - at.timestamp()).abs();
    if apart <= TOLERANCE.num_seconds() { Ok(at) } else { Err(Unsigned) }
}

fn hexadecimal(text: &str) -> Result<[u8; 32], Unsigned> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| Unsigned)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    /// The example of Slack's documentation, "Verifying requests from Slack".
    const SLACK_SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
    const SLACK_TIME: &str = "1531420618";
    const SLACK_CODE: &str = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
    const SLACK_BODY: &str = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";

    fn slack(time: &str, code: &str, body: &str, now: i64) -> Result<DateTime<Utc>, Unsigned> {
        verify_slack(&SigningKey::of_text(SLACK_SECRET), time, code, body.as_bytes(), at(now))
    }

    #[test]
    fn slacks_published_example_is_signed() {
        let now = 1_531_420_618;
        assert_eq!(slack(SLACK_TIME, SLACK_CODE, SLACK_BODY, now), Ok(at(now)));
        for (time, code, body, now) in [
            (SLACK_TIME, SLACK_CODE, "token=other", now),
            ("1531420619", SLACK_CODE, SLACK_BODY, now),
            (SLACK_TIME, &SLACK_CODE[3..], SLACK_BODY, now),
            (SLACK_TIME, &SLACK_CODE[..66], SLACK_BODY, now),
            (SLACK_TIME, "v0=", SLACK_BODY, now),
            (SLACK_TIME, "", SLACK_BODY, now),
            ("", SLACK_CODE, SLACK_BODY, now),
            ("+1531420618", SLACK_CODE, SLACK_BODY, now),
            (SLACK_TIME, SLACK_CODE, SLACK_BODY, now + 301),
            (SLACK_TIME, SLACK_CODE, SLACK_BODY, now - 301),
        ] {
            assert_eq!(slack(time, code, body, now), Err(Unsigned), "{time} {code} {now}");
        }
        for edge in [now + 300, now - 300] {
            assert!(slack(SLACK_TIME, SLACK_CODE, SLACK_BODY, edge).is_ok());
        }
    }

    #[test]
    fn every_flipped_bit_of_slacks_code_is_noticed() {
        for place in 3..SLACK_CODE.len() {
            let mut code = SLACK_CODE.as_bytes().to_vec();
            code[place] = if code[place] == b'0' { b'1' } else { b'0' };
            let code = String::from_utf8(code).unwrap();
            assert!(slack(SLACK_TIME, &code, SLACK_BODY, 1_531_420_618).is_err(), "{place}");
        }
    }

    /// The vector of the Standard Webhooks reference libraries.
    const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const TIME: i64 = 1_614_265_330;
    const BODY: &str = r#"{"test": 2432232314}"#;
    const CODE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn webhook(keys: &[&str], id: &str, time: i64, codes: &str, body: &str) -> bool {
        let keys: Vec<_> = keys.iter().map(|key| SigningKey::of_webhook(key).unwrap()).collect();
        let timestamp = time.to_string();
        let (timestamp, body) = (timestamp.as_str(), body.as_bytes());
        let message = Message { id, timestamp, signatures: codes, body };
        verify_webhook(&keys, message, at(TIME)).is_ok()
    }

    #[test]
    fn the_vector_of_standard_webhooks_is_signed() {
        let other = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
        assert!(webhook(&[KEY], ID, TIME, CODE, BODY));
        // Either side may hold two keys while one takes over from the other.
        assert!(webhook(&[other, KEY], ID, TIME, CODE, BODY));
        let both = format!("v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= v2,x {CODE}");
        assert!(webhook(&[KEY], ID, TIME, &both, BODY));
        let many =
            format!("{}{CODE}", "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= ".repeat(8));
        for (keys, id, time, codes, body) in [
            (&[other][..], ID, TIME, CODE, BODY),
            (&[], ID, TIME, CODE, BODY),
            (&[KEY], "msg_other", TIME, CODE, BODY),
            (&[KEY], "", TIME, CODE, BODY),
            (&[KEY], ID, TIME + 1, CODE, BODY),
            (&[KEY], ID, TIME + 301, CODE, BODY),
            (&[KEY], ID, TIME - 301, CODE, BODY),
            (&[KEY], ID, TIME, &CODE[3..], BODY),
            (&[KEY], ID, TIME, "v1,", BODY),
            (&[KEY], ID, TIME, "", BODY),
            (&[KEY], ID, TIME, CODE, "{}"),
            (&[KEY], ID, TIME, &many, BODY),
        ] {
            assert!(!webhook(keys, id, time, codes, body), "{id} {time} {codes}");
        }
    }

    #[test]
    fn the_boundary_between_id_and_timestamp_cannot_be_moved() {
        let key = SigningKey::of_webhook(KEY).unwrap();
        let signed = key.code(&[b"a.1614265330.1614265330.{}"]).unwrap().finalize().into_bytes();
        let code = format!("v1,{}", STANDARD.encode(signed));
        assert!(webhook(&[KEY], "a", TIME, &code, "1614265330.{}"));
        assert!(!webhook(&[KEY], "a.1614265330", TIME, &code, "{}"));
    }

    #[test]
    fn an_id_and_a_timestamp_have_the_form_that_is_documented_though_they_are_signed() {
        let key = SigningKey::of_webhook(KEY).unwrap();
        let is_signed = |id: &str, timestamp: &str| {
            let code = key.code(&[format!("{id}.{timestamp}.").as_bytes()]).unwrap();
            let signatures = format!("v1,{}", STANDARD.encode(code.finalize().into_bytes()));
            let message = Message { id, timestamp, signatures: &signatures, body: b"" };
            verify_webhook(std::slice::from_ref(&key), message, at(TIME)).is_ok()
        };
        let time = TIME.to_string();
        for (length, is_id) in [(1, true), (256, true), (257, false), (258, false)] {
            assert_eq!(is_signed(&"m".repeat(length), &time), is_id, "{length}");
        }
        for odd in [format!("+{time}"), format!("000{time}")] {
            assert!(!is_signed("m", &odd), "{odd}");
        }
    }

    #[test]
    fn githubs_published_example_is_signed() {
        let key = SigningKey::of_text("It's a Secret to Everybody");
        let code = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        assert_eq!(verify_github(&key, code, b"Hello, World!"), Ok(()));
        assert_eq!(verify_github(&key, code, b"Hello, World"), Err(Unsigned));
        assert_eq!(verify_github(&key, &code[7..], b"Hello, World!"), Err(Unsigned));
        assert_eq!(verify_github(&key, "sha1=00", b"Hello, World!"), Err(Unsigned));
    }
}
