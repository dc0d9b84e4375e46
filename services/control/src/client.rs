//! The other end: what `upwrite ctl` calls.

use std::error::Error;
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status, Streaming};

use crate::Token;
use crate::v1;
use crate::v1::control_client::ControlClient;

const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
const KEEPALIVE: Duration = Duration::from_secs(20);
/// Bytes of one answer: a page of mutations with long messages.
const ANSWER_MAX_BYTES: usize = 64 * 1024 * 1024;

/// Where the server is, and what it is shown.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// `http://host:port`, or `https://host:port` with TLS.
    pub address: String,
    pub token: Option<Token>,
    /// PEM of the authority that signed the server's certificate; `None`: those that this machine trusts.
    pub authority: Option<Vec<u8>>,
}

/// Why there is no answer. The texts are for people.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClientError {
    /// The address, the token or the certificate is not one.
    #[error("{0}")]
    Config(String),
    #[error("{0}")]
    Unreachable(String),
    #[error("not authorised: {0}")]
    NotAuthorised(String),
    #[error("{0}")]
    NotFound(String),
    /// The request makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// The server answers, and what was asked for failed.
    #[error("{0}")]
    Failed(String),
}

impl From<Status> for ClientError {
    fn from(status: Status) -> Self {
        let message = status.message().to_owned();
        match status.code() {
            Code::Unauthenticated | Code::PermissionDenied => Self::NotAuthorised(message),
            Code::NotFound => Self::NotFound(message),
            Code::InvalidArgument => Self::Invalid(message),
            // The last two: a connection that breaks in mid-answer.
            Code::Unavailable | Code::Unknown | Code::Cancelled => Self::Unreachable(chain(message, status.source())),
            _ => Self::Failed(message),
        }
    }
}

/// A message with what caused it.
fn chain(message: String, mut cause: Option<&(dyn Error + 'static)>) -> String {
    let mut text = message;
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

/// Shows the token with each call.
#[derive(Debug, Clone)]
struct TokenHeader(Option<MetadataValue<Ascii>>);

impl Interceptor for TokenHeader {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert("authorization", token.clone());
        }
        Ok(request)
    }
}

/// What a stream gives.
pub type Responses<T> = BoxStream<'static, Result<T, ClientError>>;

/// A connection to a control server.
#[derive(Debug, Clone)]
pub struct Client {
    inner: ControlClient<InterceptedService<Channel, TokenHeader>>,
}

impl Client {
    /// # Errors
    /// `Config` if the address, token or certificate is not one, `Unreachable` if there is no answer.
    pub async fn connect(config: ClientConfig) -> Result<Self, ClientError> {
        let wrong = |what: &str| {
            ClientError::Config(format!("{what} {:?}: write http://host:port or https://host:port", config.address))
        };
        let mut endpoint = Endpoint::from_shared(config.address.clone()).map_err(|_| wrong("not an address:"))?;
        match endpoint.uri().scheme_str() {
            Some("http") if config.authority.is_some() => {
                return Err(wrong("a certificate authority goes with https:"));
            }
            Some("http") => {}
            Some("https") => {
                let tls = match &config.authority {
                    Some(pem) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)),
                    None => ClientTlsConfig::new().with_native_roots(),
                };
                endpoint = endpoint
                    .tls_config(tls)
                    .map_err(|error| ClientError::Config(chain(error.to_string(), error.source())))?;
            }
            _ => return Err(wrong("not an address:")),
        }
        let token = config.token.as_ref().map(|token| format!("Bearer {}", token.expose()).parse());
        let token = token
            .transpose()
            .map_err(|_| ClientError::Config("the token has characters that no header can have".into()))?;
        let channel =
            endpoint.connect_timeout(CONNECT_PATIENCE).http2_keep_alive_interval(KEEPALIVE).connect().await.map_err(
                |error| {
                    ClientError::Unreachable(format!(
                        "the control API at {} cannot be reached: {}",
                        config.address,
                        chain(error.to_string(), error.source())
                    ))
                },
            )?;
        let inner =
            ControlClient::with_interceptor(channel, TokenHeader(token)).max_decoding_message_size(ANSWER_MAX_BYTES);
        Ok(Self { inner })
    }

    pub async fn status(&mut self) -> Result<v1::StatusResponse, ClientError> {
        Ok(self.inner.status(v1::StatusRequest {}).await?.into_inner())
    }

    pub async fn list_mutations(
        &mut self,
        request: v1::ListMutationsRequest,
    ) -> Result<v1::ListMutationsResponse, ClientError> {
        Ok(self.inner.list_mutations(request).await?.into_inner())
    }

    pub async fn get_mutation(&mut self, id: &str) -> Result<v1::GetMutationResponse, ClientError> {
        Ok(self.inner.get_mutation(v1::GetMutationRequest { id: id.to_owned() }).await?.into_inner())
    }

    pub async fn watch_mutations(
        &mut self,
        request: v1::WatchMutationsRequest,
    ) -> Result<Responses<v1::WatchMutationsResponse>, ClientError> {
        Ok(responses(self.inner.watch_mutations(request).await?.into_inner()))
    }

    /// A synced table as `<source>.<table>`; `None`: the projections.
    pub async fn rebuild(&mut self, table: Option<String>) -> Result<Responses<v1::Progress>, ClientError> {
        let target = match table {
            Some(table) => v1::rebuild_request::Target::Table(table),
            None => v1::rebuild_request::Target::Projections(true),
        };
        let request = v1::RebuildRequest { target: Some(target) };
        Ok(responses(self.inner.rebuild(request).await?.into_inner()))
    }

    pub async fn recover(&mut self) -> Result<Responses<v1::Progress>, ClientError> {
        Ok(responses(self.inner.recover(v1::RecoverRequest {}).await?.into_inner()))
    }
}

fn responses<T: Send + 'static>(streaming: Streaming<T>) -> Responses<T> {
    streaming.map_err(ClientError::from).boxed()
}
