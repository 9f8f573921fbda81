//! The present state of one credential, for people.
//!
//! An inspection reads labels and keys, never a value, and changes nothing.

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::{Engine, EngineError};
use crate::graph::{CallOptions, Detail, DirectoryObject};
use crate::ids::{AppId, KeyOn, ObjectId, VersionId};
use crate::manifest::{Credential, Managed};
use crate::rotation::finding::{Expected, Finding, inspect};
use crate::rotation::plan::{self, Plan, is_named, named_due};
use crate::rotation::room::has_room;
use crate::rotation::version_state::{VersionState, version_state};
use crate::rotation::{Key, Principal, Scope, SecretState, SecretView, Stop, Terms};

/// The state of a credential at one moment.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// The secret (by `DescribeSecret`, which does not lag as a sweep's listing does).
    pub secret: SecretState,
    /// The object that holds the keys; `None`: Graph knows no such application.
    pub principal: Option<Principal>,
    /// The work that a sweep would queue, and the findings that a sweep would report.
    pub plan: Plan,
    /// The time of the reading, by Graph's clock.
    pub now: DateTime<Utc>,
    terms: Terms,
}

impl Inspection {
    /// Gives the state of a version that holds a key of Keywheel's; `None`: there is no secret.
    pub fn version_state(&self, version: &VersionId) -> Option<VersionState> {
        match &self.secret {
            SecretState::Present(view) => {
                Some(version_state(view, version, self.terms.policy.overlap))
            }
            _ => None,
        }
    }

    /// Lists the foreign keys that the manifest names for removal, and when a sweep may remove them. `None`: no date is
    /// known before Keywheel's own secret is current.
    pub fn named_keys(&self) -> Vec<(&Key, Option<DateTime<Utc>>)> {
        let due = match &self.secret {
            SecretState::Present(view) => named_due(&self.terms, view),
            _ => None,
        };
        let keys = self.principal.iter().flat_map(|principal| &principal.keys);
        keys.filter(|key| is_named(&self.terms, key)).map(|key| (key, due)).collect()
    }

    /// Says whether a rotation that is asked for now can mint a key. With `urgent` a past key may go early.
    pub fn has_room(&self, urgent: bool) -> bool {
        let none = SecretView::default();
        let view = match &self.secret {
            SecretState::Present(view) => view,
            _ => &none,
        };
        let has = |principal| has_room(&self.terms, view, principal, urgent, self.now);
        self.principal.as_ref().is_none_or(has)
    }
}

impl Engine {
    /// Reads one credential's secret and keys, and plans for it as a sweep would.
    pub async fn inspect(
        &self,
        credential: &Credential,
        deadline: Instant,
    ) -> Result<Inspection, EngineError> {
        let options = CallOptions::until(deadline);
        let secret = async {
            let described = self.secrets.describe(credential.secret.as_str()).await;
            described.map_err(EngineError::from)
        };
        let principal = async {
            let principal = self
                .graph
                .principal(credential.application, credential.settings.key_on, &options)
                .await;
            principal.map_err(EngineError::from)
        };
        let (described, principal) = tokio::try_join!(secret, principal)?;
        let terms = self.terms(credential, None);
        let now = self.graph.now();
        let secret = described.state;
        let mut plan =
            plan::plan(&terms, credential.settings.trigger, &secret, principal.as_ref(), now);
        if let Some(principal) = &principal {
            let policy = &terms.policy;
            let expected = Expected {
                scopes: self.scopes_on_same_object(credential),
                named: policy.retire_keys.clone(),
                soon: policy.rotate_before,
                lifetime: policy.lifetime,
            };
            plan.findings.extend(inspect(&principal.keys, &[], &expected, now));
            plan.findings.extend(
                self.findings_of_other_object(credential, &principal.keys, &options).await?,
            );
        } else if let Some(given) = self.object_id_given(credential.application, deadline).await? {
            plan.findings.retain(|finding| *finding != Finding::Stopped(Stop::ApplicationGone));
            plan.findings.push(given);
        }
        Ok(Inspection { secret, principal, plan, now, terms })
    }

    /// Gives the scopes of all credentials that keep their keys on the same object. Keys of these scopes are not
    /// foreign.
    fn scopes_on_same_object(&self, credential: &Credential) -> Vec<Scope> {
        let listed = self.manifest.credentials().filter(|other| {
            (other.application, other.settings.key_on)
                == (credential.application, credential.settings.key_on)
        });
        listed.chain([credential]).map(|credential| self.terms(credential, None).scope).collect()
    }

    /// Finds the credential that a rule makes of this application; `None`: the application has no rule's tag, or the
    /// manifest lists the application.
    pub async fn ruled(
        &self,
        application: AppId,
        deadline: Instant,
    ) -> Result<Option<Credential>, EngineError> {
        let found = self.applications(&[application], deadline).await?;
        let ruled = found.iter().find_map(|found| self.manifest.by_tags(found.app_id, &found.tags));
        Ok(ruled.map(|ruled| ruled.credential))
    }

    /// Reads the applications of these client ids. Those that Graph does not know are left out.
    pub async fn applications(
        &self,
        ids: &[AppId],
        deadline: Instant,
    ) -> Result<Vec<DirectoryObject>, EngineError> {
        let options = CallOptions::until(deadline);
        let (on, keys) = (KeyOn::Application, Detail::Keys);
        let found = self.graph.objects_by_app_id(on, ids, keys, &options).await?;
        match found.unreadable.into_iter().next() {
            Some(unreadable) => Err(EngineError::Unreadable(unreadable.into())),
            None => Ok(found.items),
        }
    }

    /// Replaces the tags of an application. Rules find applications by their tags.
    pub async fn set_tags(
        &self,
        application: ObjectId,
        tags: &[String],
        deadline: Instant,
    ) -> Result<(), EngineError> {
        Ok(self.graph.set_tags(application, tags, &CallOptions::until(deadline)).await?)
    }

    /// Says whether the manifest lists the credential, or the application has the tag of the credential's rule.
    ///
    /// The name of a secret alone is not enough: anybody who may name a secret could have a key of any application
    /// minted and stored there.
    pub(super) async fn is_managed(
        &self,
        managed: &Managed,
        deadline: Instant,
    ) -> Result<bool, EngineError> {
        if managed.is_listed() {
            return Ok(true);
        }
        let ruled = self.ruled(managed.credential.application, deadline).await?;
        Ok(ruled.is_some_and(|ruled| ruled.name == managed.credential.name))
    }

    /// Lists the credentials that rules make of the whole directory, and the findings about objects that cannot be
    /// read.
    pub async fn all_ruled(
        &self,
        deadline: Instant,
    ) -> Result<(Vec<Credential>, Vec<Finding>), EngineError> {
        let (mut ruled, mut left_out) = (Vec::new(), Vec::new());
        if self.manifest.rules().is_empty() {
            return Ok((ruled, left_out));
        }
        let mut next = None;
        loop {
            let options = CallOptions::until(deadline);
            let (on, keys) = (KeyOn::Application, Detail::Keys);
            let page = self.graph.objects(on, keys, next.as_ref(), &options).await?;
            let of_page = page
                .items
                .iter()
                .filter_map(|found| self.manifest.by_tags(found.app_id, &found.tags));
            ruled.extend(of_page.map(|ruled| ruled.credential));
            left_out.extend(page.unreadable.into_iter().map(Finding::from));
            next = page.next;
            if next.is_none() {
                return Ok((ruled, left_out));
            }
        }
    }
}
