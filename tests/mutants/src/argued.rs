//! The checked-in list of mutants that change nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::Failure;
use crate::mutant::{Fate, Mutant};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    #[serde(default)]
    argued: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    mutant: String,
    reason: String,
}

/// The reason of each argued mutant, by its name.
pub(crate) fn read(path: &Path) -> Result<BTreeMap<String, String>, Failure> {
    let text = fs::read_to_string(path)?;
    let list: List =
        toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut argued = BTreeMap::new();
    for entry in list.argued {
        if entry.reason.trim().is_empty() {
            return Err(format!("{}: {} has no reason", path.display(), entry.mutant).into());
        }
        if argued.insert(entry.mutant.clone(), entry.reason).is_some() {
            return Err(format!("{}: {} stands there twice", path.display(), entry.mutant).into());
        }
    }
    Ok(argued)
}

/// The entries that no longer hold, each with the reason.
pub(crate) fn stale(
    argued: &BTreeMap<String, String>,
    mutants: &[Mutant],
    fates: &BTreeMap<u32, Fate>,
) -> Vec<String> {
    let by_name: BTreeMap<&str, u32> =
        mutants.iter().map(|mutant| (mutant.name.as_str(), mutant.id)).collect();
    let mut stale = Vec::new();
    for name in argued.keys() {
        match by_name.get(name.as_str()).map(|id| fates.get(id)) {
            None => stale.push(format!("{name}: there is no such mutant")),
            Some(Some(fate)) if !fate.is_survivor() => {
                stale.push(format!("{name}: it does not survive ({fate:?})"));
            }
            Some(_) => {}
        }
    }
    stale
}
