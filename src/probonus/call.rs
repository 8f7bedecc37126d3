//! One HTTP exchange with ProBonus: the request by its method, a deadline, a bounded answer, what the status means.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Method, StatusCode, header};
use reqwest::RequestBuilder;
use serde_json::Value;
use url::Url;

use super::error::{Effect, UpstreamError};
use super::operation::Operation;
use crate::clock::Deadline;
use crate::config::ProbonusConfig;

/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 2 * 1024 * 1024;

/// Time to connect.
const CONNECT: Duration = Duration::from_secs(2);

/// Idle connections are given up before common servers close theirs (from 5 s): a call never starts on a dying one.
const IDLE: Duration = Duration::from_secs(4);

/// The longest pause that ProBonus may ask for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_mins(1);

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
    pub fn request(&self, operation: Operation, arguments: &Value) -> RequestBuilder {
        let method = self.methods.get(operation.name()).cloned();
        let method = method.unwrap_or_else(|| operation.usual_method());
        let mut url = self.base.join(operation.path()).unwrap_or_else(|_| self.base.clone());
        if method == Method::GET {
            if let Value::Object(members) = arguments
                && !members.is_empty()
            {
                let mut query = url.query_pairs_mut();
                for (name, value) in members {
                    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    query.append_pair(name, &text);
                }
            }
            return self.client.get(url).header(header::ACCEPT, "application/json");
        }
        self.client
            .request(method, url)
            .header(header::ACCEPT, "application/json")
            .json(arguments)
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
            read(response).await
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

async fn read(mut response: reqwest::Response) -> Result<Reply, UpstreamError> {
    let retry_after = response
        .headers()
        .get(header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.trim().parse().ok())
        .map(|seconds| Duration::from_secs(seconds).min(LONGEST_RETRY_AFTER));
    let kind = response.headers().get(header::CONTENT_TYPE);
    let json = kind.is_none_or(|kind| kind.to_str().is_ok_and(is_json));
    let status = response.status();
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|_| UpstreamError::unknown())? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(UpstreamError::Invalid);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Reply {
        status,
        body: body.freeze(),
        retry_after,
        json,
    })
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

    /// The body of a success that is JSON, or empty.
    pub fn accepted(self) -> Result<Bytes, UpstreamError> {
        let status = self.status;
        if status.is_success() {
            let empty = self.body.trim_ascii().is_empty();
            return if self.json || empty {
                Ok(self.body)
            } else {
                Err(UpstreamError::Invalid)
            };
        }
        Err(match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => UpstreamError::CredentialRefused,
            // Turned away at the door.
            StatusCode::TOO_MANY_REQUESTS => UpstreamError::Unavailable {
                retry_after: self.retry_after.or(Some(Duration::from_secs(1))),
                effect: Effect::None,
            },
            status if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => UpstreamError::Unavailable {
                retry_after: self.retry_after,
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
