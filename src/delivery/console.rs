//! The console: codes are printed where the program runs. For the demo and for development.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use super::gateway::{Accepted, Gateway, Message, Proof, SendError};
use crate::clock::Deadline;
use crate::config::GatewayName;
use crate::model::Channel;

/// Codes that are remembered for the demo's pages.
const REMEMBERED: usize = 20;

/// The latest codes, newest first.
#[derive(Clone, Default)]
pub(super) struct Shown(Arc<Mutex<VecDeque<(String, String)>>>);

impl Shown {
    pub fn latest(&self) -> Vec<(String, String)> {
        let codes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        codes.iter().cloned().collect()
    }
}

/// The gateway.
pub(super) struct Console {
    shown: Shown,
}

impl Console {
    pub fn new(shown: Shown) -> Self {
        Self { shown }
    }
}

#[async_trait]
impl Gateway for Console {
    fn name(&self) -> GatewayName {
        GatewayName::Console
    }

    fn channels(&self) -> &[Channel] {
        &[Channel::Sms]
    }

    async fn send(&self, message: &Message<'_>, _deadline: Deadline) -> Result<Accepted, SendError> {
        let masked = message.phone.masked();
        println!("  code for {masked}:  {}", message.code);
        let mut codes = self.shown.0.lock().unwrap_or_else(PoisonError::into_inner);
        codes.push_front((masked, message.code.to_owned()));
        codes.truncate(REMEMBERED);
        Ok(Accepted {
            provider_id: None,
            balance: None,
            proof: Proof::Code,
        })
    }
}
