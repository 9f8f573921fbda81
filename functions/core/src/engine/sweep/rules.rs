//! Rules that no application follows.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::{Cursor, SweepFinding};
use crate::engine::Engine;
use crate::graph::DirectoryObject;
use crate::ids::AppId;
use crate::manifest::Rule;
use crate::rotation::finding::Finding;

impl Engine {
    /// Gives the rules' tags that an application on this page, or on a page before, has. `None`: the pages before are not
    /// known.
    pub(super) fn tagged(&self, at: &Cursor, page: &[DirectoryObject]) -> Option<BTreeSet<String>> {
        let mut tagged = match &at.next {
            None => BTreeSet::new(),
            Some(_) => at.tagged.clone()?,
        };
        let rules: BTreeSet<&str> = self.manifest.rules().iter().map(Rule::tag).collect();
        let tags = page.iter().flat_map(|application| &application.tags);
        tagged.extend(tags.filter(|tag| rules.contains(tag.as_str())).cloned());
        Some(tagged)
    }

    /// Reports the rules whose tag no application has, once all applications are read.
    pub(super) fn rules_in_vain(&self, tagged: Option<&BTreeSet<String>>) -> Vec<SweepFinding> {
        let Some(tagged) = tagged else { return Vec::new() };
        let rules: BTreeSet<&str> = self.manifest.rules().iter().map(Rule::tag).collect();
        let in_vain = rules.into_iter().filter(|tag| !tagged.contains(*tag));
        // The finding is about no application, so it names Keywheel's own.
        let own = self.identity.app().unwrap_or(AppId(Uuid::nil()));
        let finding = |tag: &str| Finding::RuleMatchesNobody(tag.to_owned());
        in_vain.map(|tag| SweepFinding::of_setup(own, finding(tag))).collect()
    }
}
