//! The catalogue of findings: the name of each, what it means, and what to do about it.

use std::fmt;

macro_rules! findings {
    ($($kind:ident, $name:literal, $explanation:literal;)+) => {
        /// Names what was seen and only reported.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum FindingKind {
            $(#[doc = concat!("`keywheel.finding.", $name, "`.")] $kind,)+
        }

        impl FindingKind {
            /// Lists all findings.
            pub const ALL: &[Self] = &[$(Self::$kind),+];

            /// Gives the name, as in `keywheel.finding.<name>`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)+ }
            }

            /// Says what the finding means and what to do about it, in a sentence for people.
            pub const fn explanation(self) -> &'static str {
                match self { $(Self::$kind => $explanation,)+ }
            }
        }
    };
}

findings! {
    SecretMissing, "secret-missing",
        "the secret is not in Secrets Manager; a sweep creates it when the credential is in the manifest";
    SecretScheduledForDeletion, "secret-scheduled-for-deletion",
        "the secret is scheduled for deletion; restore it (aws secretsmanager restore-secret) or take the credential out of the manifest";
    ApplicationGone, "application-gone",
        "Graph does not know the application; restore it from the deleted items or correct `application` in the manifest";
    NoServicePrincipal, "no-service-principal",
        "the application has no service principal in this tenant, so nobody can sign in with a new secret; create one (az ad sp create --id <appId>)";
    UnknownKey, "unknown-key",
        "the current version was not stored by Keywheel, so its key is unknown; set `adopt: true` to replace it, and name its keyId under `retire_keys` to have the old key removed";
    ForeignPending, "foreign-pending",
        "AWSPENDING rests on a version that Keywheel did not make, or of which it left no trace; if RotateSecret was called for Keywheel's function, call it again: Secrets Manager then goes on with that version; otherwise finish that rotation with the tool that began it, or give it up: take the label off (aws secretsmanager update-secret-version-stage --version-stage AWSPENDING --remove-from-version-id <the version>); cancel-rotate-secret leaves the label where it is, and turns the schedule off";
    ForeignValue, "foreign-value",
        "this rotation's version holds a value that Keywheel did not store; take its labels off, the next sweep starts afresh";
    NotPending, "not-pending",
        "the version is not AWSPENDING; start again with RotateSecret";
    TooManyUnnamedKeys, "too-many-unnamed-keys",
        "earlier tries failed and left keys that no version names; sweeps remove them an hour after they were minted and then try again; mend what failed the tries";
    NoRoomForKey, "no-room-for-key",
        "the application holds as many keys as it may (two, where `signInAudience` lets personal accounts in), so no new one is minted; wait until the old key's overlap is over, or have the old keys removed at once (keywheel rotate --now-revoke-old), or remove a key that nobody needs in Entra";
    TooManyLabels, "too-many-labels",
        "the secret carries nearly as many staging labels as Secrets Manager allows; a shorter `overlap` has old versions retired sooner; take off labels that others made, and never one of Keywheel's (`keywheel:…`): what it does not know of it removes";
    Contended, "contended",
        "other rotations of this secret kept getting in the way; it is tried again";
    BlockedByConditionalAccess, "blocked-by-conditional-access",
        "a Conditional Access policy blocks sign-ins of this service principal from here (AADSTS53003); exempt it or set `promote_when_blocked: true`";
    PrincipalDisabled, "principal-disabled",
        "the application or its service principal is disabled (AADSTS7000112); enable it or take the credential out of the manifest";
    NotProved, "not-proved",
        "the new secret was not accepted in time, so it was not published; it is tried again";
    KeyNotSeen, "key-not-seen",
        "sign-ins with the new secret succeed but Graph does not show its key yet; it is tried again";
    CurrentKeyAbsent, "current-key-absent",
        "the key of the current version is not on the application or has expired, so no other key is removed; rotate the credential (keywheel rotate)";
    KeyIsCurrent, "key-is-current",
        "the key under AWSCURRENT is never removed";
    OwnKey, "own-key",
        "Keywheel may be signed in with this key; let it sign in federated, or rotate its own credential first";
    ForeignKey, "foreign-key",
        "Keywheel did not mint this key; name its keyId under `retire_keys` to have it removed";
    KeyOfAnother, "key-of-another",
        "`retire_keys` names a key that Keywheel minted for another credential of the manifest, so it is not removed; take it out of `retire_keys`: it goes when its own credential does not need it any more";
    UnlistedKey, "unlisted-key",
        "a key that a Keywheel minted for a secret that this manifest does not list: another region's or account's, or one under its name of before; leave it to whoever publishes that secret, and name it under `retire_keys` only once nobody reads that any more";
    NamedKeyElsewhere, "named-key-elsewhere",
        "`retire_keys` names this key, and it is on the application's other object, where Keywheel removes none; remove it there in Entra and take it out of `retire_keys`";
    NamedKeyNowhere, "named-key-nowhere",
        "`retire_keys` names this key, and it is neither on the application nor on its service principal; it is gone, or a keyId of another application: take it out of `retire_keys`, or correct it";
    EndlessKey, "endless-key",
        "a key that never expires; replace it by one with an end";
    LifetimeOverPolicy, "lifetime-over-policy",
        "a key that lives longer than the policy allows";
    ExpiringKey, "expiring-key",
        "a key expires soon or has expired, and nobody manages it; add it to the manifest";
    ExpiringCertificate, "expiring-certificate",
        "a certificate expires soon or has expired; Keywheel does not rotate certificates";
    NativeRotationLate, "native-rotation-late",
        "a key expires soon, and Secrets Manager's rotation schedule has not replaced it; check the schedule";
    KeyInUse, "key-in-use",
        "the overlap of an old key is over, but somebody still signs in with it, so it is not removed; have its users read the secret anew, or rotate with `revoke_old: now`";
    LastUseUnknown, "last-use-unknown",
        "the overlap of an old key is over, but Entra's report of sign-ins does not tell whether it is still used, so it is not removed; the event's reason says why and what to do";
    KeyNotFound, "key-not-found",
        "an old key of this credential is not on its application (or service principal), and Keywheel did not remove it; if `application` or `key_on` was changed in the manifest, it still lives where that pointed before: remove it there";
    TwoKeysOnly, "two-keys-only",
        "`signInAudience` lets personal accounts sign in to the application, so it may hold two keys, and keys that no rule of Keywheel's removes leave no room for the next rotation's; remove one of them in Entra, name it under `retire_keys`, or take personal accounts out of `signInAudience`";
    ServicePrincipalLocked, "service-principal-locked",
        "the application's instance property lock forbids changes of keys on its service principal, where this credential keeps its own, so no key is minted or removed there; say `key_on: application`, or turn the lock off (Entra: the application's Authentication, App instance property lock): a later sweep goes on by itself";
    ObjectIdGiven, "object-id-given",
        "`application` is an object id, and no client id; write the client id that the event's reason gives";
    RuleMatchesNobody, "rule-matches-nobody",
        "no application has the tag of a rule of the manifest, so the rule manages nothing; tag an application in Entra, correct the tag (capital letters count), or take the rule out";
    RolledBack, "rolled-back",
        "it is due, but somebody went back to this version by hand, so it is not replaced before half of `rotate_before` is over, or no more than `overlap` is left; when its users can take a new secret, rotate it (keywheel rotate)";
    ReplacedKeyUnknown, "replaced-key-unknown",
        "the secret that was replaced was to be revoked, but Keywheel did not mint it and does not know its key; remove the key in Entra by hand, unless it is gone already";
    ForeignChange, "foreign-change",
        "somebody else than Keywheel added or removed a key; if nobody knows why, treat the application as taken over";
    AuditNotPermitted, "audit-not-permitted",
        "changes that others make to the keys of managed applications go unseen; grant Keywheel AuditLog.Read.All and Directory.Read.All (infra/entra/setup.py --client-id … --read-audit), or deploy with WatchDirectoryAudits=false";
    AuditNotLicensed, "audit-not-licensed",
        "changes that others make to the keys of managed applications go unseen: Entra says that the tenant has no Microsoft Entra ID P1 licence, and gives its directory audit only with one; get the licence, or deploy with WatchDirectoryAudits=false; a permission does not help";
    AuditNotInCloud, "audit-not-in-cloud",
        "changes that others make to the keys of managed applications go unseen: Microsoft Graph has no directory audit in China; deploy with WatchDirectoryAudits=false";
    AuditUnread, "audit-unread",
        "Entra's directory audit could not be read for a day: changes that others make to keys go unseen; the sweep's log says why";
    UnreadableObject, "unreadable-object",
        "Graph lists an object otherwise than it documents, so it is left out, and what it tells is not watched; look at the object in Entra, and ask Microsoft's support if nothing is wrong with it there";
    LeakedSecret, "leaked-secret",
        "a secret that works was found leaked; it is replaced and its key removed; where the event's reason says that the key is not known, remove it in Entra by hand";
    LeakedSecretUnmatched, "leaked-secret-unmatched",
        "a leaked text is none of the secrets that work, as far as they can be read; where the event's reason names a value that cannot be read, mend the cause and send the delivery again";
    LeakedSecretUnread, "leaked-secret-unread",
        "GitHub does not show a leaked text; give `github_token` the right and send the delivery again";
    LeakedSecretNotCompared, "leaked-secret-not-compared",
        "a leaked text was not compared with every secret that works; send the delivery again from GitHub's page of the webhook";
    RequestUnreadable, "request-unreadable",
        "a request was signed right and could not be read, so nothing was done about it; mend what the sender sends, and send it again";
    WebhookKeyUnusable, "webhook-key-unusable",
        "an entry of the webhook secret cannot be used, and what it signs is refused; mend the secret";
}

impl FindingKind {
    /// Finds the finding of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
