//! Reads everything that the checks judge. A reading that fails keeps no other from being tried.

mod entra;
mod running;

use aws_config::SdkConfig;
use futures::{StreamExt, TryStreamExt, stream};
use indicatif::ProgressBar;
use keywheel_core::deployment::{Deployment, Function, Stack};
use keywheel_core::engine::{self, EngineError};
use keywheel_core::http::{self, Http};
use keywheel_core::identity::{Cloud, Endpoints};
use keywheel_core::manifest::{LoadError, Manifest, ManifestSource};
use keywheel_core::rotation::observed::SecretState;
use keywheel_core::secrets::Secrets;
use keywheel_core::store::Location;

use super::seen::{Caller, Parameters, Secret, Seen};
use super::verdict::{Reading, Trouble};
use crate::args::{Check, Global};
use crate::exit::Failure;
use crate::session::manifest_source;

/// The name that `make deploy` gives the stack.
const STACK: &str = "keywheel";
/// So many secrets are described side by side.
const AT_ONCE: usize = 8;
/// The outputs that name functions. Those of functions that are not deployed are absent.
const FUNCTIONS: [&str; 6] = [
    "SweepFunctionName",
    "RotateFunctionName",
    "NotifyFunctionName",
    "AuditFunctionName",
    "WebhookFunctionName",
    "CompareFunctionName",
];

/// The arguments and clients that all readings share.
struct Reader<'a> {
    global: &'a Global,
    args: &'a Check,
    progress: &'a ProgressBar,
    http: Http,
    aws: SdkConfig,
    deployment: Deployment,
    signed_in: bool,
}

/// Reads everything.
pub(super) async fn read(
    global: &Global,
    args: &Check,
    progress: &ProgressBar,
) -> Result<Seen, Failure> {
    let http = Http::from_env().map_err(EngineError::from)?;
    let aws = http::aws::config(&http).await;
    let caller = caller(&aws).await;
    let signed_in = caller.get().is_some();
    let deployment = Deployment::new(&http, &aws);
    let reader = Reader { global, args, progress, http, aws, deployment, signed_in };

    let issuer = reader
        .ask("the issuer", "iam:GetOutboundWebIdentityFederationInfo", async |from: &Deployment| {
            from.issuer().await
        })
        .await;
    let concurrency = reader
        .ask("the concurrency", "lambda:GetAccountSettings", async |from: &Deployment| {
            from.concurrency().await
        })
        .await;
    let stack = reader.stack().await;
    let parameters = reader.parameters(&stack);
    let functions = reader.functions(&stack).await;
    let deployed_for =
        parameters.get().and_then(|parameters| parameters.get("ClientId")?.parse().ok());
    let client = args.client_id.or(deployed_for);
    let cloud = cloud(&parameters)?;
    let endpoints = Endpoints::from_env(cloud).map_err(EngineError::from)?;
    let manifest = reader.manifest(&stack, &parameters, cloud).await;
    let secrets = reader.secrets(&manifest).await;
    let entra = entra::read(&reader, &endpoints, &manifest, client).await;
    let running = running::read(&reader, &stack, &parameters).await;
    Ok(Seen {
        pre: args.pre,
        client,
        audience: endpoints.federated_audience,
        caller,
        issuer,
        concurrency,
        stack,
        parameters,
        functions,
        manifest,
        secrets,
        tenant: entra.tenant,
        own: entra.own,
        permissions: entra.permissions,
        federated: entra.federated,
        objects: entra.objects,
        owned: entra.owned,
        sweeps: running.sweeps,
        webhook: running.webhook,
        notify: running.notify,
        dead_letters: running.dead_letters,
        subscriptions: running.subscriptions,
    })
}

async fn caller(aws: &SdkConfig) -> Reading<Caller> {
    let Some(region) = aws.region().map(ToString::to_string) else {
        return Reading::Failed(Trouble::new("no AWS region is set", "set AWS_REGION"));
    };
    match engine::account(aws).await {
        Ok((account, arn)) => {
            let arn = arn.unwrap_or_else(|| account.clone());
            Reading::Read(Caller { arn, region })
        }
        Err(error) => Reading::Failed(Failure::from(error).into()),
    }
}

/// Takes the stack, or the reason why nothing is known of a deployment.
fn deployed(stack: &Reading<Option<Stack>>) -> Result<&Stack, &str> {
    match stack {
        Reading::Read(Some(stack)) => Ok(stack),
        Reading::Read(None) => Err("there is no stack"),
        Reading::Failed(_) => Err("the stack could not be read"),
        Reading::NotTried(why) => Err(why),
    }
}

/// Takes the cloud of the deployment, or else that of `KEYWHEEL_CLOUD`.
fn cloud(parameters: &Reading<Parameters>) -> Result<Cloud, Failure> {
    let given = parameters.get().and_then(|parameters| parameters.0.get("Cloud"));
    let cloud = given.map_or_else(Cloud::from_env, |cloud| cloud.parse());
    Ok(cloud.map_err(EngineError::from)?)
}

impl Reader<'_> {
    fn no_aws<T>(&self) -> Option<Reading<T>> {
        (!self.signed_in).then(|| Reading::not_tried("nobody is signed in to AWS"))
    }

    /// Asks AWS, once somebody is signed in.
    async fn ask<T>(
        &self,
        what: &str,
        permission: &str,
        call: impl AsyncFnOnce(&Deployment) -> Result<T, http::aws::AwsFailure>,
    ) -> Reading<T> {
        if let Some(reading) = self.no_aws() {
            return reading;
        }
        self.progress.set_message(format!("reading {what}"));
        call(&self.deployment).await.map_err(|failure| Trouble::aws(permission, &failure)).into()
    }

    async fn stack(&self) -> Reading<Option<Stack>> {
        if self.args.pre {
            return Reading::not_tried("nothing is deployed before the deployment");
        }
        let name = self.args.stack.as_deref().filter(|name| !name.trim().is_empty());
        let name = name.unwrap_or(STACK);
        let what = format!("the stack {name}");
        self.ask(&what, "cloudformation:DescribeStacks", async |from: &Deployment| {
            from.stack(name).await
        })
        .await
    }

    /// Takes the parameters of the stack, or those that the template is to be given.
    fn parameters(&self, stack: &Reading<Option<Stack>>) -> Reading<Parameters> {
        let parameters = match deployed(stack) {
            _ if self.args.pre => self.args.parameters.iter().cloned().collect(),
            Ok(stack) => stack.parameters.clone(),
            Err(why) => return Reading::not_tried(why),
        };
        Reading::Read(Parameters(parameters))
    }

    async fn functions(
        &self,
        stack: &Reading<Option<Stack>>,
    ) -> Reading<Vec<(String, Option<Function>)>> {
        let stack = match deployed(stack) {
            Ok(stack) => stack,
            Err(why) => return Reading::not_tried(why),
        };
        let names: Vec<&String> =
            FUNCTIONS.iter().filter_map(|output| stack.outputs.get(*output)).collect();
        let read = async |from: &Deployment| {
            let mut functions = Vec::new();
            for name in names {
                functions.push((name.clone(), from.function(name).await?));
            }
            Ok(functions)
        };
        self.ask("the functions", "lambda:GetFunctionConfiguration", read).await
    }

    /// Reads the manifest that the functions read, or before the deployment the one that is given.
    async fn manifest(
        &self,
        stack: &Reading<Option<Stack>>,
        parameters: &Reading<Parameters>,
        cloud: Cloud,
    ) -> Reading<Manifest> {
        let bucket = stack.get().and_then(|stack| stack.as_ref()?.outputs.get("ManifestBucket"));
        let key = parameters.get().and_then(|parameters| parameters.get("ManifestKey"));
        let given = self.global.manifest.as_deref().filter(|text| !text.trim().is_empty());
        let source = match (bucket, key) {
            (Some(bucket), Some(key)) => {
                ManifestSource::S3(Location { bucket: bucket.clone(), key: key.to_owned() })
            }
            _ if given.is_none() => {
                return Reading::not_tried("no manifest is given with --manifest");
            }
            _ => match manifest_source(self.global) {
                Ok(source) => source,
                Err(failure) => return Reading::Failed(failure.into()),
            },
        };
        let is_file = matches!(source, ManifestSource::File(_));
        if let (false, Some(reading)) = (is_file, self.no_aws()) {
            return reading;
        }
        self.progress.set_message(format!("reading the manifest {source}"));
        match source.load_in(&self.aws, cloud).await {
            Ok(manifest) => Reading::Read(manifest),
            Err(LoadError::Invalid(error)) => {
                let first = error.problems().first().map(|problem| {
                    let (line, column) = (problem.position.line, problem.position.column);
                    format!(": {line}:{column} {}: {}", problem.path, problem.what)
                });
                let what = format!("{source} is not valid{}", first.unwrap_or_default());
                Reading::Failed(Trouble::new(
                    what,
                    format!("run `keywheel validate {source}`, which lists each problem"),
                ))
            }
            Err(error @ LoadError::Missing { .. }) => {
                let cure = format!("run `aws s3 cp manifest.yaml {source}`");
                Reading::Failed(Trouble::new(error.to_string(), cure))
            }
            Err(error) => Reading::Failed(Failure::from(error).into()),
        }
    }

    /// Describes the secrets of the manifest that exist.
    async fn secrets(&self, manifest: &Reading<Manifest>) -> Reading<Vec<Secret>> {
        let Some(manifest) = manifest.get() else {
            return Reading::not_tried("the manifest could not be read");
        };
        if let Some(reading) = self.no_aws() {
            return reading;
        }
        self.progress.set_message("describing the secrets");
        let secrets = Secrets::new(&self.aws);
        let describe = async |name: String| {
            let described = secrets.describe(&name).await?;
            let exists = described.state != SecretState::Missing;
            Ok(exists.then_some(Secret { name, kms_key: described.kms_key }))
        };
        let names = manifest.credentials().map(|credential| credential.secret.as_str().to_owned());
        let names: Vec<_> = names.collect();
        let described = stream::iter(names.into_iter().map(describe)).buffer_unordered(AT_ONCE);
        let found: Result<Vec<Option<Secret>>, EngineError> = described.try_collect().await;
        let found = found.map(|found| found.into_iter().flatten().collect());
        found.map_err(|error| Failure::from(error).into()).into()
    }
}
