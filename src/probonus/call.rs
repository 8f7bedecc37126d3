//! One HTTP exchange with ProBonus: the request by its method, a deadline, a bounded answer, what the status means.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode, header};
use reqwest::RequestBuilder;
use url::Url;

use super::arguments::Arguments;
use super::error::{Effect, UpstreamError};
use super::json::Json;
use super::operation::Operation;
use crate::clock::Deadline;
use crate::config::ProbonusConfig;
use crate::retry_after::retry_after;

/// The longest answer that is read, in bytes: of histories, which come whole, and of everything else.
const MAX_HISTORY: usize = 8 * 1024 * 1024;
const MAX_ANSWER: usize = 2 * 1024 * 1024;

/// Time to connect.
const CONNECT: Duration = Duration::from_secs(2);

/// Idle connections are given up before common servers close theirs (from 5 s): a call never starts on a dying one.
const IDLE: Duration = Duration::from_secs(4);

/// The longest pause that ProBonus may ask for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(30);

/// The way to ProBonus.
pub(super) struct Transport {
    client: reqwest::Client,
    base: Url,
    methods: BTreeMap<String, Method>,
    timeout: Duration,
}

/// An answer read whole.
pub(super) struct Reply {
    pub status: StatusCode,
    pub body: Bytes,
    retry_after: Option<Duration>,
    json: bool,
}

impl Transport {
    pub fn new(config: &ProbonusConfig) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT.min(config.timeout))
            .pool_idle_timeout(IDLE)
            .tcp_nodelay(true)
            .user_agent(concat!("guest-cabinet/", env!("CARGO_PKG_VERSION")))
            .build()?;
        let mut base = config.url.clone();
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        Ok(Self {
            client,
            base,
            methods: config.methods.clone(),
            timeout: config.timeout,
        })
    }

    /// The longest time of one call.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// A request for `operation`: arguments in the query by GET, in a JSON body otherwise.
    pub fn request(&self, operation: Operation, arguments: &Arguments) -> RequestBuilder {
        let method = self.methods.get(operation.name()).cloned();
        let method = method.unwrap_or_else(|| operation.usual_method());
        let mut url = self.base.join(operation.path()).unwrap_or_else(|_| self.base.clone());
        let request = if method == Method::GET {
            if !arguments.is_empty() {
                url.query_pairs_mut().extend_pairs(arguments.texts());
            }
            self.client.get(url)
        } else {
            self.client.request(method, url).json(arguments)
        };
        request.header(header::ACCEPT, "application/json")
    }

    /// Sends it and reads the whole answer within the call's time.
    pub async fn send(
        &self,
        operation: Operation,
        request: RequestBuilder,
        deadline: Deadline,
    ) -> Result<Reply, UpstreamError> {
        let until = deadline.at_most(self.timeout);
        let exchange = async {
            let response = request.send().await.map_err(|error| failure(&error))?;
            read(response, bound_of(operation)).await
        };
        if let Ok(reply) = tokio::time::timeout_at(until.instant(), exchange).await {
            reply
        } else {
            tracing::debug!(operation = operation.name(), "ProBonus did not answer in time");
            Err(UpstreamError::unknown())
        }
    }
}

fn failure(error: &reqwest::Error) -> UpstreamError {
    if error.is_connect() || error.is_builder() {
        UpstreamError::not_sent(None)
    } else {
        UpstreamError::unknown()
    }
}

/// Reads the answer whole. One that breaks off was not given; one without end makes no sense.
async fn read(mut response: reqwest::Response, bound: usize) -> Result<Reply, UpstreamError> {
    let retry_after = pause_asked_for(response.headers());
    let kind = response.headers().get(header::CONTENT_TYPE);
    let json = kind.is_none_or(|kind| kind.to_str().is_ok_and(is_json));
    let status = response.status();
    let mut body = BytesMut::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= bound => body.extend_from_slice(&chunk),
            Ok(None) => break,
            // The status of a failure tells enough.
            Ok(Some(_)) | Err(_) if !status.is_success() => break,
            Ok(Some(_)) => return Err(UpstreamError::Invalid),
            Err(_) => return Err(UpstreamError::unknown()),
        }
    }
    Ok(Reply {
        status,
        body: body.freeze(),
        retry_after,
        json,
    })
}

/// How long ProBonus asks to be left alone, within [`LONGEST_RETRY_AFTER`].
fn pause_asked_for(headers: &HeaderMap) -> Option<Duration> {
    retry_after(headers).map(|pause| pause.min(LONGEST_RETRY_AFTER))
}

/// The longest answer to `operation`.
fn bound_of(operation: Operation) -> usize {
    match operation {
        Operation::Transactions => MAX_HISTORY,
        _ => MAX_ANSWER,
    }
}

fn is_json(kind: &str) -> bool {
    let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    matches!(essence.as_str(), "" | "application/json" | "text/json") || essence.ends_with("+json")
}

impl Reply {
    /// Whether our credential was refused.
    pub fn refuses_credential(&self) -> bool {
        matches!(self.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
    }

    /// Whether it says that there is nothing.
    pub fn says_nothing(&self) -> bool {
        self.status == StatusCode::NOT_FOUND
            || self.status == StatusCode::NO_CONTENT
            || (self.status == StatusCode::OK && self.body.trim_ascii().is_empty())
    }

    /// How long ProBonus asks to be left alone: told by the answers that turn a caller away, 429 and 503.
    pub fn asks_for_pause(&self) -> Option<Duration> {
        let away = matches!(
            self.status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        );
        self.retry_after.filter(|_| away)
    }

    /// Whether a success is JSON, or empty: whatever else comes is not ProBonus talking.
    pub fn makes_sense(&self) -> bool {
        let empty = self.body.trim_ascii().is_empty();
        !self.status.is_success() || empty || (self.json && Json::parse(&self.body).is_ok())
    }

    /// The body of a success, or what the status means.
    pub fn accepted(self) -> Result<Bytes, UpstreamError> {
        let status = self.status;
        if status.is_success() {
            return Ok(self.body);
        }
        Err(match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => UpstreamError::CredentialRefused,
            // Turned away at the door.
            StatusCode::TOO_MANY_REQUESTS => UpstreamError::Unavailable {
                retry_after: self.retry_after.or(Some(Duration::from_secs(1))),
                effect: Effect::None,
            },
            status if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => UpstreamError::Unavailable {
                retry_after: self.asks_for_pause(),
                effect: Effect::Unknown,
            },
            status if status.is_client_error() => UpstreamError::Refused {
                status: status.as_u16(),
            },
            // A redirect or something stranger.
            _ => UpstreamError::Invalid,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_pause_is_longer_than_is_sane() {
        let asked = |seconds: u64| {
            let headers = HeaderMap::from_iter([(header::RETRY_AFTER, seconds.into())]);
            pause_asked_for(&headers)
        };
        assert_eq!(asked(2), Some(Duration::from_secs(2)));
        assert_eq!(asked(86_400), Some(LONGEST_RETRY_AFTER));
    }
}
