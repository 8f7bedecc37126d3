//! Which operation a request is, for counting: the path's template and a closed set of names, never the path itself.

use std::collections::HashMap;
use std::time::Duration;

use http::{Method, StatusCode};
use matchit::Router;
use metrics::{Counter, Histogram, counter, histogram};
use utoipa::openapi::path::ParameterIn;
use utoipa::openapi::{OpenApi, RefOr};

/// The table from paths to operations.
pub(super) struct Operations {
    /// Paths without parameters: most requests.
    plain: HashMap<String, ByMethod, foldhash::fast::RandomState>,
    templates: Router<ByMethod>,
    all: Vec<Operation>,
}

/// Places in the list of all operations, by method.
type ByMethod = [Option<usize>; 5];

/// One operation with its counters made beforehand.
pub(super) struct Operation {
    /// Its `operationId`; `other` for whatever the document does not name.
    pub id: &'static str,
    /// Whether a query says nothing to it: then none may be sent.
    pub no_query: bool,
    by_class: [Counter; 5],
    seconds: Histogram,
}

impl Operation {
    fn new(id: &'static str, no_query: bool) -> Self {
        let class = |name: &'static str| counter!("cabinet_http_requests_total", "operation" => id, "status" => name);
        Self {
            id,
            no_query,
            by_class: ["1xx", "2xx", "3xx", "4xx", "5xx"].map(class),
            seconds: histogram!("cabinet_http_seconds", "operation" => id),
        }
    }

    /// Counts one answer.
    pub fn record(&self, status: StatusCode, took: Duration) {
        let class = usize::from(status.as_u16() / 100).clamp(1, 5) - 1;
        self.by_class[class].increment(1);
        self.seconds.record(took.as_secs_f64());
    }
}

fn takes_query(operation: &utoipa::openapi::path::Operation) -> bool {
    let mut parameters = operation.parameters.iter().flatten();
    parameters.any(|parameter| matches!(parameter, RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Query))
}

impl Operations {
    /// The operations of `document`.
    pub fn of(document: &OpenApi) -> Self {
        let mut all = vec![Operation::new("other", false)];
        let mut plain = HashMap::default();
        let mut templates = Router::new();
        for (path, item) in &document.paths.paths {
            let by_method = [&item.get, &item.post, &item.put, &item.patch, &item.delete].map(|operation| {
                let operation = operation.as_ref()?;
                let id = operation.operation_id.as_deref()?;
                // Lives as long as the process; there are a few dozen.
                all.push(Operation::new(id.to_owned().leak(), !takes_query(operation)));
                Some(all.len() - 1)
            });
            if path.contains('{') {
                let inserted = templates.insert(path.clone(), by_method);
                inserted.expect("the document's paths are those of the routes");
            } else {
                plain.insert(path.clone(), by_method);
            }
        }
        Self { plain, templates, all }
    }

    /// The operation of a request.
    pub fn find(&self, method: &Method, path: &str) -> &Operation {
        let column = match *method {
            Method::GET | Method::HEAD => 0,
            Method::POST => 1,
            Method::PUT => 2,
            Method::PATCH => 3,
            Method::DELETE => 4,
            _ => return &self.all[0],
        };
        let plain = self.plain.get(path);
        let found = plain.or_else(|| self.templates.at(path).ok().map(|found| found.value));
        let index = found.and_then(|by_method| by_method[column]);
        &self.all[index.unwrap_or(0)]
    }
}
