//! Who else listens, and whether they have heard: a write is answered when every replica knows of it.
//!
//! A message is `<text>#<who>-<number>`. Whoever hears another's says `k<own name>#<who>-<number>`; a heartbeat is `h<own name>`.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast;
use tokio::time::Instant;

use super::signals::Signal;

/// A replica that has said nothing for this long is not waited for.
const GONE: Duration = Duration::from_secs(10);

/// What is heard besides signals.
pub(super) struct Ears {
    /// This process's name.
    name: String,
    number: AtomicU64,
    /// Whether signals of others arrive.
    pub hearing: AtomicBool,
    /// The others, with when they were last heard.
    others: Mutex<HashMap<String, Instant>>,
    /// Answers: who has heard which message.
    answers: broadcast::Sender<(String, String)>,
}

impl Ears {
    pub fn new(hearing: bool) -> Self {
        Self {
            name: uuid::Uuid::new_v4().as_simple().to_string(),
            number: AtomicU64::new(0),
            hearing: AtomicBool::new(hearing),
            others: Mutex::default(),
            answers: broadcast::channel(1024).0,
        }
    }

    fn others(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.others.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that this process lives and hears.
    pub fn heartbeat(&self) -> String {
        format!("h{}", self.name)
    }

    /// Hears a message: hands a signal on, and gives what is to be said to it.
    pub fn hear(&self, payload: &str, local: &broadcast::Sender<Signal>) -> Option<String> {
        if let Some(name) = payload.strip_prefix('h') {
            // The first to beat silences the others: they show that they live by answering.
            return self.seen(name).then(|| format!("k{}#", self.name));
        }
        if let Some((name, id)) = payload.strip_prefix('k').and_then(|rest| rest.split_once('#')) {
            if self.seen(name) {
                let _ = self.answers.send((name.to_owned(), id.to_owned()));
            }
            return None;
        }
        let (text, id) = payload.rsplit_once('#').unwrap_or((payload, ""));
        let _ = local.send(Signal::read(text));
        let (name, _) = id.split_once('-').unwrap_or_default();
        self.seen(name).then(|| format!("k{}#{id}", self.name))
    }

    /// Remembers that somebody else lives; `false` when it is this process.
    fn seen(&self, name: &str) -> bool {
        let other = name != self.name;
        if other {
            self.others().insert(name.to_owned(), Instant::now());
        }
        other
    }

    /// The message that says `text`, and the answers to it.
    pub fn ask(&self, text: &str) -> (String, broadcast::Receiver<(String, String)>) {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        (format!("{text}#{}-{number}", self.name), self.answers.subscribe())
    }

    /// Until every other replica that is there has heard `payload`.
    pub async fn answered(&self, payload: &str, mut answers: broadcast::Receiver<(String, String)>) {
        let asked = payload.rsplit_once('#').map_or("", |(_, id)| id);
        let mut missing: HashSet<String> = {
            let mut others = self.others();
            others.retain(|_, heard| heard.elapsed() < GONE);
            others.keys().cloned().collect()
        };
        while !missing.is_empty() {
            match answers.recv().await {
                Ok((name, id)) if id == asked => drop(missing.remove(&name)),
                Ok(_) => {}
                // It cannot be told any more who has heard.
                Err(_) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::GuestKey;

    #[tokio::test(start_paused = true)]
    async fn a_message_is_answered_when_everybody_who_is_there_has_heard_it() {
        let local = broadcast::channel(16).0;
        let mut signals = local.subscribe();
        let [first, second, third] = [(); 3].map(|()| Ears::new(true));
        for other in [&second, &third] {
            let answer = first.hear(&other.heartbeat(), &local).expect("an answer");
            assert_eq!(other.hear(&answer, &local), None);
        }
        assert_eq!(
            first.hear(&first.heartbeat(), &local),
            None,
            "nobody answers themselves"
        );

        let text = Signal::GuestChanged(GuestKey([7; 32])).text().expect("a text");
        let (payload, answers) = first.ask(&text);
        let mut answered = std::pin::pin!(first.answered(&payload, answers));
        let by_second = second.hear(&payload, &local).expect("an answer");
        assert_eq!(signals.try_recv(), Ok(Signal::GuestChanged(GuestKey([7; 32]))));
        first.hear(&by_second, &local);
        assert!(futures_util::poll!(&mut answered).is_pending(), "one has not heard");
        first.hear(&third.hear(&payload, &local).expect("an answer"), &local);
        answered.await;

        tokio::time::advance(GONE).await;
        let (payload, answers) = first.ask(&text);
        first.answered(&payload, answers).await;
    }
}
