//! Sends signed requests to AWS services whose SDK is not linked.
//!
//! Keywheel asks IAM, Lambda and `CloudFormation` one or two questions each. Their SDKs would add minutes to every build
//! and to every installation of the command-line tool.

use std::time::{Duration, SystemTime};

use ::http::header::CONTENT_TYPE;
use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_types::service_config::ServiceConfigKey;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::aws::{AwsFailure, NO_CREDENTIALS, is_transient};
use super::{Answer, Backoff, Http, Retry, SendError};

const RETRIES: u32 = 3;
const PATIENCE: Duration = Duration::from_mins(1);

/// A service that Keywheel asks without its SDK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    CloudFormation,
    Iam,
    Lambda,
}

impl Service {
    /// Gives the name in signatures and host names.
    fn name(self) -> &'static str {
        match self {
            Self::CloudFormation => "cloudformation",
            Self::Iam => "iam",
            Self::Lambda => "lambda",
        }
    }

    /// Gives the name under which a variable or the profile may give the service an endpoint of its own.
    fn id(self) -> &'static str {
        match self {
            Self::CloudFormation => "CloudFormation",
            Self::Iam => "IAM",
            Self::Lambda => "Lambda",
        }
    }

    /// Gives the version of the API that requests of the Query protocol name.
    fn version(self) -> &'static str {
        match self {
            Self::CloudFormation => "2010-05-15",
            Self::Iam => "2010-05-08",
            Self::Lambda => "2015-03-31",
        }
    }

    /// Gives the address, and the region to sign for. IAM is one service for each partition.
    fn place(self, region: &str) -> (String, String) {
        let (china, gov) = (region.starts_with("cn-"), region.starts_with("us-gov-"));
        if self == Self::Iam {
            let (host, region) = match (china, gov) {
                (true, _) => ("iam.cn-north-1.amazonaws.com.cn", "cn-north-1"),
                (_, true) => ("iam.us-gov.amazonaws.com", "us-gov-west-1"),
                _ => ("iam.amazonaws.com", "us-east-1"),
            };
            return (format!("https://{host}"), region.to_owned());
        }
        let suffix = if china { "amazonaws.com.cn" } else { "amazonaws.com" };
        (format!("https://{}.{region}.{suffix}", self.name()), region.to_owned())
    }
}

/// The body of a request.
#[derive(Clone, Copy, Debug)]
enum Content<'a> {
    None,
    Form(&'a str),
    Json(&'a str),
}

/// A client for signed requests. The credentials are asked for once.
#[derive(Debug)]
pub(crate) struct Signed {
    http: Http,
    aws: SdkConfig,
    credentials: OnceCell<Credentials>,
}

impl Signed {
    pub(crate) fn new(http: &Http, aws: &SdkConfig) -> Self {
        Self { http: http.clone(), aws: aws.clone(), credentials: OnceCell::new() }
    }

    /// Asks a service of the Query protocol, which answers in XML.
    pub(crate) async fn query(
        &self,
        service: Service,
        action: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Answer, AwsFailure> {
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("Action", action)
            .append_pair("Version", service.version())
            .extend_pairs(parameters)
            .finish();
        self.send(service, "/", Content::Form(&form)).await
    }

    /// Reads the JSON that a REST service answers at a path.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        service: Service,
        path: &str,
    ) -> Result<T, AwsFailure> {
        let answer = self.send(service, path, Content::None).await?;
        serde_json::from_slice(&answer.body)
            .map_err(|_| AwsFailure::here("the answer could not be read"))
    }

    /// Posts JSON to a path once, and waits this long for the answer: what the request begins may take minutes.
    pub(crate) async fn post_once(
        &self,
        service: Service,
        path: &str,
        json: &str,
        patience: Duration,
    ) -> Result<Answer, AwsFailure> {
        let mut request = self.request(service, path, Content::Json(json)).await?;
        *request.timeout_mut() = Some(patience);
        self.send_once(request).await
    }

    /// Sends until there is a success, a refusal, or no time left. Nothing is changed by any of these requests.
    async fn send(
        &self,
        service: Service,
        path: &str,
        content: Content<'_>,
    ) -> Result<Answer, AwsFailure> {
        let mut backoff = Backoff::new(RETRIES, Instant::now() + PATIENCE);
        loop {
            let request = self.request(service, path, content).await?;
            match self.send_once(request).await {
                Err(failed) if backoff.pause(failed.retry).await => {}
                result => return result,
            }
        }
    }

    async fn send_once(&self, request: reqwest::Request) -> Result<Answer, AwsFailure> {
        match self.http.send(request).await {
            Ok(answer) if answer.status.is_success() => Ok(answer),
            Ok(answer) => Err(refused(&answer)),
            Err(error) => Err(unanswered(&error)),
        }
    }

    async fn request(
        &self,
        service: Service,
        path: &str,
        content: Content<'_>,
    ) -> Result<reqwest::Request, AwsFailure> {
        let unbuilt = || AwsFailure::here("the request could not be built");
        let region = self.aws.region().map(AsRef::as_ref).unwrap_or_default();
        let (address, region) = service.place(region);
        let root = self.endpoint(service).unwrap_or(address);
        let uri = format!("{}{path}", root.trim_end_matches('/'));
        let (method, kind, body) = match content {
            Content::None => ("GET", None, ""),
            Content::Form(form) => ("POST", Some("application/x-www-form-urlencoded"), form),
            Content::Json(json) => ("POST", Some("application/json"), json),
        };
        let mut request = ::http::Request::builder().method(method).uri(&uri);
        if let Some(kind) = kind {
            request = request.header(CONTENT_TYPE, kind);
        }
        let mut request = request.body(body.to_owned()).map_err(|_| unbuilt())?;
        let identity = self.credentials().await?.clone().into();
        let signing = v4::SigningParams::builder()
            .identity(&identity)
            .region(&region)
            .name(service.name())
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|_| unbuilt())?;
        let headers = request
            .headers()
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let body = SignableBody::Bytes(body.as_bytes());
        let signable = SignableRequest::new(method, &uri, headers, body).map_err(|_| unbuilt())?;
        let signed = sign(signable, &signing.into()).map_err(|_| unbuilt())?;
        signed.into_parts().0.apply_to_request_http1x(&mut request);
        reqwest::Request::try_from(request).map_err(|_| unbuilt())
    }

    /// Reads the endpoint that a variable or the profile names, for the service or for all services.
    fn endpoint(&self, service: Service) -> Option<String> {
        let key = ServiceConfigKey::builder().service_id(service.id());
        let key = key.env("AWS_ENDPOINT_URL").profile("endpoint_url").build().ok()?;
        let own = self.aws.service_config().and_then(|config| config.load_config(key));
        own.or_else(|| self.aws.endpoint_url().map(str::to_owned))
    }

    async fn credentials(&self) -> Result<&Credentials, AwsFailure> {
        let none = || AwsFailure::here(NO_CREDENTIALS);
        let ask = async || {
            let provider = self.aws.credentials_provider().ok_or_else(none)?;
            provider.provide_credentials().await.map_err(|_| none())
        };
        self.credentials.get_or_try_init(ask).await
    }
}

fn unanswered(error: &SendError) -> AwsFailure {
    let retry = if error.is_transient() { Retry::Soon } else { Retry::Never };
    AwsFailure { retry, ..AwsFailure::here(&error.to_string()) }
}

/// An error of a REST service in JSON. AWS writes either name.
#[derive(Default, Deserialize)]
struct Told {
    #[serde(alias = "Message")]
    message: Option<String>,
    #[serde(alias = "Type", alias = "__type")]
    code: Option<String>,
}

/// Reads a refusal, in XML or in JSON.
fn refused(answer: &Answer) -> AwsFailure {
    let header = |name: &str| answer.headers.get(name)?.to_str().ok().map(str::to_owned);
    let request_id = header("x-amzn-requestid");
    let text = std::str::from_utf8(&answer.body).unwrap_or_default();
    let (code, message) = if let Ok(xml) = roxmltree::Document::parse(text) {
        (xml_text(&xml, "Code"), xml_text(&xml, "Message"))
    } else {
        let told: Told = serde_json::from_str(text).unwrap_or_default();
        // `x-amzn-ErrorType: ResourceNotFoundException:http://…`
        let kind = header("x-amzn-errortype").or(told.code);
        (kind.map(|kind| kind.split(':').next().unwrap_or_default().to_owned()), told.message)
    };
    let status = answer.status.as_u16();
    let passes = status == 429 || status >= 500 || code.as_deref().is_some_and(is_transient);
    let message = message.unwrap_or_else(|| format!("the service answered {status} and no reason"));
    let retry = if passes { Retry::Soon } else { Retry::Never };
    AwsFailure { code, message, request_id, retry }
}

/// Gives the text of the first element of this name.
fn xml_text(xml: &roxmltree::Document<'_>, name: &str) -> Option<String> {
    xml.descendants().find(|node| node.has_tag_name(name))?.text().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(headers: &[(&'static str, &'static str)], body: &str) -> Answer {
        let headers = headers.iter().map(|(name, value)| {
            (::http::HeaderName::from_static(name), ::http::HeaderValue::from_static(value))
        });
        let status = ::http::StatusCode::BAD_REQUEST;
        Answer { status, headers: headers.collect(), body: body.as_bytes().to_vec().into() }
    }

    #[test]
    fn each_partition_has_its_own_iam() {
        for (region, iam, lambda) in [
            (
                "eu-central-1",
                ("https://iam.amazonaws.com", "us-east-1"),
                "https://lambda.eu-central-1.amazonaws.com",
            ),
            (
                "us-gov-east-1",
                ("https://iam.us-gov.amazonaws.com", "us-gov-west-1"),
                "https://lambda.us-gov-east-1.amazonaws.com",
            ),
            (
                "cn-northwest-1",
                ("https://iam.cn-north-1.amazonaws.com.cn", "cn-north-1"),
                "https://lambda.cn-northwest-1.amazonaws.com.cn",
            ),
        ] {
            let (host, signed) = Service::Iam.place(region);
            assert_eq!((host.as_str(), signed.as_str()), iam);
            assert_eq!(Service::Lambda.place(region), (lambda.to_owned(), region.to_owned()));
        }
    }

    #[test]
    fn refusals_are_read_in_xml_and_in_json() {
        let xml = "<ErrorResponse><Error><Type>Sender</Type><Code>FeatureDisabled</Code>\
                   <Message>It is off &amp; cold.</Message></Error></ErrorResponse>";
        let told = refused(&answer(&[("x-amzn-requestid", "7")], xml));
        assert_eq!(told.to_string(), "FeatureDisabled: It is off & cold. (request 7)");
        let kind = ("x-amzn-errortype", "ResourceNotFoundException:http://internal.amazon.com/");
        let told = refused(&answer(&[kind], r#"{"Message":"none","Type":"User"}"#));
        assert_eq!(told.to_string(), "ResourceNotFoundException: none");
        let told = refused(&answer(&[], "<html>"));
        assert_eq!(told.to_string(), "the service answered 400 and no reason");
        assert_eq!(told.retry, Retry::Never);
    }

    #[test]
    fn throttling_passes() {
        let xml = "<ErrorResponse><Error><Code>Throttling</Code></Error></ErrorResponse>";
        assert_eq!(refused(&answer(&[], xml)).retry, Retry::Soon);
    }
}
