//! Reads how Keywheel is deployed: the account, the stack, the functions, the topic of alarms.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_config::SdkConfig;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use roxmltree::{Document, Node};
use serde::Deserialize;
use serde_json::Value;

use crate::http::Http;
use crate::http::aws::AwsFailure;
use crate::http::signed::{Service, Signed};

/// A subscription's ARN has this text in its place until its owner confirms it.
const UNCONFIRMED: [&str; 2] = ["PendingConfirmation", "Deleted"];

/// How long a function of Lambda may run, and a little more.
const LONGEST_INVOCATION: Duration = Duration::from_secs(15 * 60 + 10);

/// A client for what says how Keywheel is deployed, and for running its functions.
#[derive(Debug)]
pub struct Deployment {
    signed: Signed,
    sns: aws_sdk_sns::Client,
}

/// How many functions may run at once (Lambda `AccountLimit`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Concurrency {
    /// The account's limit in this region (`ConcurrentExecutions`).
    #[serde(rename = "ConcurrentExecutions")]
    pub limit: u32,
    /// The part of the limit that no function reserves (`UnreservedConcurrentExecutions`).
    #[serde(rename = "UnreservedConcurrentExecutions")]
    pub unreserved: u32,
}

/// A stack, as it is deployed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stack {
    /// The status, such as `UPDATE_COMPLETE`.
    pub status: String,
    /// The reason for the status, where a reason is given.
    pub reason: Option<String>,
    /// The parameters by their names.
    pub parameters: BTreeMap<String, String>,
    /// The outputs by their names.
    pub outputs: BTreeMap<String, String>,
}

/// A function of Lambda.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Function {
    /// The state: `Pending`, `Active`, `Inactive` or `Failed`, among others.
    #[serde(default)]
    pub state: String,
    /// The reason for the state, where Lambda gives a reason.
    pub state_reason: Option<String>,
    /// How the last update went: `Successful`, `Failed` or `InProgress`.
    #[serde(default)]
    pub last_update_status: String,
    /// The reason for a failed update.
    pub last_update_status_reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AccountSettings {
    account_limit: Concurrency,
}

impl Deployment {
    /// Makes a client with the environment's credentials.
    pub fn new(http: &Http, aws: &SdkConfig) -> Self {
        Self { signed: Signed::new(http, aws), sns: aws_sdk_sns::Client::new(aws) }
    }

    /// Reads the issuer of the account's tokens (IAM `GetOutboundWebIdentityFederationInfo`); `None`: the account issues none.
    pub async fn issuer(&self) -> Result<Option<String>, AwsFailure> {
        let action = "GetOutboundWebIdentityFederationInfo";
        match self.signed.query(Service::Iam, action, &[]).await {
            Ok(answer) => read(&answer.body, issuer),
            Err(failure) if failure.is("FeatureDisabled") => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Reads how many functions may run at once (Lambda `GetAccountSettings`).
    pub async fn concurrency(&self) -> Result<Concurrency, AwsFailure> {
        let path = "/2016-08-19/account-settings";
        let settings: AccountSettings = self.signed.get(Service::Lambda, path).await?;
        Ok(settings.account_limit)
    }

    /// Reads a stack (`DescribeStacks`); `None`: there is no such stack.
    pub async fn stack(&self, name: &str) -> Result<Option<Stack>, AwsFailure> {
        let asked = [("StackName", name)];
        match self.signed.query(Service::CloudFormation, "DescribeStacks", &asked).await {
            Ok(answer) => read(&answer.body, stack),
            Err(failure)
                if failure.is("ValidationError") && failure.message.ends_with("does not exist") =>
            {
                Ok(None)
            }
            Err(failure) => Err(failure),
        }
    }

    /// Reads a function (Lambda `GetFunctionConfiguration`); `None`: there is no such function.
    pub async fn function(&self, name: &str) -> Result<Option<Function>, AwsFailure> {
        let path = format!("/2015-03-31/functions/{name}/configuration");
        match self.signed.get(Service::Lambda, &path).await {
            Ok(function) => Ok(Some(function)),
            Err(failure) if failure.is("ResourceNotFoundException") => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Runs a function and waits for its answer (Lambda `Invoke`). A function that fails is a failure with the code of the
    /// function's error.
    pub async fn invoke(&self, function: &str, event: &Value) -> Result<Value, AwsFailure> {
        let function = utf8_percent_encode(function, NON_ALPHANUMERIC);
        let path = format!("/2015-03-31/functions/{function}/invocations");
        let event = event.to_string();
        let answer =
            self.signed.post_once(Service::Lambda, &path, &event, LONGEST_INVOCATION).await?;
        let told: Value = serde_json::from_slice(&answer.body)
            .map_err(|_| AwsFailure::here("the function's answer could not be read"))?;
        if !answer.headers.contains_key("x-amz-function-error") {
            return Ok(told);
        }
        let text = |name: &str| told.get(name).and_then(Value::as_str).map(str::to_owned);
        let message = text("errorMessage").unwrap_or_else(|| "no reason was given".to_owned());
        Err(AwsFailure { code: text("errorType"), ..AwsFailure::here(&message) })
    }

    /// Counts the confirmed subscriptions of a topic, on its first page (SNS `ListSubscriptionsByTopic`).
    pub async fn subscriptions(&self, topic: &str) -> Result<usize, AwsFailure> {
        let answer = self.sns.list_subscriptions_by_topic().topic_arn(topic).send().await;
        let listed = answer.map_err(|error| AwsFailure::new(&error))?.subscriptions;
        let confirmed = listed.unwrap_or_default().into_iter().filter(|subscription| {
            subscription.subscription_arn().is_some_and(|arn| !UNCONFIRMED.contains(&arn))
        });
        Ok(confirmed.count())
    }
}

/// Reads an answer in XML.
fn read<T>(
    body: &[u8],
    of: impl FnOnce(Node<'_, '_>) -> Option<T>,
) -> Result<Option<T>, AwsFailure> {
    let unreadable = || AwsFailure::here("the answer could not be read");
    let text = std::str::from_utf8(body).map_err(|_| unreadable())?;
    let document = Document::parse(text).map_err(|_| unreadable())?;
    Ok(of(document.root_element()))
}

fn issuer(answer: Node<'_, '_>) -> Option<String> {
    let enabled = find(answer, "JwtVendingEnabled").and_then(|node| node.text()) == Some("true");
    find(answer, "IssuerIdentifier")?.text().filter(|_| enabled).map(str::to_owned)
}

fn stack(answer: Node<'_, '_>) -> Option<Stack> {
    let stack = find(answer, "Stacks")?.first_element_child()?;
    let text = |name| child(stack, name).and_then(|node| node.text()).map(str::to_owned);
    Some(Stack {
        status: text("StackStatus")?,
        reason: text("StackStatusReason"),
        parameters: pairs(stack, "Parameters", ("ParameterKey", "ParameterValue")),
        outputs: pairs(stack, "Outputs", ("OutputKey", "OutputValue")),
    })
}

/// Reads a list of names and values. An empty value has no text in XML.
fn pairs(of: Node<'_, '_>, list: &str, (name, value): (&str, &str)) -> BTreeMap<String, String> {
    let members = child(of, list).into_iter().flat_map(|list| list.children());
    let text = |member, name| child(member, name).and_then(|node| node.text());
    members
        .filter_map(|member| {
            let value = text(member, value).unwrap_or_default();
            Some((text(member, name)?.to_owned(), value.to_owned()))
        })
        .collect()
}

fn find<'a, 'input>(of: Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
    of.descendants().find(|node| node.has_tag_name(name))
}

fn child<'a, 'input>(of: Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
    of.children().find(|node| node.has_tag_name(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_counts_only_while_tokens_are_issued() {
        for (enabled, expected) in [("true", Some("https://x.tokens.example")), ("false", None)] {
            let xml = format!(
                "<GetOutboundWebIdentityFederationInfoResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\">
                   <GetOutboundWebIdentityFederationInfoResult>
                     <IssuerIdentifier>https://x.tokens.example</IssuerIdentifier>
                     <JwtVendingEnabled>{enabled}</JwtVendingEnabled>
                   </GetOutboundWebIdentityFederationInfoResult>
                 </GetOutboundWebIdentityFederationInfoResponse>"
            );
            assert_eq!(read(xml.as_bytes(), issuer).unwrap().as_deref(), expected);
        }
    }

    #[test]
    fn a_stack_has_its_parameters_and_outputs() {
        let xml = "<DescribeStacksResponse xmlns=\"http://cloudformation.amazonaws.com/doc/2010-05-15/\"><DescribeStacksResult>
            <Stacks><member><StackName>keywheel</StackName><StackStatus>CREATE_COMPLETE</StackStatus>
            <Parameters><member><ParameterKey>KmsKeyArn</ParameterKey><ParameterValue/></member>
              <member><ParameterKey>SecretPrefix</ParameterKey><ParameterValue>a&amp;b/</ParameterValue></member></Parameters>
            <Outputs><member><OutputKey>QueueUrl</OutputKey><OutputValue>https://q</OutputValue></member></Outputs>
            </member></Stacks></DescribeStacksResult></DescribeStacksResponse>";
        let stack = read(xml.as_bytes(), stack).unwrap().unwrap();
        assert_eq!((stack.status.as_str(), stack.reason.as_deref()), ("CREATE_COMPLETE", None));
        assert_eq!(stack.parameters["KmsKeyArn"], "");
        assert_eq!(stack.parameters["SecretPrefix"], "a&b/");
        assert_eq!(stack.outputs["QueueUrl"], "https://q");
        assert!(read(b"<html>", |_| Some(())).is_err());
    }
}
