//! Signatures of outgoing webhooks by the Standard Webhooks scheme (standardwebhooks.com).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::Mac;

use crate::signing_key::SigningKey;

impl SigningKey {
    /// Makes the value of `webhook-signature` for a message with this id, time (seconds since 1970) and body.
    pub fn sign(&self, id: &str, timestamp: i64, body: &str) -> String {
        // HMAC takes a key of any length, so that the empty signature is never sent.
        let code = self.code(&[format!("{id}.{timestamp}.").as_bytes(), body.as_bytes()]);
        let signature = code.map(|code| STANDARD.encode(code.finalize().into_bytes()));
        format!("v1,{}", signature.unwrap_or_default())
    }
}

/// Makes the value of `webhook-signature` with one signature for each key, so that a receiver can change its key.
pub fn signatures(keys: &[SigningKey], id: &str, timestamp: i64, body: &str) -> String {
    let each: Vec<String> = keys.iter().map(|key| key.sign(id, timestamp, body)).collect();
    each.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Option<SigningKey> {
        SigningKey::of_webhook(text)
    }

    /// The samples that the specification and its reference libraries publish.
    #[test]
    fn published_messages_have_their_published_signatures() {
        for (secret, id, timestamp, body, signature) in [
            (
                "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                "msg_p5jXN8AQM9LWM0D4loKWxJek",
                1_614_265_330,
                r#"{"test": 2432232314}"#,
                "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            ),
            (
                "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
                "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
                1_649_367_553,
                r#"{"email":"test@example.com","username":"test_user"}"#,
                "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
            ),
        ] {
            assert_eq!(key(secret).unwrap().sign(id, timestamp, body), signature);
        }
    }

    #[test]
    fn two_keys_make_two_signatures() {
        let keys = [
            key("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD").unwrap(),
            key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap(),
        ];
        let both = signatures(&keys, "a", 1, "b");
        let (first, second) = both.split_once(' ').unwrap();
        assert_eq!(
            (first, second),
            (keys[0].sign("a", 1, "b").as_str(), keys[1].sign("a", 1, "b").as_str())
        );
    }
}
