//! What the directory holds.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::clock::Millis;

/// Who looks, from which replica, at what time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    pub(crate) replica: usize,
    pub(crate) now: Millis,
}

/// When each replica learns that something came to be, and that it is gone.
///
/// `None` as `from` means that everyone has always known; `until` is `None` while the thing exists.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sight {
    from: Option<Box<[Millis]>>,
    until: Option<Box<[Millis]>>,
}

impl Sight {
    pub(crate) fn since(from: Option<Box<[Millis]>>) -> Self {
        Self { from, until: None }
    }

    /// Marks it gone: at once where nothing delays deletions.
    pub(crate) fn end(&mut self, now: Millis, until: Option<Box<[Millis]>>) {
        self.until = Some(until.unwrap_or_else(|| Box::new([now])));
    }

    /// Whether it exists in truth, whatever the replicas still say.
    pub(crate) fn exists(&self) -> bool {
        self.until.is_none()
    }

    /// Whether the viewing replica shows it.
    pub(crate) fn visible(&self, view: View) -> bool {
        let began = self.from.as_deref().is_none_or(|from| view.now >= at(from, view.replica));
        let ended = self.until.as_deref().is_some_and(|until| view.now >= at(until, view.replica));
        began && !ended
    }

    /// Whether no replica shows it any more, nor ever will.
    pub(crate) fn forgotten(&self, now: Millis) -> bool {
        self.until.as_deref().is_some_and(|until| until.iter().all(|&end| now >= end))
    }
}

fn at(times: &[Millis], replica: usize) -> Millis {
    times.get(replica).or(times.first()).copied().unwrap_or(Millis::MIN)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Application,
    ServicePrincipal,
}

impl Kind {
    /// The segment of its collection in a URL.
    pub(crate) fn collection(self) -> &'static str {
        match self {
            Self::Application => "applications",
            Self::ServicePrincipal => "servicePrincipals",
        }
    }

    pub(crate) fn type_name(self) -> &'static str {
        match self {
            Self::Application => "application",
            Self::ServicePrincipal => "servicePrincipal",
        }
    }

    /// As error messages call it.
    pub(crate) fn resource_name(self) -> &'static str {
        match self {
            Self::Application => "Application",
            Self::ServicePrincipal => "ServicePrincipal",
        }
    }

    pub(crate) fn of_collection(segment: &str) -> Option<Self> {
        [Self::Application, Self::ServicePrincipal]
            .into_iter()
            .find(|kind| kind.collection() == segment)
    }
}

/// Which accounts an application serves: Graph's `signInAudience`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Audience {
    /// This tenant only.
    #[default]
    AzureADMyOrg,
    /// Any tenant.
    AzureADMultipleOrgs,
    /// Any tenant, and personal accounts: at most two secrets.
    AzureADandPersonalMicrosoftAccount,
    /// Personal accounts only: at most two secrets.
    PersonalMicrosoftAccount,
}

impl Audience {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::AzureADMyOrg => "AzureADMyOrg",
            Self::AzureADMultipleOrgs => "AzureADMultipleOrgs",
            Self::AzureADandPersonalMicrosoftAccount => "AzureADandPersonalMicrosoftAccount",
            Self::PersonalMicrosoftAccount => "PersonalMicrosoftAccount",
        }
    }

    pub(crate) fn is_personal(self) -> bool {
        matches!(self, Self::AzureADandPersonalMicrosoftAccount | Self::PersonalMicrosoftAccount)
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Password {
    pub(crate) key_id: Uuid,
    pub(crate) name: Option<String>,
    pub(crate) secret: String,
    pub(crate) start: Millis,
    /// `None`: never expires, as very old ones may.
    pub(crate) end: Option<Millis>,
    pub(crate) sight: Sight,
}

impl Password {
    pub(crate) fn expired(&self, now: Millis) -> bool {
        self.end.is_some_and(|end| now >= end)
    }

    pub(crate) fn hint(&self) -> String {
        self.secret.chars().take(3).collect()
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Certificate {
    pub(crate) key_id: Uuid,
    pub(crate) name: Option<String>,
    pub(crate) start: Millis,
    pub(crate) end: Option<Millis>,
}

#[derive(Debug, Clone)]
pub(crate) struct FederatedCredential {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) issuer: String,
    pub(crate) subject: String,
    pub(crate) audiences: Vec<String>,
    pub(crate) description: Option<String>,
    pub(crate) sight: Sight,
}

/// An appRole of `resource` granted to the service principal that holds it.
#[derive(Debug, Clone)]
pub(crate) struct Assignment {
    pub(crate) id: String,
    pub(crate) role: Uuid,
    pub(crate) resource: Uuid,
    pub(crate) created: Millis,
}

/// An application or a service principal; they share most of what a rotator cares about.
#[derive(Debug, Clone)]
pub(crate) struct Entity {
    pub(crate) kind: Kind,
    pub(crate) id: Uuid,
    pub(crate) app_id: Uuid,
    pub(crate) display_name: String,
    pub(crate) audience: Audience,
    pub(crate) tags: Vec<String>,
    pub(crate) created: Millis,
    /// When it was soft-deleted.
    pub(crate) deleted: Option<Millis>,
    /// `accountEnabled` of a service principal, the contrary of an application's `isDisabled`.
    pub(crate) enabled: bool,
    pub(crate) passwords: Vec<Password>,
    pub(crate) certificates: Vec<Certificate>,
    pub(crate) federated: Vec<FederatedCredential>,
    pub(crate) owners: Vec<Uuid>,
    pub(crate) assignments: Vec<Assignment>,
    /// Properties that the emulator keeps and gives back without a meaning of their own.
    pub(crate) extra: Map<String, Value>,
    pub(crate) sight: Sight,
}

impl Entity {
    pub(crate) fn new(
        kind: Kind,
        id: Uuid,
        app_id: Uuid,
        display_name: String,
        created: Millis,
    ) -> Self {
        Self {
            kind,
            id,
            app_id,
            display_name,
            audience: Audience::default(),
            tags: Vec::new(),
            created,
            deleted: None,
            enabled: true,
            passwords: Vec::new(),
            certificates: Vec::new(),
            federated: Vec::new(),
            owners: Vec::new(),
            assignments: Vec::new(),
            extra: Map::new(),
            sight: Sight::default(),
        }
    }

    /// The passwords a replica shows.
    pub(crate) fn visible_passwords(&self, view: View) -> impl Iterator<Item = &Password> {
        self.passwords.iter().filter(move |password| password.sight.visible(view))
    }

    /// The passwords there are in truth, which limits count.
    pub(crate) fn password_count(&self) -> usize {
        self.passwords.iter().filter(|password| password.sight.exists()).count()
    }

    /// Forgets what no replica shows any more.
    pub(crate) fn compact(&mut self, now: Millis) {
        self.passwords.retain(|password| !password.sight.forgotten(now));
        self.federated.retain(|credential| !credential.sight.forgotten(now));
    }
}
