//! Which operation a request is, for counting and for refusing what it does not know: the path's template and a closed set of names, never
//! the path itself.

use std::collections::HashMap;
use std::time::Duration;

use http::{Method, StatusCode};
use matchit::Router;
use metrics::{Counter, Histogram, counter, histogram};
use utoipa::openapi::path::{Operation as Described, Parameter, ParameterIn};
use utoipa::openapi::{OpenApi, RefOr};

use super::quick::QuickView;
use super::{Fields, Problem};

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
    /// The view that it reads, when that takes no more than knowing who asks.
    pub view: Option<QuickView>,
    /// Whether it reads the address' query.
    queried: bool,
    by_class: [Counter; 5],
    seconds: Histogram,
}

impl Operation {
    fn new(id: &'static str, queried: bool) -> Self {
        let class = |name: &'static str| counter!("cabinet_http_requests_total", "operation" => id, "status" => name);
        Self {
            id,
            view: QuickView::of_operation(id),
            queried,
            by_class: ["1xx", "2xx", "3xx", "4xx", "5xx"].map(class),
            seconds: histogram!("cabinet_http_seconds", "operation" => id),
        }
    }

    /// Refuses a query where none is read: what nobody knows is never ignored.
    ///
    /// # Errors
    /// 422 that names what was asked.
    pub fn admits(&self, query: Option<&str>) -> Result<(), Problem> {
        match query {
            Some(query) if !self.queried => Fields::of_query(query).done(),
            _ => Ok(()),
        }
    }

    /// Counts one answer.
    pub fn record(&self, status: StatusCode, took: Duration) {
        let class = usize::from(status.as_u16() / 100).clamp(1, 5) - 1;
        self.by_class[class].increment(1);
        self.seconds.record(took.as_secs_f64());
    }
}

fn is_queried(operation: &Described) -> bool {
    let in_query = |parameter: &RefOr<Parameter>| matches!(parameter, RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Query);
    operation.parameters.iter().flatten().any(in_query)
}

impl Operations {
    /// The operations of `document`.
    pub fn of(document: &OpenApi) -> Self {
        let mut all = vec![Operation::new("other", true)];
        let mut plain = HashMap::default();
        let mut templates = Router::new();
        for (path, item) in &document.paths.paths {
            let by_method = [&item.get, &item.post, &item.put, &item.patch, &item.delete].map(|operation| {
                let operation = operation.as_ref()?;
                let id = operation.operation_id.as_deref()?;
                // Lives as long as the process; there are a few dozen.
                all.push(Operation::new(id.to_owned().leak(), is_queried(operation)));
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
