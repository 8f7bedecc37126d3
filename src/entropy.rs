//! Randomness as a parameter. Secrets come from the operating system through aws-lc; tests may hand in a seeded source.

use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// A handle to a source of randomness. Cheap to clone.
#[derive(Clone)]
pub struct Entropy(Source);

#[derive(Clone)]
enum Source {
    System(SystemRandom),
    Seeded(Arc<Mutex<StdRng>>),
}

impl std::fmt::Debug for Entropy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Entropy")
    }
}

impl Entropy {
    /// The operating system's generator: the only one fit for secrets.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System(SystemRandom::new()))
    }

    /// Seeds the generator on a thread of its own: its first bytes take some thirty milliseconds (aws-lc gathers jitter besides what the
    /// operating system gives), in which a start has other things to do.
    pub fn warm_up() {
        std::thread::spawn(|| Self::system().bytes::<1>());
    }

    /// A repeatable source for tests and generated sandbox data.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(Source::Seeded(Arc::new(Mutex::new(StdRng::seed_from_u64(seed)))))
    }

    /// Fills `bytes`.
    ///
    /// # Panics
    /// When the operating system refuses randomness: nothing secret can be made then.
    pub fn fill(&self, bytes: &mut [u8]) {
        match &self.0 {
            Source::System(system) => system.fill(bytes).expect("the operating system gives randomness"),
            Source::Seeded(rng) => rng.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(bytes),
        }
    }

    /// `N` random bytes.
    #[must_use]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// A uniform number in `0..bound`, without modulo bias; `bound` must not be zero.
    #[must_use]
    pub fn below(&self, bound: u64) -> u64 {
        let zone = u64::MAX - u64::MAX % bound;
        loop {
            let drawn = u64::from_le_bytes(self.bytes());
            if drawn < zone {
                return drawn % bound;
            }
        }
    }

    /// A random UUID (version 4).
    #[must_use]
    pub fn uuid(&self) -> uuid::Uuid {
        uuid::Builder::from_random_bytes(self.bytes()).into_uuid()
    }
}
