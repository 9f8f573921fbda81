//! What earlier runs found, so that a build or a hunt that was cut off goes on.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::mutant::{Fate, Mutant};

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entry {
    /// All code as it was, tests too, and the programs that were left out.
    code: u64,
    #[serde(flatten)]
    fate: Fate,
}

/// The fates of earlier runs. A fate holds only while the mutant's file stays as it was.
#[derive(Debug)]
pub(crate) struct Cache {
    path: PathBuf,
    code: u64,
    files: HashMap<String, u64>,
    entries: BTreeMap<String, Entry>,
}

fn hash(of: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

impl Cache {
    /// Reads `fates.json` of a folder, if there is one that this tool can read.
    pub(crate) fn read(
        folder: &Path,
        sources: &BTreeMap<String, String>,
        without: &[String],
    ) -> Self {
        let path = folder.join("fates.json");
        let entries = fs::read(&path).ok().and_then(|text| serde_json::from_slice(&text).ok());
        let files = sources.iter().map(|(file, text)| (file.clone(), hash(text))).collect();
        Self { path, code: hash((sources, without)), files, entries: entries.unwrap_or_default() }
    }

    fn key(&self, mutant: &Mutant) -> Option<String> {
        Some(format!("{:016x} {}", self.files.get(&mutant.file)?, mutant.name))
    }

    /// Says what is known of some mutants.
    ///
    /// What does not compile is always known. With `resume`, so is what was caught, and what survived if no code has changed.
    pub(crate) fn known(&self, mutants: &[&Mutant], resume: bool) -> BTreeMap<u32, Fate> {
        let known = mutants.iter().filter_map(|mutant| {
            let entry = self.entries.get(&self.key(mutant)?)?;
            let holds = match entry.fate {
                Fate::Unviable | Fate::NotSchematised(_) => true,
                Fate::Caught(_) | Fate::TimedOut(_) => resume,
                Fate::Unreached | Fate::Survived => resume && entry.code == self.code,
            };
            holds.then(|| (mutant.id, entry.fate.clone()))
        });
        known.collect()
    }

    /// Writes what was found, and forgets what was found about files that have changed.
    pub(crate) fn write(
        &mut self,
        mutants: &[Mutant],
        fates: &BTreeMap<u32, Fate>,
    ) -> Result<(), Failure> {
        let mut entries = BTreeMap::new();
        for mutant in mutants {
            let Some(key) = self.key(mutant) else { continue };
            let found = fates.get(&mutant.id).cloned();
            let entry = match (found, self.entries.remove(&key)) {
                (Some(fate), Some(old)) if old.fate == fate => Some(old),
                (Some(fate), _) => Some(Entry { code: self.code, fate }),
                (None, old) => old,
            };
            entries.extend(entry.map(|entry| (key, entry)));
        }
        self.entries = entries;
        Ok(fs::write(&self.path, serde_json::to_vec_pretty(&self.entries)?)?)
    }
}
