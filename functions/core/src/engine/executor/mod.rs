//! Carries out the calls that the rules ask for: one `match` arm and one client for each.
//!
//! Only this module holds the texts of secrets, by `keyId`, for as long as a try lasts.

mod carried;
mod events;

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;
use tracing::{info, warn};
use uuid::Uuid;

use super::native::is_of_secret;
use super::{Engine, EngineError};
use crate::graph::{Added, CallOptions, Kind, Object, Refusal};
use crate::http::{Backoff, Retry};
use crate::ids::{KeyId, RotationId, Token, VersionId};
use crate::manifest::Credential;
use crate::rotation::names::display_name;
use crate::rotation::{Call, Label, LastUses, Next, Principal, Reply, Terms, Try, Untold};
use crate::secret::SecretText;
use crate::secrets::{Move, NewSecret, Put};
use crate::value::{Facts, FormatError, SECRET_TEXT};

use carried::Carried;
use events::{mint_request, removal_request};

/// The time that a try leaves for handing the rest of the work on.
const RESERVE: Duration = Duration::from_secs(15);
/// The most further tries of a sign-in of a proof without a usable answer.
const SIGN_IN_RETRIES: u32 = 5;
/// The most further tries to remove a key.
const REMOVALS: u32 = 4;

/// The secret of a key.
struct HeldSecret {
    text: SecretText,
    /// The time at which the key expires; `None`: another try minted the key. Only the try that minted the key writes a
    /// value of the secret.
    expires_on: Option<DateTime<Utc>>,
}

/// A try at one credential on somebody's behalf.
#[derive(Clone, Copy)]
pub(super) struct Attempt<'a> {
    pub(super) engine: &'a Engine,
    pub(super) credential: &'a Credential,
    /// The person or the system that asked for the try.
    pub(super) by: &'a str,
    /// The request that the try answers, if any.
    pub(super) request: Option<RotationId>,
    pub(super) deadline: Instant,
}

impl Attempt<'_> {
    /// Carries out a try of the rules.
    pub(super) async fn carry_out<T: Try>(
        &self,
        terms: &Terms,
        this: T,
    ) -> Result<T::Outcome, EngineError> {
        Executor::new(*self, terms).carry_out(this).await
    }
}

/// The access of one try to the services.
struct Executor<'a> {
    engine: &'a Engine,
    credential: &'a Credential,
    terms: &'a Terms,
    by: &'a str,
    request: Option<RotationId>,
    deadline: Instant,
    /// The pauses between tries to remove a key.
    removal: Backoff,
    object: Option<Object>,
    held: BTreeMap<KeyId, HeldSecret>,
    carried: Carried,
    /// Graph's request ids, for the audit trail.
    graph_requests: BTreeMap<KeyId, String>,
}

impl<'a> Executor<'a> {
    fn new(attempt: Attempt<'a>, terms: &'a Terms) -> Self {
        let Attempt { engine, credential, by, request, deadline } = attempt;
        let deadline = deadline - RESERVE;
        Self {
            engine,
            credential,
            terms,
            by,
            request,
            deadline,
            removal: Backoff::new(REMOVALS, deadline),
            object: None,
            held: BTreeMap::new(),
            carried: Carried::default(),
            graph_requests: BTreeMap::new(),
        }
    }

    async fn carry_out<T: Try>(mut self, mut this: T) -> Result<T::Outcome, EngineError> {
        // This call gives the time by Graph's clock, which the rules need.
        self.read_principal().await?;
        loop {
            match this.next() {
                Next::Done(outcome) => return Ok(outcome),
                Next::Call(call) => {
                    if Instant::now() >= self.deadline {
                        return Err(EngineError::OutOfTime);
                    }
                    let reply = self.call(&call).await?;
                    info!(credential = %self.credential.name, call = call.name(), reply = reply.name());
                    this = this.answered(reply, self.engine.graph.now());
                }
            }
        }
    }

    async fn call(&mut self, call: &Call) -> Result<Reply, EngineError> {
        let secrets = &self.engine.secrets;
        let name = self.credential.secret.as_str();
        Ok(match call {
            Call::DescribeSecret => {
                let state = secrets.describe_own(name).await?.state;
                self.carried.see(&state);
                Reply::Secret(state)
            }
            Call::CreateSecret => {
                secrets.create_empty(name, &self.new_secret()).await?;
                Reply::Created
            }
            Call::ReadValue { version, key } => self.read_value(version, *key).await?,
            Call::ReadPrincipal => Reply::Principal(self.read_principal().await?),
            Call::AddPassword { rotation } => self.add_password(rotation).await?,
            Call::RemovePassword { key } => self.remove_password(*key).await?,
            Call::PutValue { rotation, key, pending } => {
                self.put_value(rotation, *key, *pending).await?
            }
            Call::MoveLabel { label, to, from } => {
                match secrets.move_label(name, label, to.as_ref(), from.as_ref()).await? {
                    Move::Moved => Reply::Moved,
                    Move::Refused => Reply::Refused,
                }
            }
            Call::SignIn { key } => self.sign_in(*key).await?,
            Call::ReadLastUses => Reply::LastUses(self.last_uses().await?),
            Call::Wait(pause) => {
                let pause = pause.to_std().unwrap_or_default();
                if Instant::now() + pause >= self.deadline {
                    return Err(EngineError::OutOfTime);
                }
                tokio::time::sleep(pause).await;
                Reply::Waited
            }
            Call::Emit(event) => {
                let event = self.cloud_event(event);
                self.engine.bus.put(&[event], self.deadline).await?;
                Reply::Emitted
            }
        })
    }

    fn new_secret(&self) -> NewSecret {
        NewSecret {
            kms_key: self.credential.settings.kms_key.clone(),
            description: format!(
                "Client secret of Entra application {}, kept fresh by Keywheel ({})",
                self.credential.application, self.credential.name
            ),
            tags: self.credential.settings.tags.clone(),
        }
    }

    fn options(&self, client_request_id: Uuid) -> CallOptions {
        CallOptions { client_request_id, deadline: self.deadline }
    }

    async fn read_principal(&mut self) -> Result<Option<Principal>, EngineError> {
        let (application, on) = (self.credential.application, self.credential.settings.key_on);
        let options = CallOptions::until(self.deadline);
        let principal = self.engine.graph.principal(application, on, &options).await?;
        self.object = principal.as_ref().map(|principal| Object { on, id: principal.object_id });
        Ok(principal)
    }

    async fn object(&mut self) -> Result<Option<Object>, EngineError> {
        if self.object.is_none() {
            self.read_principal().await?;
        }
        Ok(self.object)
    }

    async fn read_value(
        &mut self,
        version: &VersionId,
        key: Option<KeyId>,
    ) -> Result<Reply, EngineError> {
        let name = self.credential.secret.as_str();
        let Some(value) = self.engine.secrets.value(name, version).await? else {
            return Ok(Reply::NoValue);
        };
        if let Some(key) = key {
            self.read_carried().await?;
            let facts = self.facts(key, self.engine.graph.now());
            let format = &self.credential.settings.format;
            let text = match format.read_back(&value, &facts, self.carried.foreign()) {
                Ok(text) => text,
                Err(unreadable) => {
                    warn!(credential = %self.credential.name, %version, %unreadable);
                    return Ok(Reply::Unreadable);
                }
            };
            self.held.insert(key, HeldSecret { text, expires_on: None });
        }
        Ok(Reply::Value)
    }

    async fn add_password(&mut self, rotation: &Token) -> Result<Reply, EngineError> {
        let Some(object) = self.object().await? else {
            return Ok(Reply::Principal(None));
        };
        self.read_carried().await?;
        self.rehearse()?;
        let (added, end) = match self.add_password_of_allowed_life(object, rotation).await {
            Ok(added) => added,
            Err(EngineError::Graph(error))
                if *error.kind() == Kind::Known(Refusal::SizeExceeded) =>
            {
                warn!(credential = %self.credential.name, %error, "no room for another key");
                return Ok(Reply::Full);
            }
            Err(error) => return Err(error),
        };
        if let Some(id) = added.request_id {
            self.graph_requests.insert(added.key, id);
        }
        let expires_on = Some(added.end.unwrap_or(end));
        self.held.insert(added.key, HeldSecret { text: added.secret, expires_on });
        Ok(Reply::Added { key: added.key })
    }

    /// Writes a value before there is a key, so that no key is minted for a value that cannot be stored or that would
    /// lock Keywheel itself out.
    fn rehearse(&self) -> Result<(), EngineError> {
        let longest = SecretText::new("x".repeat(*SECRET_TEXT.end()));
        let value = self.render(KeyId(Uuid::nil()), self.engine.graph.now(), &longest)?;
        let name = self.credential.secret.as_str();
        if !self.engine.identity.stored_in().is_some_and(|own| is_of_secret(own, name)) {
            return Ok(());
        }
        self.engine.identity.reads(&value).map_err(|source| EngineError::OwnSecret {
            credential: self.credential.name.clone(),
            source,
        })
    }

    /// Mints a key with the longest life that the tenant's policy allows: the life that the manifest asks for, or half
    /// of it, down to the shortest that the manifest accepts.
    ///
    /// The policy's refusal does not say which life is allowed.
    async fn add_password_of_allowed_life(
        &self,
        object: Object,
        rotation: &Token,
    ) -> Result<(Added, DateTime<Utc>), EngineError> {
        let display_name = display_name(&self.terms.scope, rotation);
        let options = self.options(mint_request(rotation));
        let shortest = self.credential.settings.shortest_lifetime;
        let mut life = self.terms.policy.lifetime;
        loop {
            let end = self.engine.graph.now() + life;
            match self.engine.graph.add_password(object, &display_name, end, &options).await {
                Ok(added) => return Ok((added, end)),
                Err(error)
                    if *error.kind() == Kind::Known(Refusal::LifetimeExceedsPolicy)
                        && life > shortest =>
                {
                    life = (life / 2).max(shortest);
                    warn!(credential = %self.credential.name, days = life.num_days(), "the tenant's policy wants a shorter life");
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn render(
        &self,
        key: KeyId,
        expires_on: DateTime<Utc>,
        text: &SecretText,
    ) -> Result<SecretText, EngineError> {
        let facts = self.facts(key, expires_on);
        let format = &self.credential.settings.format;
        let value = format.render(&facts, text, self.carried.foreign());
        value.map_err(|source| self.format_error(source))
    }

    fn facts(&self, key_id: KeyId, expires_on: DateTime<Utc>) -> Facts {
        Facts {
            cloud: self.engine.cloud,
            tenant: self.engine.manifest.tenant(),
            application: self.credential.application,
            subscription: self.credential.settings.subscription,
            key_id,
            expires_on,
        }
    }

    async fn remove_password(&mut self, key: KeyId) -> Result<Reply, EngineError> {
        let Some(object) = self.object().await? else {
            return Ok(Reply::Principal(None));
        };
        let options = self.options(removal_request(key));
        let removed = match self.engine.graph.remove_password(object, key, &options).await {
            Ok(removed) => removed,
            // The rules read the labels again before the next try.
            Err(error) if self.removal.pause(error.retry()).await => {
                warn!(credential = %self.credential.name, %error, "a removal is tried again");
                return Ok(Reply::NotRemoved);
            }
            Err(error) => return Err(error.into()),
        };
        if let Some(id) = removed.request_id {
            self.graph_requests.insert(key, id);
        }
        Ok(Reply::Removed)
    }

    async fn put_value(
        &mut self,
        rotation: &Token,
        key: KeyId,
        pending: bool,
    ) -> Result<Reply, EngineError> {
        self.read_carried().await?;
        let held = self.held.get(&key).ok_or(EngineError::TextNotAtHand(key))?;
        let expires_on = held.expires_on.ok_or(EngineError::TextNotAtHand(key))?;
        let value = self.render(key, expires_on, &held.text)?;
        let mut labels = vec![Label::Key(key)];
        labels.extend(pending.then_some(Label::Pending));
        let name = self.credential.secret.as_str();
        Ok(match self.engine.secrets.put(name, rotation, &value, &labels).await? {
            Put::Stored => Reply::Stored,
            Put::Taken => Reply::Taken,
        })
    }

    async fn sign_in(&mut self, key: KeyId) -> Result<Reply, EngineError> {
        let held = self.held.get(&key).ok_or(EngineError::TextNotAtHand(key))?;
        let mut backoff = Backoff::new(SIGN_IN_RETRIES, self.deadline);
        loop {
            let answer = self.engine.proofs.sign_in(self.credential.application, &held.text);
            // A missing answer says nothing about the secret. A try that ended here would lose a key that is not stored
            // yet.
            match answer.await {
                Ok(answer) => return Ok(Reply::SignIn(answer)),
                Err(failure) if backoff.pause(failure.retry()).await => {}
                Err(failure) => return Err(failure.into()),
            }
        }
    }

    /// Reads the last uses of the keys, or the reason why there is no report.
    ///
    /// Graph rations the report. The next sweep asks again, so a missing report is no failure.
    async fn last_uses(&self) -> Result<Result<LastUses, Untold>, EngineError> {
        let options = CallOptions::until(self.deadline);
        match self.engine.graph.last_uses(self.credential.application, &options).await {
            Ok(uses) => Ok(Ok(uses)),
            Err(failure)
                if failure.retry() == Retry::Never || *failure.kind() == Kind::Throttled =>
            {
                warn!(credential = %self.credential.name, %failure, "no report of last sign-ins");
                Ok(Err(match failure.kind() {
                    Kind::Forbidden { .. } => Untold::Forbidden,
                    Kind::Known(Refusal::NotLicensed) => Untold::NotLicensed,
                    _ => Untold::Unread,
                }))
            }
            Err(failure) => Err(failure.into()),
        }
    }

    fn format_error(&self, source: FormatError) -> EngineError {
        EngineError::Format { credential: self.credential.name.clone(), source }
    }
}
