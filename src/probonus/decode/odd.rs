//! Values that could not be read and cost only their own field: which fields, never which values.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::probonus::operation::Operation;

/// Odd values of one answer, counted by field.
#[derive(Default)]
pub(in crate::probonus) struct Odd(RefCell<BTreeMap<&'static str, u64>>);

impl Odd {
    /// A value of `field` could not be read.
    pub fn note(&self, field: &'static str) {
        *self.0.borrow_mut().entry(field).or_default() += 1;
    }

    /// Counts them for the operator.
    pub fn count(&self, operation: Operation) {
        for (field, values) in self.0.borrow().iter() {
            let labels = [("operation", operation.name()), ("field", *field)];
            metrics::counter!("cabinet_upstream_odd_values_total", &labels).increment(*values);
        }
    }

    /// The fields.
    pub fn fields(&self) -> Vec<&'static str> {
        self.0.borrow().keys().copied().collect()
    }
}
