//! How long a connection is kept: one timer a connection, looked at only when it rings. A timer a request would cost as much as finding
//! the answer.
//!
//! A new connection, and one that has begun a request, must get the request's head across within [`HEADER_TIMEOUT`]; between two requests
//! it may idle for [`IDLE_TIMEOUT`], longer than usual proxies keep it, so that they close first; it is counted from the timer's next
//! look. Who is sent something must take it at [`LEAST_RATE`]. While an answer is being made nothing is waited for: it has a deadline of
//! its own.

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hyper_util::server::graceful::GracefulConnection;
use tokio::time::Instant;

use super::activity::{Activity, Waiting};
use super::drain::Drain;

/// A request's head must be there within this time.
pub(super) const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// Between two requests a connection is kept for so long.
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);

/// So many bytes a second a client must take while something waits for it, on the average: systems take what is read slowly in bursts.
const LEAST_RATE: u64 = 1000;

/// So many bytes it may be behind: as if it took nothing for half a minute, the way through a tunnel.
const MAX_BEHIND: u64 = 30 * LEAST_RATE;

/// A connection that is told to end (HTTP/2) has so long for it.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(5);

/// What becomes of a connection after a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Kept; the next look is after so long.
    Keep(Duration),
    /// Its time is over, and it is told so first: its client may be sending a request right now.
    Farewell,
    /// Its time is over.
    Cut,
}

/// Judges a connection at each look.
struct Judge {
    looked_at: Instant,
    taken: u64,
    /// Bytes that the client should have taken and has not.
    behind: u64,
    said_farewell: bool,
}

impl Judge {
    fn new() -> Self {
        Self {
            looked_at: Instant::now(),
            taken: 0,
            behind: 0,
            said_farewell: false,
        }
    }

    fn look(&mut self, activity: &Activity) -> Verdict {
        let now = Instant::now();
        let waiting = activity.waiting();
        let elapsed = now.saturating_duration_since(self.looked_at);
        let taken = activity.taken() - self.taken;
        (self.looked_at, self.taken) = (now, activity.taken());
        self.behind = match waiting {
            Waiting::Reader => (self.behind + millis(elapsed) * LEAST_RATE / 1000).saturating_sub(taken),
            _ => 0,
        };
        if self.behind >= MAX_BEHIND {
            return Verdict::Cut;
        }
        let (since, limit) = match waiting {
            Waiting::Us | Waiting::Reader => return Verdict::Keep(HEADER_TIMEOUT),
            Waiting::Head(since) => (since, HEADER_TIMEOUT),
            Waiting::NextRequest(since) => (since, IDLE_TIMEOUT),
        };
        let left = limit.saturating_sub(now.saturating_duration_since(since));
        if !left.is_zero() {
            // A head may begin at any time, and has no more than its own time then.
            return Verdict::Keep(left.min(HEADER_TIMEOUT));
        }
        if activity.is_multiplexed() && !self.said_farewell {
            self.said_farewell = true;
            return Verdict::Farewell;
        }
        Verdict::Cut
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Serves a connection until it ends, its time is over, or the server's drain lets it finish what is under way.
pub(super) async fn drive<C: GracefulConnection>(connection: C, activity: Arc<Activity>, drain: Arc<Drain>) {
    let mut connection = pin!(connection);
    let mut told = pin!(drain.begins());
    let mut alarm = pin!(tokio::time::sleep(HEADER_TIMEOUT));
    let mut judge = Judge::new();
    let (mut is_leaving, mut is_first) = (false, true);
    std::future::poll_fn(|context| {
        // The first turn leaves wakers, which are this task's for as long as it lives; from then on flags are looked at.
        let rang = if is_first {
            let _ = told.as_mut().poll(context);
            let _ = alarm.as_mut().poll(context);
            false
        } else {
            alarm.is_elapsed()
        };
        is_first = false;
        if !is_leaving && drain.has_begun() {
            is_leaving = true;
            connection.as_mut().graceful_shutdown();
        }
        if connection.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        if !rang {
            return Poll::Pending;
        }
        let mut next = match judge.look(&activity) {
            Verdict::Keep(next) => next,
            Verdict::Farewell => {
                connection.as_mut().graceful_shutdown();
                if connection.as_mut().poll(context).is_ready() {
                    return Poll::Ready(());
                }
                FAREWELL_TIMEOUT
            }
            Verdict::Cut => return Poll::Ready(()),
        };
        loop {
            alarm.as_mut().reset(Instant::now() + next);
            if alarm.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            // It rang meanwhile.
            next = Duration::from_millis(1);
        }
    })
    .await;
}

#[cfg(test)]
mod tests {
    use http::Version;

    use super::*;

    /// How long a connection of this activity is kept, in seconds, and whether it is told before it ends.
    async fn kept(activity: &Activity) -> (u64, bool) {
        let started = Instant::now();
        let mut judge = Judge::new();
        tokio::time::sleep(HEADER_TIMEOUT).await;
        let mut told = false;
        loop {
            match judge.look(activity) {
                Verdict::Keep(next) => tokio::time::sleep(next).await,
                Verdict::Farewell => {
                    told = true;
                    tokio::time::sleep(FAREWELL_TIMEOUT).await;
                }
                Verdict::Cut => return (started.elapsed().as_secs(), told),
            }
        }
    }

    fn answer(activity: &Activity, version: Version) {
        activity.begin_request(version);
        activity.end_request();
    }

    /// Takes so many bytes each second, and is blocked again at once.
    async fn read_slowly(activity: Arc<Activity>, bytes: usize) {
        loop {
            activity.note_write(&Poll::Pending);
            tokio::time::sleep(Duration::from_secs(1)).await;
            activity.note_write(&Poll::Ready(Ok(bytes)));
            activity.note_write(&Poll::Pending);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_connection_gets_a_head_across_in_time_or_is_closed() {
        assert_eq!(kept(&Activity::new()).await, (10, false));
        let dribbling = Activity::new();
        dribbling.note_read(true);
        dribbling.note_read(false);
        assert_eq!(kept(&dribbling).await, (10, false));
    }

    #[tokio::test(start_paused = true)]
    async fn between_requests_a_connection_may_idle_until_it_begins_a_head() {
        let idle = Activity::new();
        answer(&idle, Version::HTTP_11);
        assert_eq!(kept(&idle).await, (10 + 75, false));

        let stirring = Activity::new();
        answer(&stirring, Version::HTTP_11);
        let later = stirring.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(33)).await;
            for _ in 0..5 {
                later.note_read(true);
                later.note_read(false);
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        assert_eq!(kept(&stirring).await, (43, false), "more bytes give no more time");
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_http_2_connection_is_told_and_closed_whatever_its_pings() {
        let idle = Activity::new();
        answer(&idle, Version::HTTP_2);
        let pings = idle.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(20)).await;
                pings.note_read(true);
                pings.note_read(false);
                pings.note_write(&Poll::Ready(Ok(17)));
            }
        });
        assert_eq!(kept(&idle).await, (10 + 75 + 5, true));
    }

    #[tokio::test(start_paused = true)]
    async fn while_an_answer_is_made_nothing_is_waited_for() {
        for version in [Version::HTTP_11, Version::HTTP_2] {
            let activity = Activity::new();
            let later = activity.clone();
            tokio::spawn(async move {
                later.begin_request(version);
                later.begin_request(version);
                later.end_request();
                tokio::time::sleep(Duration::from_secs(25)).await;
                later.end_request();
            });
            let (seconds, _) = kept(&activity).await;
            let farewell = if version == Version::HTTP_2 { 5 } else { 0 };
            assert_eq!(seconds, 30 + 75 + farewell, "the timer looks at 10, 20 and 30 seconds");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_or_too_little_is_cut() {
        let stuck = Activity::new();
        answer(&stuck, Version::HTTP_11);
        stuck.note_write(&Poll::Pending);
        assert_eq!(kept(&stuck).await, (30, false));

        let slow = Activity::new();
        answer(&slow, Version::HTTP_11);
        tokio::spawn(read_slowly(slow.clone(), 400));
        assert_eq!(kept(&slow).await, (50, false));

        let in_bursts = Activity::new();
        answer(&in_bursts, Version::HTTP_11);
        let bursts = in_bursts.clone();
        tokio::spawn(async move {
            loop {
                bursts.note_write(&Poll::Ready(Ok(10_400)));
                bursts.note_write(&Poll::Pending);
                tokio::time::sleep(Duration::from_secs(26)).await;
            }
        });
        assert_eq!(
            kept(&in_bursts).await,
            (70, false),
            "400 bytes a second, however they come"
        );

        let window_of_a_byte = Activity::new();
        window_of_a_byte.begin_request(Version::HTTP_2);
        window_of_a_byte.hold_piece();
        window_of_a_byte.note_write(&Poll::Ready(Ok(100)));
        assert_eq!(kept(&window_of_a_byte).await, (40, false));
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_enough_is_kept_and_a_pause_is_forgiven() {
        let steady = Activity::new();
        answer(&steady, Version::HTTP_11);
        let reader = tokio::spawn(read_slowly(steady.clone(), 1100));
        let until = tokio::time::sleep(Duration::from_mins(10));
        let cut = tokio::select! { kept = kept(&steady) => Some(kept), () = until => None };
        assert_eq!(cut, None);
        reader.abort();
        // Twenty seconds without a byte, then the rest.
        tokio::time::sleep(Duration::from_secs(20)).await;
        steady.note_write(&Poll::Ready(Ok(30_000)));
        let (seconds, _) = kept(&steady).await;
        assert_eq!(seconds, 75, "it idles from the moment at which it took all");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_has_nothing_to_say_waits_for_nobody() {
        let stream = Activity::new();
        stream.begin_request(Version::HTTP_11);
        stream.begin_stream();
        let until = tokio::time::sleep(Duration::from_mins(10));
        let cut = tokio::select! { kept = kept(&stream) => Some(kept), () = until => None };
        assert_eq!(cut, None);
    }
}
