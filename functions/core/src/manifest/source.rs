//! The place of a manifest, and how the manifest is read from there.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use aws_config::SdkConfig;

use super::{MAX_BYTES, Manifest, ManifestError};
use crate::http::aws::AwsFailure;
use crate::identity::Cloud;
use crate::settings::SettingError;
use crate::store::{Location, Store, StoreError};

/// The place of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ManifestSource {
    /// An object in S3: `s3://bucket/key`.
    S3(Location),
    /// A parameter in the Parameter Store, which may be encrypted: `ssm:/name`.
    Ssm {
        /// The parameter's name or ARN.
        name: String,
    },
    /// A file.
    File(PathBuf),
}

impl ManifestSource {
    /// Reads `s3://bucket/key`, `ssm:/name` or a path.
    pub fn parse(text: &str) -> Result<Self, SettingError> {
        let error = |why| Err(SettingError::Manifest { text: text.to_owned(), why });
        if let Some(rest) = text.strip_prefix("s3://") {
            return match rest.split_once('/') {
                Some((bucket, key)) if !bucket.is_empty() && !key.is_empty() => {
                    Ok(Self::S3(Location { bucket: bucket.to_owned(), key: key.to_owned() }))
                }
                _ => error("a bucket and a key are needed"),
            };
        }
        if let Some(name) = text.strip_prefix("ssm:") {
            return match name {
                "" | "/" => error("a parameter's name is needed"),
                name if name.starts_with("//") => error("a parameter's name begins with one slash"),
                name => Ok(Self::Ssm { name: name.to_owned() }),
            };
        }
        if text.trim().is_empty() {
            return error("it is empty");
        }
        if text.contains("://") {
            return error("this kind of address is not supported");
        }
        Ok(Self::File(PathBuf::from(text)))
    }

    /// Reads and parses the manifest, whatever the cloud. A caller that needs only permissions and notifications knows no
    /// cloud.
    pub async fn load(&self, aws: &SdkConfig) -> Result<Manifest, LoadError> {
        self.load_in(aws, Cloud::Public).await
    }

    /// Reads and parses a manifest of this cloud.
    pub async fn load_in(&self, aws: &SdkConfig, cloud: Cloud) -> Result<Manifest, LoadError> {
        let bytes = match self {
            Self::S3(location) => self.read_s3(aws, location).await?,
            Self::Ssm { name } => self.read_ssm(aws, name).await?,
            Self::File(path) => read_file(path)?,
        };
        if bytes.len() > MAX_BYTES {
            return Err(LoadError::TooBig { from: self.to_string() });
        }
        let text = String::from_utf8(bytes).map_err(|error| LoadError::NotText {
            from: self.to_string(),
            at: error.utf8_error().valid_up_to(),
        })?;
        Ok(Manifest::parse_in(&text, &self.to_string(), cloud)?)
    }

    async fn read_s3(&self, aws: &SdkConfig, at: &Location) -> Result<Vec<u8>, LoadError> {
        let from = self.to_string();
        match Store::new(aws, at.bucket.clone()).get(&at.key, None, MAX_BYTES).await {
            Ok(Some(object)) => Ok(object.bytes),
            Ok(None) => Err(LoadError::Missing { from }),
            Err(StoreError::Failed { operation, failure, .. }) => {
                Err(self.refused(operation, failure))
            }
            Err(StoreError::TooLarge { .. }) => Err(LoadError::TooBig { from }),
            Err(error) => Err(LoadError::Unread(Box::new(error))),
        }
    }

    async fn read_ssm(&self, aws: &SdkConfig, name: &str) -> Result<Vec<u8>, LoadError> {
        let client = aws_sdk_ssm::Client::new(aws);
        let call = client.get_parameter().name(name).with_decryption(true);
        let answer = call.send().await;
        let refused = |error| self.refused("GetParameter", AwsFailure::new(&error));
        let value = answer.map_err(refused)?.parameter.and_then(|parameter| parameter.value);
        Ok(value.unwrap_or_default().into_bytes())
    }

    fn refused(&self, call: &'static str, failure: AwsFailure) -> LoadError {
        let hint = match (self, failure.code.as_deref().unwrap_or_default()) {
            (Self::S3(_), "AccessDenied") => {
                "; allow the role s3:GetObject on it, and s3:ListBucket to tell denied from missing"
            }
            (Self::Ssm { .. }, "AccessDeniedException") => {
                "; allow the role ssm:GetParameter on it, and kms:Decrypt if it is encrypted"
            }
            (_, "NoSuchBucket" | "ParameterNotFound") => {
                "; check its name, the account and the region"
            }
            _ => "",
        };
        LoadError::Refused { from: self.to_string(), call, failure, hint }
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, LoadError> {
    let mut bytes = Vec::new();
    // One byte more than is allowed shows that there are more.
    let limit = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    std::fs::File::open(path)
        .and_then(|file| file.take(limit).read_to_end(&mut bytes))
        .map_err(|source| LoadError::File { path: path.to_owned(), source })?;
    Ok(bytes)
}

impl fmt::Display for ManifestSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::S3(location) => location.fmt(f),
            Self::Ssm { name } => write!(f, "ssm:{name}"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// The manifest cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// A service refused to give the manifest.
    #[error("{call} of {from} failed: {failure}{hint}")]
    Refused {
        /// The manifest's address.
        from: String,
        /// The API call.
        call: &'static str,
        /// The service's answer.
        failure: AwsFailure,
        /// The cure, if known. The text begins with a semicolon.
        hint: &'static str,
    },
    /// The bucket has no such object.
    #[error("there is no {from}; check its name, the account and the region")]
    Missing {
        /// The manifest's address.
        from: String,
    },
    /// The object was not read to its end.
    #[error(transparent)]
    Unread(Box<StoreError>),
    /// The file cannot be read.
    #[error("the manifest {} cannot be read", path.display())]
    File {
        /// The path.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The manifest is larger than a manifest may be.
    #[error("the manifest {from} has more than {MAX_BYTES} bytes; describe a fleet by rules")]
    TooBig {
        /// The manifest's address.
        from: String,
    },
    /// The manifest is not UTF-8.
    #[error("the manifest {from} is not UTF-8 text (byte {at}); save it as UTF-8")]
    NotText {
        /// The manifest's address.
        from: String,
        /// The position of the first wrong byte.
        at: usize,
    },
    /// The manifest is not valid.
    #[error(transparent)]
    Invalid(#[from] ManifestError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_told_apart() {
        let s3 = ManifestSource::S3(Location { bucket: "b".into(), key: "a/k.yaml".into() });
        assert_eq!(ManifestSource::parse("s3://b/a/k.yaml"), Ok(s3));
        assert_eq!(
            ManifestSource::parse("ssm:/kw/m"),
            Ok(ManifestSource::Ssm { name: "/kw/m".into() })
        );
        assert_eq!(ManifestSource::parse("./m.yaml"), Ok(ManifestSource::File("./m.yaml".into())));
    }

    #[test]
    fn what_names_no_place_is_refused() {
        for bad in [
            "",
            " ",
            "s3://",
            "s3://b",
            "s3://b/",
            "s3:///k",
            "ssm:",
            "ssm:/",
            "ssm://x",
            "https://x/y",
        ] {
            assert!(ManifestSource::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_source_is_written_as_it_is_read() {
        for text in ["s3://b/k", "ssm:/name", "ssm:name", "/etc/keywheel.yaml"] {
            assert_eq!(ManifestSource::parse(text).expect("source").to_string(), text);
        }
    }
}
