//! The catalogue of findings: the name of each, its meaning, and the action against it.

use std::fmt;

macro_rules! findings {
    ($($kind:ident, $name:literal, $explanation:literal;)+) => {
        /// A kind of finding: something that Keywheel saw and only reports.
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

            /// Gives a sentence for people: what the finding means, then `; `, then what to do.
            pub const fn explanation(self) -> &'static str {
                match self { $(Self::$kind => $explanation,)+ }
            }
        }
    };
}

findings! {
    SecretMissing, "secret-missing",
        "the secret is not in Secrets Manager; no action is needed while the manifest has the credential: the next sweep creates the secret";
    SecretScheduledForDeletion, "secret-scheduled-for-deletion",
        "the secret is scheduled for deletion; restore the secret (aws secretsmanager restore-secret) or take the credential out of the manifest";
    ApplicationGone, "application-gone",
        "Graph does not know the application; restore the application from the deleted items, or correct `application` in the manifest";
    NoServicePrincipal, "no-service-principal",
        "the application has no service principal in this tenant, so nobody can sign in with a new secret; create a service principal (az ad sp create --id <appId>)";
    UnknownKey, "unknown-key",
        "Keywheel did not store the current version, so its key is unknown; set `adopt: true` to replace the secret, and name the old key's keyId under `retire_keys` to have that key removed";
    ForeignPending, "foreign-pending",
        "AWSPENDING rests on a version that Keywheel did not make, or on which Keywheel's label is missing; if you called RotateSecret for Keywheel's function, call RotateSecret again: Secrets Manager then goes on with that version; otherwise finish that rotation with the tool that began it, or take the label off (aws secretsmanager update-secret-version-stage --version-stage AWSPENDING --remove-from-version-id <the version>); cancel-rotate-secret leaves the label where it is, and turns the schedule off";
    ForeignValue, "foreign-value",
        "this rotation's version holds a value that Keywheel did not store; take the labels off that version, and AWSPENDING above all (aws secretsmanager update-secret-version-stage --version-stage AWSPENDING --remove-from-version-id <the version>), and the next sweep starts afresh";
    NotPending, "not-pending",
        "the version is not AWSPENDING; call RotateSecret again";
    TooManyUnnamedKeys, "too-many-unnamed-keys",
        "earlier tries failed and left keys that no version names; mend what failed the tries: sweeps remove these keys an hour after they were minted, and then try again";
    NoRoomForKey, "no-room-for-key",
        "the application holds as many keys as it may (two, where `signInAudience` lets personal accounts in), so Keywheel minted no new key; wait until the old key's overlap is over, or have the old keys removed at once (keywheel rotate --now-revoke-old), or remove a key that nobody needs in Entra";
    TooManyLabels, "too-many-labels",
        "the secret carries nearly as many staging labels as Secrets Manager allows; set a shorter `overlap`, so that old versions are retired sooner, or take off labels that others made; leave Keywheel's own labels (`keywheel:…`): Keywheel removes a key that has lost its label";
    Contended, "contended",
        "other rotations of this secret kept getting in the way; no action is needed: Keywheel tries again";
    BlockedByConditionalAccess, "blocked-by-conditional-access",
        "a Conditional Access policy blocks sign-ins of this service principal from here (AADSTS53003); exempt the service principal, or set `promote_when_blocked: true`";
    PrincipalDisabled, "principal-disabled",
        "the application or its service principal is disabled (AADSTS7000112); enable both, or take the credential out of the manifest";
    NotProved, "not-proved",
        "Entra did not accept the new secret in time, so Keywheel did not publish the secret; no action is needed: Keywheel tries again";
    KeyNotSeen, "key-not-seen",
        "sign-ins with the new secret succeed, but Graph does not show its key yet; no action is needed: Keywheel tries again";
    CurrentKeyAbsent, "current-key-absent",
        "the key of the current version is not on the application or has expired, so Keywheel removes no other key; rotate the credential (keywheel rotate)";
    KeyIsCurrent, "key-is-current",
        "Keywheel refused to remove the key under AWSCURRENT; no action is needed";
    OwnKey, "own-key",
        "Keywheel may be signed in with this key, so the key stays; let Keywheel sign in by a federated credential, or rotate Keywheel's own credential first";
    ForeignKey, "foreign-key",
        "Keywheel did not mint this key; name its keyId under `retire_keys` to have the key removed";
    KeyOfAnother, "key-of-another",
        "`retire_keys` names a key that Keywheel minted for another credential of the manifest, so the key stays; take the key out of `retire_keys`: Keywheel removes the key when that credential no longer needs it";
    UnlistedKey, "unlisted-key",
        "a Keywheel minted this key for a secret that this manifest does not list: a secret of another region or account, or a secret that was renamed; leave the key to whoever publishes that secret, and name the key under `retire_keys` only once nobody reads that secret any more";
    NamedKeyElsewhere, "named-key-elsewhere",
        "`retire_keys` names this key, but the key is on the application's other object, where Keywheel removes no keys; remove the key in Entra, and take it out of `retire_keys`";
    NamedKeyNowhere, "named-key-nowhere",
        "`retire_keys` names this key, but neither the application nor its service principal has the key; take the key out of `retire_keys`, or correct its keyId";
    EndlessKey, "endless-key",
        "this key never expires; replace the key by a key that expires";
    LifetimeOverPolicy, "lifetime-over-policy",
        "this key lives more than one day longer than `lifetime`; replace the key by a shorter one, or set a longer `lifetime`";
    ExpiringKey, "expiring-key",
        "this key expires soon or has expired, and nobody manages the key; add the key's credential to the manifest";
    ExpiringCertificate, "expiring-certificate",
        "this certificate expires soon or has expired, and Keywheel does not rotate certificates; replace the certificate";
    NativeRotationLate, "native-rotation-late",
        "this key expires soon, and Secrets Manager's rotation schedule has not replaced the key; check the schedule";
    KeyInUse, "key-in-use",
        "the overlap of an old key is over, but somebody still signs in with the key, so the key stays; have its users read the secret anew, or rotate with `revoke_old: now`";
    LastUseUnknown, "last-use-unknown",
        "the overlap of an old key is over, but Entra's report of sign-ins does not say whether somebody still uses the key, so the key stays; do what the event's reason says";
    KeyNotFound, "key-not-found",
        "an old key of this credential is not on its application (or service principal), and Keywheel did not remove the key; if `application` or `key_on` was changed in the manifest, the key still works where these fields pointed before: remove the key there";
    TwoKeysOnly, "two-keys-only",
        "`signInAudience` lets personal accounts sign in to the application, so the application may hold two keys, and keys that Keywheel does not remove leave no room for the next one; remove one of these keys in Entra, name it under `retire_keys`, or take personal accounts out of `signInAudience`";
    ServicePrincipalLocked, "service-principal-locked",
        "the application's instance property lock forbids changes of keys on its service principal, where this credential keeps its keys, so Keywheel mints and removes no key there; set `key_on: application`, or turn the lock off (Entra: the application's Authentication, App instance property lock): a later sweep then goes on by itself";
    ObjectIdGiven, "object-id-given",
        "`application` is an object id and not a client id; write the client id that the event's reason gives";
    RuleMatchesNobody, "rule-matches-nobody",
        "no application has the tag of a rule of the manifest, so the rule manages nothing; tag an application in Entra, correct the tag (capital letters count), or take the rule out";
    RolledBack, "rolled-back",
        "the secret is due, but somebody went back to this version by hand, so Keywheel does not replace the secret before half of `rotate_before` is over, or no more than `overlap` is left; rotate the credential (keywheel rotate) when its users can take a new secret";
    ReplacedKeyUnknown, "replaced-key-unknown",
        "the key of the replaced secret was to be removed at once, but Keywheel did not mint that key and does not know its keyId; remove the key in Entra by hand, unless the key is gone already";
    ForeignChange, "foreign-change",
        "somebody other than Keywheel added or removed a key; if nobody knows why, treat the application as taken over";
    AuditNotPermitted, "audit-not-permitted",
        "Keywheel does not see changes that others make to the keys of managed applications, because Keywheel may not read Entra's directory audit; grant Keywheel AuditLog.Read.All and Directory.Read.All (infra/entra/setup.py --client-id … --read-audit), or deploy with WatchDirectoryAudits=false";
    AuditNotLicensed, "audit-not-licensed",
        "Keywheel does not see changes that others make to the keys of managed applications: Entra gives its directory audit only with a Microsoft Entra ID P1 licence, and says that the tenant has none; get the licence, or deploy with WatchDirectoryAudits=false; a permission does not help";
    AuditNotInCloud, "audit-not-in-cloud",
        "Keywheel does not see changes that others make to the keys of managed applications: Microsoft Graph has no directory audit in China; deploy with WatchDirectoryAudits=false";
    AuditUnread, "audit-unread",
        "Keywheel could not read Entra's directory audit for a day, so changes that others make to keys go unseen; mend the cause that the sweep's log names";
    UnreadableObject, "unreadable-object",
        "Graph lists an object otherwise than Graph documents, so Keywheel leaves the object out and does not watch its keys; look at the object in Entra, and ask Microsoft's support if nothing is wrong with it there";
    LeakedSecret, "leaked-secret",
        "GitHub found a secret that works, and Keywheel acted at once: the secret is replaced and its key removed; if the event's reason says that the key is not known, remove the key in Entra by hand";
    LeakedSecretUnmatched, "leaked-secret-unmatched",
        "a leaked text is none of the secrets that work, as far as Keywheel can read them; if the event's reason names a value that cannot be read, mend the cause and send the delivery again";
    LeakedSecretUnread, "leaked-secret-unread",
        "GitHub does not show a leaked text; give `github_token` the right to read the alert, and send the delivery again";
    LeakedSecretNotCompared, "leaked-secret-not-compared",
        "Keywheel did not compare a leaked text with every secret that works: comparing failed four times within some six minutes, or the alert could not be queued; send the delivery again from GitHub's page of the webhook";
    RequestUnreadable, "request-unreadable",
        "a request was signed as it must be but could not be read, so Keywheel did nothing about the request; mend what the sender sends, and send the request again";
    WebhookKeyUnusable, "webhook-key-unusable",
        "an entry of the webhook secret is no key, so Keywheel refuses every request that the entry signs, and accepts those of the other entries; mend the entry: a webhook's key is `whsec_` and base64 of 24 to 64 bytes, Slack's and GitHub's secrets have 16 characters or more";
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
