//! Rules that no application follows.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::Cursor;
use super::found::Seen;
use crate::engine::Engine;
use crate::graph::Application;
use crate::ids::AppId;
use crate::manifest::Rule;
use crate::rotation::finding::Finding;

impl Engine {
    /// Those of the rules' tags that an application on this page or on those before it has.
    pub(super) fn tagged(&self, at: &Cursor, page: &[Application]) -> Option<BTreeSet<String>> {
        let mut tagged = match &at.next {
            None => BTreeSet::new(),
            // Without what the pages before had, nothing can be said of all.
            Some(_) => at.tagged.clone()?,
        };
        let rules: BTreeSet<&str> = self.manifest.rules().iter().map(Rule::tag).collect();
        let tags = page.iter().flat_map(|application| &application.tags);
        tagged.extend(tags.filter(|tag| rules.contains(tag.as_str())).cloned());
        Some(tagged)
    }

    /// What is told of the rules whose tag no application has, once all applications are read.
    pub(super) fn rules_in_vain(&self, tagged: Option<&BTreeSet<String>>) -> Vec<Seen> {
        let Some(tagged) = tagged else { return Vec::new() };
        let rules: BTreeSet<&str> = self.manifest.rules().iter().map(Rule::tag).collect();
        let in_vain = rules.into_iter().filter(|tag| !tagged.contains(*tag));
        // It is about no application, so it stands under Keywheel's own.
        let application = self.identity.app().unwrap_or(AppId(Uuid::nil()));
        let seen = in_vain.map(|tag| Seen {
            credential: None,
            application,
            display_name: None,
            finding: Finding::RuleMatchesNobody(tag.to_owned()),
        });
        seen.collect()
    }
}
