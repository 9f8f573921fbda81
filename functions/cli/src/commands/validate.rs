//! `keywheel validate`.

use std::io::Read;

use aws_config::SdkConfig;
use keywheel_core::engine::EngineError;
use keywheel_core::http::{self, Http};
use keywheel_core::identity::Cloud;
use keywheel_core::ids::TenantId;
use keywheel_core::manifest::{
    LoadError, MAX_BYTES, Manifest, ManifestError, ManifestSource, Problem,
};
use serde::Serialize;

use crate::args::{Global, Validate};
use crate::exit::{Exit, Failure};
use crate::session::manifest_source;
use crate::terminal::Terminal;
use crate::text::{count, plain};

const STDIN: &str = "<stdin>";

/// The result as JSON.
#[derive(Debug, Default, Serialize)]
struct Shape<'a> {
    source: &'a str,
    valid: bool,
    tenant: Option<TenantId>,
    credentials: Option<usize>,
    rules: Option<usize>,
    problems: Vec<ProblemShape<'a>>,
}

#[derive(Debug, Serialize)]
struct ProblemShape<'a> {
    line: u64,
    column: u64,
    path: &'a str,
    what: &'a str,
    cure: &'a str,
}

impl<'a> From<&'a Problem> for ProblemShape<'a> {
    fn from(problem: &'a Problem) -> Self {
        Self {
            line: problem.position.line,
            column: problem.position.column,
            path: &problem.path,
            what: &problem.what,
            cure: &problem.cure,
        }
    }
}

/// Checks a manifest and prints what is wrong with it.
pub(crate) async fn run(
    global: &Global,
    args: &Validate,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let cloud = Cloud::from_env().map_err(EngineError::from)?;
    let (source, loaded) = match args.file.as_deref() {
        Some("-") => (STDIN.to_owned(), read_stdin(cloud)?),
        Some(file) => load(ManifestSource::parse(file)?, cloud).await?,
        None => load(manifest_source(global)?, cloud).await?,
    };
    match loaded {
        Ok(manifest) => valid(&source, &manifest, terminal),
        Err(error) => invalid(&source, &error, terminal),
    }
}

type Loaded = Result<Manifest, ManifestError>;

async fn load(source: ManifestSource, cloud: Cloud) -> Result<(String, Loaded), Failure> {
    let aws = if matches!(source, ManifestSource::File(_)) {
        // A file needs no AWS, and looking for a region may take seconds.
        SdkConfig::builder().build()
    } else {
        let http = Http::from_env().map_err(EngineError::from)?;
        http::aws::config(&http).await
    };
    let loaded = match source.load_in(&aws, cloud).await {
        Ok(manifest) => Ok(manifest),
        Err(LoadError::Invalid(error)) => Err(error),
        Err(error) => return Err(error.into()),
    };
    Ok((source.to_string(), loaded))
}

fn read_stdin(cloud: Cloud) -> Result<Loaded, Failure> {
    let mut text = String::new();
    // One byte more than is allowed shows that there are more.
    let limit = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let read = std::io::stdin().lock().take(limit).read_to_string(&mut text);
    read.map_err(|error| {
        let what = format!("standard input cannot be read: {error}");
        Failure::new(Exit::Failed, what, "give UTF-8 text")
    })?;
    if text.len() > MAX_BYTES {
        let from = STDIN.to_owned();
        return Err(LoadError::TooBig { from }.into());
    }
    Ok(Manifest::parse_in(&text, STDIN, cloud))
}

fn valid(source: &str, manifest: &Manifest, terminal: &Terminal) -> Result<Exit, Failure> {
    let (credentials, rules) = (manifest.credentials().len(), manifest.rules().len());
    if terminal.json {
        terminal.print_json(&Shape {
            source,
            valid: true,
            tenant: Some(manifest.tenant()),
            credentials: Some(credentials),
            rules: Some(rules),
            problems: Vec::new(),
        })?;
    } else {
        terminal.print(&format!(
            "{}: valid: {}, {}",
            plain(source),
            count(credentials, "credential"),
            count(rules, "rule")
        ))?;
    }
    Ok(Exit::Done)
}

fn invalid(source: &str, error: &ManifestError, terminal: &Terminal) -> Result<Exit, Failure> {
    let problems = error.problems();
    if terminal.json {
        let problems = problems.iter().map(ProblemShape::from).collect();
        terminal.print_json(&Shape { source, problems, ..Shape::default() })?;
    } else {
        for problem in problems {
            let Problem { position, path, what, .. } = problem;
            let path = if path.is_empty() { String::new() } else { format!("{path}: ") };
            let line = plain(&format!("{source}:{position}: {path}{what}"));
            terminal.print(&format!("{line}\n  cure: {}", plain(&problem.cure)))?;
        }
    }
    terminal.note(&format!("{}: {}", plain(source), count(problems.len(), "problem")));
    Ok(Exit::Failed)
}
