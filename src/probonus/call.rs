//! One HTTP exchange with ProBonus: the request by its method, a deadline, a bounded answer.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{Method, header};
use reqwest::RequestBuilder;
use url::Url;

use super::arguments::Arguments;
use super::connections::{Connections, Unanswered};
use super::error::UpstreamError;
use super::operation::Operation;
use super::reply::Reply;
use super::sightings::Sightings;
use crate::clock::{Clock, Deadline};
use crate::config::ProbonusConfig;

/// The longest answer that is read, in bytes: of histories, which come whole, and of everything else.
const MAX_HISTORY: usize = 8 * 1024 * 1024;
const MAX_ANSWER: usize = 2 * 1024 * 1024;

/// The way to ProBonus.
pub(super) struct Transport {
    connections: Connections,
    base: Url,
    methods: BTreeMap<String, Method>,
    timeout: Duration,
    sightings: Sightings,
}

impl Transport {
    pub fn new(config: &ProbonusConfig, clock: Clock) -> Result<Self, reqwest::Error> {
        let mut base = config.url.clone();
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        Ok(Self {
            connections: Connections::new(config.timeout, clock)?,
            base,
            methods: config.methods.clone(),
            timeout: config.timeout,
            sightings: Sightings::default(),
        })
    }

    /// The longest time of one call.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// What was seen on the way.
    pub fn sightings(&self) -> &Sightings {
        &self.sightings
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
            self.connections.client().get(url)
        } else {
            self.connections.client().request(method, url).json(arguments)
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
            let request = request.build().map_err(|_| UpstreamError::not_sent(None))?;
            // Each in a box of its own: they hold several requests, and callers should not carry the room for them.
            let sent = if operation.is_read() {
                Box::pin(self.connections.send_repeatable(request)).await
            } else {
                Box::pin(self.connections.send_once(request)).await
            };
            let response = sent.map_err(|unanswered| match unanswered {
                Unanswered::NotSent => UpstreamError::not_sent(None),
                Unanswered::Unknown => UpstreamError::unknown(),
                Unanswered::UnreadableHead => {
                    self.sightings.unreadable_head(operation);
                    UpstreamError::unknown()
                }
            })?;
            if response.status().is_redirection() {
                let location = response.headers().get(header::LOCATION);
                let location = location.and_then(|location| location.to_str().ok());
                self.sightings.redirected(operation, response.url(), location);
            }
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

/// The longest answer to `operation`.
fn bound_of(operation: Operation) -> usize {
    match operation {
        Operation::Transactions => MAX_HISTORY,
        _ => MAX_ANSWER,
    }
}
