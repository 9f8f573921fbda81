//! What a process does before it holds its first secret.

use std::io::{Write, stderr};
use std::panic;

/// Keeps what is in memory out of files: no core dumps, and no panic that quotes what it tripped over.
///
/// To be called first of all. What the system does not allow is left: a process without this protection is
/// better than none.
pub fn harden() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    }
    // The limit does not hold where dumps are piped to a program; and nobody but root may attach.
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
    panic::set_hook(Box::new(|panicked| {
        // Not the message: that of a text cut amiss quotes the text.
        let at = panicked.location().map(ToString::to_string).unwrap_or_default();
        let line = serde_json::json!({ "level": "ERROR", "message": "panicked; a defect of Keywheel's", "at": at });
        let _ = writeln!(stderr(), "{line}");
    }));
}
