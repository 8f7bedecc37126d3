//! One HTTP exchange with ProBonus: the request by its method, a deadline, a bounded answer.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{Method, header};
use reqwest::RequestBuilder;
use url::Url;

use super::arguments::Arguments;
use super::error::UpstreamError;
use super::operation::Operation;
use super::reply::Reply;
use crate::clock::Deadline;
use crate::config::ProbonusConfig;

/// The longest answer that is read, in bytes: of histories, which come whole, and of everything else.
const MAX_HISTORY: usize = 8 * 1024 * 1024;
const MAX_ANSWER: usize = 2 * 1024 * 1024;

/// Time to connect.
const CONNECT: Duration = Duration::from_secs(2);

/// Idle connections are given up before common servers close theirs (from 5 s): a call never starts on a dying one.
const IDLE: Duration = Duration::from_secs(4);

/// The way to ProBonus.
pub(super) struct Transport {
    client: reqwest::Client,
    base: Url,
    methods: BTreeMap<String, Method>,
    timeout: Duration,
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
            Reply::read(response, bound_of(operation)).await
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

/// The longest answer to `operation`.
fn bound_of(operation: Operation) -> usize {
    match operation {
        Operation::Transactions => MAX_HISTORY,
        _ => MAX_ANSWER,
    }
}
